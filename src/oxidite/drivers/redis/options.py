"""Where a Redis server is, and how it is spoken to: what a URL says."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from math import isfinite
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct, structs

from oxidite.errors import ConfigError

__all__ = ["RedisOptions"]

_SCHEMES = ("redis", "rediss", "redis+unix")
_VERIFIED = "verify-full"
_MODES_OF_TLS = ("require", "verify-ca", _VERIFIED)
_MOST_DB = 1_000_000  # no server has so many; what is larger is a mistake


class RedisOptions(Struct, frozen=True, kw_only=True):
    """A server, and how it is spoken to. Times are in seconds."""

    host: str = "localhost"
    port: int = 6379
    socket: str = ""
    """The path of a Unix socket, in place of host and port."""
    username: str = ""
    password: str = ""
    db: int = 0
    tls: bool = False
    sslmode: str = _VERIFIED
    """``verify-full``; ``verify-ca``, which takes any host name; ``require``, which takes any certificate."""
    sslrootcert: str = ""
    """A file of authorities to trust, in place of those of the system."""
    sslcert: str = ""
    sslkey: str = ""
    timeout: float = 2.0
    """How long an answer may take, waiting for a connection included."""
    connect_timeout: float = 2.0
    """How long it may take to connect and log in."""
    max_pending: int = 20_000
    """How many commands may wait for their answers; more are refused at once."""
    max_unsent: int = 64 * 1024 * 1024
    """How many bytes may wait to be sent; more are refused at once."""
    name: str = "oxidite"
    """What the server lists the connection as."""

    def __post_init__(self) -> None:
        if self.sslmode not in _MODES_OF_TLS:
            raise ConfigError(f"sslmode={self.sslmode} is none of {', '.join(_MODES_OF_TLS)}.")
        if not 0 <= self.db <= _MOST_DB:
            raise ConfigError(f"db={self.db} is no number of a Redis database; the first is 0.")
        for name in ("timeout", "connect_timeout", "max_pending", "max_unsent"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"{name}={getattr(self, name)}: more than 0 is wanted.")

    def __repr__(self) -> str:
        return f"RedisOptions({self.place})"  # a password stays out of logs

    @property
    def place(self) -> str:
        """Where it is, for people: without a password."""
        if self.socket:
            return f"redis+unix://{self.socket}?db={self.db}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{host}:{self.port}/{self.db}"

    @classmethod
    def from_url(
        cls, url: str | SplitResult, *, others: Collection[str] = ()
    ) -> tuple[RedisOptions, dict[str, str]]:
        """Read ``redis://user:password@host:6379/0?timeout=1``, ``rediss://`` or ``redis+unix:///path?db=0``.

        Options named in ``others`` are returned beside it, as text.

        Raises:
            ConfigError: the URL cannot be read, or says something that is not known.
        """
        parts = urlsplit(url) if isinstance(url, str) else url
        if parts.scheme == "redis+sentinel":
            raise ConfigError(
                "redis+sentinel:// is not supported: let redis:// lead to the primary, by a name or a proxy "
                "that follows it."
            )
        if parts.scheme not in _SCHEMES:
            raise ConfigError(f"A URL of Redis begins with {', '.join(_SCHEMES)}.")
        found = _server(parts)
        rest: dict[str, str] = {}
        for name, text in parse_qsl(parts.query, keep_blank_values=True):
            if name in others:
                rest[name] = text
            else:
                found[name] = _read(name, text, others)
        if not found.get("tls") and any(name.startswith("ssl") for name in found):
            raise ConfigError("sslmode and its like are options of rediss://, which is encrypted.")
        return cls(**found), rest


def _server(parts: SplitResult) -> dict[str, Any]:
    found: dict[str, Any] = {
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    if parts.scheme == "redis+unix":
        if not parts.path.strip("/"):
            raise ConfigError("redis+unix:// names no socket: redis+unix:///run/redis.sock?db=0")
        return found | {"socket": unquote(parts.path)}
    try:
        found["port"] = parts.port or 6379
    except ValueError as exc:
        raise ConfigError(f"{parts.scheme}://: {exc}") from None
    if db := parts.path.strip("/"):
        found["db"] = _read("db", db, ())
    return found | {"host": parts.hostname or "localhost", "tls": parts.scheme == "rediss"}


_ASKED = {
    field.name: type(field.default)
    for field in structs.fields(RedisOptions)
    # The rest has its place before the question mark.
    if field.name not in {"host", "port", "socket", "username", "password", "tls"}
}


def _read(name: str, text: str, others: Collection[str]) -> Any:
    kind = _ASKED.get(name)
    if kind is None:
        known = [*_ASKED, *others]
        close = get_close_matches(name, known, 1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise ConfigError(
            f"The URL of Redis has an option {name!r}, which nobody knows.{meant} "
            f"There are: {', '.join(sorted(known))}."
        )
    if kind is str:
        return text
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if value < 0 or not isfinite(value):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}={text}: {what} is wanted, zero or more.")
    return value
