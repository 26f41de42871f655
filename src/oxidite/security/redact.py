"""What an error page does not show: passwords, tokens, cookies, keys, and what looks like one.

A name decides first; a value masked because of its name is then masked wherever else it appears,
an exception's message above all. Every pattern here takes linear time: the text is an attacker's.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from oxidite.config import Secret

__all__ = ["MASK", "Redactor", "is_secret_name", "is_sensitive", "scrub"]

MASK = "[redacted]"

_SECRET = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|authori[sz]ation|cookie|api_?key|signature"
    r"|(?:private|access|signing|encryption|master)_?key|csrf|xsrf|jwt|bearer"
)
_WORDS = frozenset(
    [
        "auth",
        "cvc",
        "cvv",
        "iban",
        "key",
        "keys",
        "otp",
        "pass",
        "pin",
        "pw",
        "salt",
        "session",
        "sessions",
        "sid",
        "ssn",
        "totp",
    ]
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATOR = re.compile(r"[\W_]+")

_USERINFO = re.compile(
    r"(?<![\w+.-])([A-Za-z][\w+.-]{0,30}://[^\s/?#@:'\"]{0,200}):[^\s/?#'\"]{0,500}@"
)
_SCHEME = re.compile(
    r"(?i)\b(bearer[ ]{1,4}|basic[ ]{1,4}(?=[\w.~+/-]{0,500}?[0-9=]))[\w.~+/=-]{6,}"
)
# A name and what follows it in name=value, "name": value, ("name", b"value"). The look-behind lets a
# name start only where a run of such characters does, and the possessive quantifiers never go back:
# both keep it linear.
_NAME = re.compile(r"(?<![\w-])([\w-]++)(\\{0,2}['\"])?\s{0,2}([:=,])\s{0,2}(?:b(?=['\"]))?")
_VALUE = re.compile(
    r"\[redacted\]|'(?:[^'\\]|\\.)*+'?|\"(?:[^\"\\]|\\.)*+\"?|\\{1,2}['\"][^'\"\\]*+"
    r"|\[[^\]]*+\]?|\([^)]*+\)?|\{[^}]*+\}?|[^\s,;&)\]}'\"]++"
)
_PROSE = frozenset(("token", "tokens", "signature"))  # "Unexpected token: end of file"

_SHORTEST = 8  # a shorter value would mask ordinary words
_LONGEST = 4096
_MOST = 100
_PLAIN_WORD = re.compile(r"[A-Za-z_]+")


def _plain(name: object) -> str:
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return _SEPARATOR.sub("_", _HUMP.sub("_", name)).lower() if isinstance(name, str) else ""


def is_secret_name(name: object) -> bool:
    """Tell whether a name can only stand for a secret: ``password``, ``x-api-key``, ``csrfToken``."""
    return _SECRET.search(_plain(name)) is not None


def is_sensitive(name: object) -> bool:
    """Tell whether a name may stand for a secret: those above, and ``key``, ``session``."""
    plain = _plain(name)
    return _SECRET.search(plain) is not None or not _WORDS.isdisjoint(plain.split("_"))


def scrub(text: str, *, names: Callable[[object], bool] = is_secret_name) -> str:
    """Mask what looks like a secret in ``text``: passwords in URLs, bearer tokens, ``token=…``.

    ``names`` says which names count; in prose only those that cannot be anything else.
    """
    text = _USERINFO.sub(rf"\1:{MASK}@", text)
    text = _SCHEME.sub(rf"\1{MASK}", text)
    parts: list[str] = []
    done = 0
    for found in _NAME.finditer(text):
        if found.start() < done or not _means_value(found) or not names(found[1]):
            continue
        value = _VALUE.match(text, found.end())
        if value is not None:
            parts += (text[done : found.end()], MASK)
            done = value.end()
    return "".join((*parts, text[done:]))


def _means_value(found: re.Match[str]) -> bool:
    name, quote, separator = found.groups()
    if quote is not None or separator == "=":
        return True
    return separator == ":" and name.lower() not in _PROSE


class Redactor:
    """Knows the secrets of one failure, and masks them in every text of its report."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def learn(self, value: object) -> None:
        """Remember a secret; what is too short or a plain word is not told from ordinary text."""
        if isinstance(value, Secret):
            value = value.reveal()
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str) or len(self._values) >= _MOST:
            return
        value = value.strip()
        if _SHORTEST <= len(value) <= _LONGEST and not _PLAIN_WORD.fullmatch(value):
            self._values |= {value, repr(value)[1:-1]}

    def known(self, text: str) -> str:
        """Return ``text`` without what was learned."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return text

    def text(self, text: str, *, names: Callable[[object], bool] = is_secret_name) -> str:
        """Return ``text`` without what was learned and what looks like a secret."""
        return scrub(self.known(text), names=names)
