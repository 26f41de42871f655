"""A document as YAML 1.2, which is JSON with fewer brackets: enough for documents, and no parser."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

__all__ = ["to_yaml"]

# What no version of YAML reads as anything but text.
_PLAIN = re.compile(
    r"(?!(?:true|false|yes|no|on|off|null|y|n)$)[A-Za-z_/$][A-Za-z0-9_/$.-]*", re.IGNORECASE
)

_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def to_yaml(value: object) -> str:
    """Return a value made of JSON's kinds as a YAML document."""
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _entry(f"{_scalar(key)}:", each)
    elif isinstance(value, list) and value:
        for each in value:
            first, *rest = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _scalar(value)


def _entry(key: str, value: object) -> Iterator[str]:
    if isinstance(value, dict | list) and value:
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    # JSON's own form is one of YAML's, but for what YAML takes for the end of a line, or forbids.
    text = msgspec.json.encode(value).decode()
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
