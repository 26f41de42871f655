"""``/users/{id:int}``: a pattern into segments, and back into a URL.

A parameter fills one whole segment of the decoded path; ``path`` takes all that is left and stands
at the end. ``.`` and ``..`` and empty segments are literal text that only ``path`` matches, so that
no pattern can be walked around.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NewType, cast, get_args, get_origin
from urllib.parse import quote
from uuid import UUID

from oxidite.errors import RouteError
from oxidite.extract.params import without_none

__all__ = ["CONVERTERS", "PATH", "Converter", "Param", "Pattern", "bare_type", "converter_for"]

_PARAM = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_DOTS = frozenset((".", "..", ""))
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?")
_INTEGER = re.compile(r"-?[0-9]{1,40}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Converter:
    """Text of a segment to a value and back.

    ``parse`` raises ``ValueError`` for text that is not of this kind: the route does not match then.
    Narrow kinds (low ``rank``) are tried first. Two converters of one ``language`` match the same
    text, so two routes that differ in nothing else hide each other.
    """

    name: str
    type: type[object]
    parse: Callable[[str], object]
    format: Callable[[object], str]
    rank: int
    language: str


def _parse_str(text: str) -> str:
    # What is not text, `Tree.find` refuses for every path; `Tree.walk` leaves it to this.
    if text in _DOTS or "\x00" in text or "\ufffd" in text:
        raise ValueError(text)
    return text


def _format_str(value: object) -> str:
    text = str.__str__(_expect(value, str))  # of an enum that is a str too, the value
    if text in _DOTS or "/" in text:
        raise ValueError(f"{text!r} cannot be one segment of a path; put it into the query")
    return text


def _parse_int(text: str) -> int:
    # PERF: `isdigit` knows the usual case; benchmark `users`.
    if (text.isdigit() and text.isascii()) or _INTEGER.fullmatch(text):
        return int(text)  # ValueError for thousands of digits, which is right too
    raise ValueError(text)


def _strict(pattern: re.Pattern[str], make: Callable[[str], object]) -> Callable[[str], object]:
    """Python's own constructors accept more than a URL should: spaces, underscores, other digits."""

    def parse(text: str) -> object:
        if pattern.fullmatch(text) is None:
            raise ValueError(text)
        return make(text)

    return parse


def _format_int(value: object) -> str:
    return int.__repr__(_expect(value, int))  # of an enum that is an int too, the value


def _format_uuid(value: object) -> str:
    return str(_expect(value, UUID))


def _format_path(value: object) -> str:
    text = str.__str__(_expect(value, str))
    if not {".", ".."}.isdisjoint(text.split("/")):
        raise ValueError(f"{text!r} has '.' or '..' in it, which every client takes out of a path")
    return text


def _expect(value: object, type_: type[Any]) -> Any:
    # bool is an int, and /posts/True is nobody's intention
    if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
        raise ValueError(f"{value!r} is not a {type_.__name__}")
    return value


def _format_date(value: object) -> str:
    return cast("date", _expect(value, date)).isoformat()[:10]


def _format_number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{value!r} is not a number")
    text = f"{value:f}" if isinstance(value, Decimal) else repr(value)
    if _NUMBER.fullmatch(text) is None:
        raise ValueError(f"{value!r} has no plain decimal form")
    return text


CONVERTERS: Mapping[str, Converter] = {
    each.name: each
    for each in (
        Converter("int", int, _parse_int, _format_int, 1, "int"),
        Converter("float", float, _strict(_NUMBER, float), _format_number, 2, "number"),
        Converter("decimal", Decimal, _strict(_NUMBER, Decimal), _format_number, 2, "number"),
        Converter("date", date, _strict(_DATE, date.fromisoformat), _format_date, 1, "date"),
        Converter("uuid", UUID, _strict(_UUID, UUID), _format_uuid, 1, "uuid"),
        Converter("str", str, _parse_str, _format_str, 8, "str"),
        Converter("path", str, lambda text: text, _format_path, 9, "path"),
    )
}

PATH = CONVERTERS["path"]


def bare_type(type_: object) -> object:
    """Return the class behind ``Path[int]``, ``Annotated[int, ...]``, ``int | None``, a ``NewType``."""
    while True:
        type_ = without_none(type_)
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
        elif isinstance(type_, NewType):
            type_ = type_.__supertype__
        else:
            return type_


def converter_for(type_: object) -> Converter:
    """Return the converter of a parameter whose pattern names none, by its annotation."""
    type_ = bare_type(type_)
    if isinstance(type_, type) and issubclass(type_, Enum):
        return _enum_converter(type_)
    for converter in CONVERTERS.values():
        if converter.type is type_ and converter is not PATH:
            return converter
    return CONVERTERS["str"]


