"""Single values: numbers, words, paths, members of an enumeration, and what to say of a wrong one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import EnumMeta
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, cast, get_args, get_origin
from uuid import UUID

import msgspec
import msgspec.inspect

from oxidite.config.secret import Secret
from oxidite.config.shape import is_settings, union_arms, unwrap
from oxidite.config.units import Duration, Unit, parse_duration

UNSHOWN: Final = object()

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_EXPECTED: dict[object, str] = {
    bytes: "bytes in base64 (as of RFC 4648, with + and /, and = at the end)",
    bool: "true or false (or yes, no, on, off, 1, 0)",
    dict: "a table",
    float: "a finite number",
    frozenset: "a list",
    int: "a whole number",
    list: "a list",
    NoneType: "nothing",
    Path: "a path",
    UUID: "a UUID in hexadecimal, such as 2f1c8a4e-5b7d-4c39-9e60-1a2b3c4d5e6f",
    set: "a list",
    str: "text",
    tuple: "a list",
}


@dataclass(frozen=True, slots=True)
class Text:
    """The value of a variable: written by hand, and without a type."""

    value: str


@dataclass(frozen=True, slots=True)
class Misfit:
    """A place inside a value that does not fit, with what was expected and what was there.

    ``value`` is ``UNSHOWN`` where nothing was there, or what was there is nobody's business.
    """

    path: tuple[str, ...]
    message: str
    value: object = UNSHOWN


class MisfitError(Exception):
    """A value does not fit its type. It carries every place that does not."""

    def __init__(self, *misfits: Misfit) -> None:
        super().__init__(*misfits)
        self.misfits = misfits

    def under(self, *path: str) -> tuple[Misfit, ...]:
        """Return the places as seen from further out."""
        return tuple(Misfit((*path, *each.path), each.message, each.value) for each in self.misfits)


def unfit(value: object, message: str) -> MisfitError:
    """Return the error for a value that is wrong as a whole."""
    return MisfitError(Misfit((), message, plain(value)))


def plain(value: object) -> object:
    """Return ``value`` as it was found."""
    return value.value if isinstance(value, Text) else value


def expected(kind: object) -> str:
    """Say in words what a value of ``kind`` is."""
    base, notes = unwrap(kind)
    for note in notes:
        if isinstance(note, Unit):
            return note.expected
    origin = get_origin(base) or base
    if arms := union_arms(base):
        return " or ".join(expected(arm) for arm in arms)
    if origin is Literal:
        return _one_of(get_args(base))
    if isinstance(base, EnumMeta):
        return _one_of(tuple(member.value for member in cast("Any", base)))  # any Enum iterates
    if origin is timedelta:
        return expected(Duration)
    if origin is Secret:
        return expected(_only_argument(base))
    if is_settings(base):
        return "a table"
    return _EXPECTED.get(origin) or f"a value for {getattr(base, '__name__', base)}"


def _one_of(choices: tuple[object, ...]) -> str:
    return "one of " + ", ".join(repr(choice) for choice in choices)


def _only_argument(kind: object) -> object:
    return next(iter(get_args(kind)), str)


def with_unit(value: object, unit: Unit) -> object:
    """Return the number in a text such as ``5m``; a number is one already."""
    written = plain(value)
    if isinstance(written, str):
        try:
            return unit.read(written.strip())
        except ValueError:
            raise unfit(value, f"expected {unit.expected}") from None
    if isinstance(written, int | float) and written < 0:
        raise unfit(value, f"expected {unit.expected}")
    return written


def read_scalar(value: object, base: object) -> object:
    """Return ``value`` as ``base``, a type without arguments that concern us."""
    reader = _READERS.get(base) if isinstance(base, type) else None
    return reader(value) if reader else _read_other(value, base)


def _read_str(value: object) -> str:
    written = plain(value)
    if not isinstance(written, str):
        raise unfit(value, f"expected {expected(str)}")
    return written


def _read_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Text) and (word := value.value.strip().lower()) in _WORDS:
        return _WORDS[word]
    raise unfit(value, f"expected {expected(bool)}")


def _read_float(value: object) -> float:
    number = _read_other(value, float)
    if not isinstance(number, float) or not math.isfinite(number):
        raise unfit(value, f"expected {expected(float)}")
    return number


def _read_path(value: object) -> Path:
    written = plain(value)
    if not isinstance(written, str) or not written or "\0" in written:
        raise unfit(value, f"expected {expected(Path)}")
    return Path(written)


def _read_timedelta(value: object) -> timedelta:
    number = with_unit(value, Unit(parse_duration, expected(timedelta)))
    try:
        return timedelta(seconds=_read_float(number))
    except OverflowError:
        raise unfit(value, f"expected {expected(timedelta)}, of at most a billion days") from None


_READERS: dict[type[object], Callable[[object], object]] = {
    bool: _read_bool,
    float: _read_float,
    Path: _read_path,
    str: _read_str,
    timedelta: _read_timedelta,
}


def _read_other(value: object, base: object) -> object:
    written = value.value.strip() if isinstance(value, Text) else value
    try:
        return msgspec.convert(written, base, strict=not isinstance(value, Text))
    except msgspec.ValidationError:
        return _construct(value, written, base)
    except TypeError:
        raise unfit(value, f"its type cannot be used in settings: {base}") from None


def _construct(value: object, written: object, base: object) -> object:
    """Make what only its own constructor can make of a text: an address, a time zone."""
    is_foreign = isinstance(msgspec.inspect.type_info(base), msgspec.inspect.CustomType)
    if is_foreign and isinstance(base, type) and isinstance(written, str):
        try:
            return cast("object", base(written))
        except (ValueError, TypeError, LookupError):
            pass
    raise unfit(value, f"expected {expected(base)}")


def check(value: object, found: object, metas: list[msgspec.Meta]) -> None:
    """Refuse ``value`` if what it was read as, ``found``, breaks a constraint such as ``ge=1``."""
    # The elements have been read: msgspec need not know their types to count them.
    base: object = type(found)
    for meta in metas:
        try:
            msgspec.convert(found, cast("Any", Annotated[base, meta]))
        except msgspec.ValidationError as exc:
            reason = str(exc)
            raise unfit(value, reason[0].lower() + reason[1:]) from None
        except TypeError as exc:
            raise unfit(value, f"its constraints cannot be used in settings: {exc}") from None
