"""How an entry of the access log looks, as text or JSON: secrets masked, every character harmless."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from urllib.parse import unquote_plus

from oxidite.middleware.accessentry import AccessEntry
from oxidite.security.redact import MASK, is_sensitive, scrub

__all__ = ["json_line", "lost_json", "lost_text", "text_line"]


def json_line(entry: AccessEntry, redact: Collection[str]) -> str:
    """Return the entry as one line of JSON in ASCII; what is not known is left out."""
    members: dict[str, object] = {
        "time": _time(entry.when),
        "client": entry.client or None,
        "method": entry.method,
        "path": _path(entry, redact),
        "query": masked_query(entry.query, redact) or None,
        "version": entry.http_version,
        "status": entry.status,
        "bytes": entry.size,
        "duration": round(entry.duration, 6),
        "outcome": entry.outcome,
        "route": entry.route,
        "error": entry.error,
        "request_id": entry.request_id,
        "trace_id": entry.trace_id,
        "headers": dict(_fields(entry, redact)) or None,
    }
    known = {name: value for name, value in members.items() if value is not None}
    return json.dumps(known).replace("\x7f", "\\u007f")


def text_line(entry: AccessEntry, redact: Collection[str]) -> str:
    """Return the entry as one line for a person."""
    query = masked_query(entry.query, redact)
    target = _path(entry, redact) + (f"?{query}" if query else "")
    parts = [
        _time(entry.when),
        _plain(entry.client or "-"),
        f'"{_plain(entry.method)} {_plain(target)} HTTP/{_plain(entry.http_version)}"',
        "-" if entry.status is None else str(entry.status),
        "-" if entry.size is None else f"{entry.size}B",
        f"{entry.duration * 1000:.1f}ms",
        *([] if entry.outcome == "complete" else [entry.outcome]),
        *([] if entry.route is None else [f"route={_plain(entry.route)}"]),
        *([] if entry.error is None else [f"error={_plain(entry.error)}"]),
        *([] if entry.request_id is None else [f"id={_plain(entry.request_id)}"]),
    ]
    parts += [f'{name}="{_plain(value)}"' for name, value in _fields(entry, redact)]
    return " ".join(parts)


def lost_json(count: int) -> str:
    """Return the line that says how many others are missing."""
    return json.dumps({"lost_lines": count})


def lost_text(count: int) -> str:
    """Return the line that says how many others are missing."""
    return f"({count} {'line was' if count == 1 else 'lines were'} lost here)"


def masked_query(query: str, redact: Collection[str]) -> str:
    """Return a query string, still encoded, with the values masked whose names speak of a secret."""
    if "=" not in query:
        return query
    return "&".join(_pair(each, redact) for each in query.split("&"))


def _pair(pair: str, redact: Collection[str]) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals and _is_secret(unquote_plus(name), redact) else pair


def _is_secret(name: str, redact: Collection[str]) -> bool:
    return name.lower() in redact or is_sensitive(name)


def _path(entry: AccessEntry, redact: Collection[str]) -> str:
    # Which part of it is the secret one is not known any more; the pattern says enough.
    if entry.route is not None and any(_is_secret(each, redact) for each in entry.params):
        return entry.route
    return entry.path


def _fields(entry: AccessEntry, redact: Collection[str]) -> Iterator[tuple[str, str]]:
    for name, value in (entry.headers or {}).items():
        # A Referer has a query, too.
        yield name, MASK if _is_secret(name, redact) else scrub(value)


def _time(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _plain(text: str) -> str:
    """Return ``text`` without anything that begins a line, ends a quote or moves a cursor."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode().replace('"', '\\"')