def _enum_converter(cls: type[Enum]) -> Converter:
    members = {str(member.value): member for member in cls if str(member.value) not in _DOTS}

    def parse(text: str) -> Enum:
        try:
            return members[text]
        except KeyError:
            raise ValueError(text) from None

    def format_(value: object) -> str:
        return _format_str(str(cast("Enum", _expect(value, cls)).value))

    return Converter(cls.__name__, cls, parse, format_, 0, f"enum:{'|'.join(sorted(members))}")


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a pattern; without a converter until the handler's annotation is known."""

    name: str
    converter: Converter | None


@dataclass(frozen=True)
class Pattern:
    """A path with parameters: each segment is literal text or a ``Param``."""

    segments: tuple[str | Param, ...]

    @classmethod
    def parse(cls, path: str) -> Pattern:
        """Read a pattern.

        Raises:
            RouteError: it is not one; the message says why.
        """
        if path and not path.startswith("/"):
            raise RouteError(f"The path {path!r} must start with '/'.")
        return _checked(cls(tuple(_segment(text, path) for text in path.split("/")[1:])))

    @property
    def params(self) -> list[Param]:
        """The parameters, in order."""
        return [segment for segment in self.segments if isinstance(segment, Param)]

    def __add__(self, other: Pattern) -> Pattern:
        """Append a pattern. ``/`` at the joint is not doubled, and ``/`` alone adds nothing.

        Raises:
            RouteError: the whole has a parameter twice, or something after a ``path``.
        """
        if self.segments and other.segments == ("",):
            return self
        head = (
            self.segments[:-1] if self.segments[-1:] == ("",) and other.segments else self.segments
        )
        return _checked(Pattern((*head, *other.segments)))

    def typed(self, types: Mapping[str, object]) -> Pattern:
        """Give the parameters that have no converter one by their annotation in ``types``."""
        return Pattern(
            tuple(
                Param(segment.name, converter_for(types.get(segment.name, str)))
                if isinstance(segment, Param) and segment.converter is None
                else segment
                for segment in self.segments
            )
        )

    def types(self) -> dict[str, object]:
        """Return the type of every parameter, as its converter makes it."""
        return {p.name: p.converter.type if p.converter else str for p in self.params}

    def url(self, values: Mapping[str, object]) -> str:
        """Return the path with ``values`` in it, percent-encoded.

        Raises:
            ValueError: a value does not fit its parameter.
        """
        if not self.segments:
            return "/"
        url = "".join("/" + text for text in _formatted(self.segments, values))
        # "//name" would be another host; encoded, the same path.
        return "/%2F" + url[2:] if url.startswith("//") else url

    def __str__(self) -> str:
        return "".join(f"/{text}" for text in map(_shown, self.segments)) or "/"


def _checked(pattern: Pattern) -> Pattern:
    names = [param.name for param in pattern.params]
    if repeated := {name for name in names if names.count(name) > 1}:
        raise RouteError(f"The path {str(pattern)!r} has {repeated.pop()!r} twice.")
    for segment in pattern.segments[:-1]:
        if isinstance(segment, Param) and segment.converter is PATH:
            raise RouteError(
                f"In {str(pattern)!r}, {{{segment.name}:path}} takes all that is left, so it must be "
                "last."
            )
    return pattern


def _shown(segment: str | Param) -> str:
    if isinstance(segment, str):
        return segment
    if segment.converter is None or segment.converter is CONVERTERS["str"]:
        return f"{{{segment.name}}}"
    return f"{{{segment.name}:{segment.converter.name}}}"


def _formatted(segments: Iterable[str | Param], values: Mapping[str, object]) -> Iterable[str]:
    for segment in segments:
        if isinstance(segment, str):
            yield quote(segment)
            continue
        converter = segment.converter or CONVERTERS["str"]
        try:
            text = converter.format(values[segment.name])
        except ValueError as exc:
            raise ValueError(f"{segment.name}: {exc}") from None
        yield quote(text, safe="/" if converter is PATH else "")


def _segment(text: str, path: str) -> str | Param:
    if "{" not in text and "}" not in text:
        return text
    found = _PARAM.fullmatch(text)
    if found is None:
        raise RouteError(
            f"In the path {path!r}, {text!r} is neither plain text nor one parameter such as {{id:int}}."
        )
    name, kind = found.groups()
    if not name.isidentifier():
        raise RouteError(f"In the path {path!r}, {name!r} is not a name.")
    if kind is None:
        return Param(name, None)
    if kind not in CONVERTERS:
        known = ", ".join(CONVERTERS)
        raise RouteError(
            f"In the path {path!r}, there is no converter {kind!r}. Known: {known}; an enum is "
            f"written {{{name}}} and annotated in the handler."
        )
    return Param(name, CONVERTERS[kind])
