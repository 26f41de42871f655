"""What the URL of a database may say beside where it is: ``?pool_size=20&pool_timeout=5``.

A name that nobody knows is refused with the one that was meant: a limit that is misspelt would hold
nowhere, and nobody would see it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any, TypeAlias, TypeVar
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from msgspec import Struct

from oxidite.errors import ConfigError

__all__ = ["DatabaseOptions", "OptionValue", "PoolOptions", "take_options", "with_options"]

T = TypeVar("T")
OptionValue: TypeAlias = str | int | float | bool
"""What an option may be when it is given to ``Database.from_url``."""


class PoolOptions(Struct, frozen=True, kw_only=True):
    """How connections are kept. Times are in seconds."""

    pool_size: int = 10
    """How many there are at most."""
    pool_min: int = 1
    """How many are opened at the start and kept open."""
    pool_timeout: float = 10.0
    """How long a statement waits for one."""
    pool_lifetime: float = 3600.0
    """How long one lives, give or take a fifth, so that not all end at once."""
    pool_idle: float = 600.0
    """After how long without work one that is not among ``pool_min`` is closed."""
    pool_check: float = 30.0
    """After how long without work one is asked whether it lives before it is used."""
    pool_leak: float = 30.0
    """After how long in use by one task it is reported, with the place; 0 is never."""
    pool_close: float = 10.0
    """How long closing waits for those in use."""


class DatabaseOptions(Struct, frozen=True, kw_only=True):
    """What the database watches by itself, whichever it is."""

    slow: float = 1.0
    """Statements that take longer, in seconds, are logged; 0 is never."""
    sticky: float = 2.0
    """How long after a write its context reads where it wrote, not from a replica, in seconds."""
    max_lag: float = 5.0
    """How far a replica may be behind and still be read from, in seconds."""


def take_options(
    url: SplitResult, kinds: Mapping[str, type], *, others: Collection[str] = ()
) -> tuple[dict[str, Any], SplitResult]:
    """Read the options of ``kinds`` out of a URL; return them and the URL without them.

    What ``others`` names, and what has a dot in its name, stays in the URL: it is the driver's.

    Raises:
        ConfigError: an option is not known, or its value is none of its kind.
    """
    found: dict[str, Any] = {}
    rest: list[tuple[str, str]] = []
    for name, text in parse_qsl(url.query, keep_blank_values=True):
        if name in kinds:
            found[name] = _read(name, text, kinds[name])
        elif name in others or "." in name:
            rest.append((name, text))
        else:
            raise ConfigError(_unknown(name, [*kinds, *others]))
    return found, url._replace(query=urlencode(rest))


def database_options(url: str) -> tuple[DatabaseOptions, str]:
    """Return what a URL says of the database as a whole, and the URL without that."""
    parts = urlsplit(url)
    kinds = kinds_of(DatabaseOptions)
    said = parse_qsl(parts.query, keep_blank_values=True)
    found = {name: _read(name, text, kinds[name]) for name, text in said if name in kinds}
    if not found:
        return DatabaseOptions(), url
    rest = urlencode([each for each in said if each[0] not in kinds], quote_via=quote)
    return DatabaseOptions(**found), _unsplit(parts._replace(query=rest))


def pool_options(found: dict[str, Any]) -> PoolOptions:
    """Return those of a pool, taken out of ``found``, when they fit together.

    Raises:
        ConfigError: there would be no connection, or more than there may be.
    """
    names = [name for name in PoolOptions.__struct_fields__ if name in found]
    made = PoolOptions(**{name: found.pop(name) for name in names})
    if made.pool_size < 1:
        raise ConfigError(f"pool_size={made.pool_size}: a pool has one connection at least.")
    if "pool_min" not in names and made.pool_min > made.pool_size:
        return made
    if not 0 <= made.pool_min <= made.pool_size:
        raise ConfigError(
            f"pool_min={made.pool_min} does not lie between 0 and pool_size={made.pool_size}."
        )
    return made


def with_options(url: str, options: Mapping[str, OptionValue]) -> str:
    """Return a URL that says these options, too, in place of what it says of them already."""
    if not options:
        return url
    parts = urlsplit(url)
    said = dict(parse_qsl(parts.query, keep_blank_values=True))
    said |= {name: _text(value) for name, value in options.items()}
    return _unsplit(parts._replace(query=urlencode(said, quote_via=quote)))


def _unsplit(parts: SplitResult) -> str:
    # Not by `urlunsplit`, which drops the slashes of a URL without a host: sqlite:// is not sqlite:.
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{query}"


def kinds_of(struct: type[Struct]) -> dict[str, type]:
    """Return the names and types of the options in a Struct."""
    return {
        name: type(default)
        for name, default in zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True)
    }


def _text(value: OptionValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() not in _BOOLS:
            raise ConfigError(f"{name}={text}: say true or false.")
        return _BOOLS[text.lower()]
    if kind is str:
        return text
    convert: Callable[[str], Any] = kind
    try:
        value = convert(text)
    except ValueError:
        value = -1
    if value < 0 or not isfinite(value):
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{name}={text}: {what} is wanted, zero or more.")
    return value


_BOOLS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def _unknown(name: str, known: Collection[str]) -> str:
    close = get_close_matches(name, known, 1)
    meant = f" Did you mean {close[0]}?" if close else ""
    return (
        f"The URL of the database has an option {name!r}, which nobody knows.{meant} "
        f"There are: {', '.join(sorted(known))}."
    )
