"""The second pass: every problem of data that did not decode, each with its JSON Pointer.

msgspec stops at the first problem, which is right for the data that fits. For data that does not,
this module walks the declared type and the plain value side by side, down into what does not fit
and around what does. It runs on the failure path only, and its work is bounded, so that a hostile
body makes neither a huge answer nor a long wait.
"""

from __future__ import annotations

import collections.abc
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, TypeAlias, Union, cast, get_args, get_origin

import msgspec

from oxidite.encoding.errors import Problem
from oxidite.encoding.fields import fields_of
from oxidite.encoding.json import from_plain

__all__ = ["MAX_PROBLEMS", "code_of", "explain", "pointer_of"]

MAX_PROBLEMS = 100

# What fits is judged once for every level above it, hence the depth; every step is some Python.
_MAX_DEPTH = 12
_MAX_STEPS = 10_000

_MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SEQUENCES = (
    list,
    set,
    frozenset,
    tuple,
    collections.abc.Collection,
    collections.abc.Sequence,
    collections.abc.MutableSequence,
    collections.abc.Set,
    collections.abc.MutableSet,
)

_AT = re.compile(r" - at (?P<key>`key` in )?`(?P<path>\$[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`")


def explain(
    value: object, type_: object, *, strict: bool, error: msgspec.ValidationError
) -> list[Problem]:
    """Return every problem of ``value`` against ``type_``; never empty.

    ``error`` is what msgspec said first: the answer when the walk finds nothing of its own.
    ``value`` is ``msgspec.UNSET`` when not even the plain value could be had.
    """
    if value is msgspec.UNSET:
        return [_problem_of(error, "")]
    walk = _Walk(strict=strict)
    return list(islice(walk.problems(value, type_, "", 0, error), MAX_PROBLEMS))


def pointer_of(*keys: object) -> str:
    """Return the JSON Pointer to ``keys`` (RFC 6901 section 3)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


class _Walk:
    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._steps = _MAX_STEPS

    def check(self, value: object, type_: object, at: str, depth: int) -> Iterator[Problem]:
        """Yield what is wrong with a value, if anything is."""
        self._steps -= 1
        if self._steps < 0:
            return
        try:
            # Keys were text in JSON, whatever their declared type.
            msgspec.convert(value, type_, strict=self._strict, str_keys=True, dec_hook=from_plain)
        except msgspec.ValidationError as exc:
            yield from self.problems(value, type_, at, depth, exc)
        except RecursionError:
            yield Problem(at, "The data is nested too deeply.")
        except TypeError:
            # A type that means something only where it stands: it is judged with the whole.
            return

    def problems(
        self, value: object, type_: object, at: str, depth: int, error: msgspec.ValidationError
    ) -> Iterator[Problem]:
        """Yield what is wrong with the parts of a value, or else what msgspec said of the whole."""
        inner = _member(type_, value)
        parts = self._parts(inner, value) if depth < _MAX_DEPTH else None
        found = False
        if parts is not None:
            for problem in parts(value, inner, at, depth + 1):
                found = True
                yield problem
        if not found:
            # No part is wrong, so it is the whole: a constraint on it, or its own checks.
            yield _problem_of(error, at)

    def _parts(self, type_: object, value: object) -> _Parts | None:
        if isinstance(value, Mapping):
            if (get_origin(type_) or type_) in _MAPPINGS:
                return self._mapping
            if fields_of(type_) is not None:
                return self._fields
        elif isinstance(value, list | tuple) and (get_origin(type_) or type_) in _SEQUENCES:
            return self._items
        return None

    def _fields(
        self, value: Mapping[object, object], type_: object, at: str, depth: int
    ) -> Iterator[Problem]:
        fields = fields_of(type_) or ()
        for field in fields:
            here = at + pointer_of(field.key)
            if field.key in value:
                yield from self.check(value[field.key], field.type, here, depth)
            elif field.required:
                yield Problem(here, "This field is required.", "missing")
        config = getattr(get_origin(type_) or type_, "__struct_config__", None)
        if config is not None and config.forbid_unknown_fields:
            known = {field.key for field in fields} | {config.tag_field}
            for key in value:
                if key not in known:
                    yield Problem(at + pointer_of(key), _unknown(key, known - {None}), "unknown")

    def _mapping(
        self, value: Mapping[object, object], type_: object, at: str, depth: int
    ) -> Iterator[Problem]:
        arguments = get_args(type_)
        if len(arguments) != 2:
            return
        key_type, item_type = arguments
        for key, item in value.items():
            if self._steps <= 0:
                return
            here = at + pointer_of(key)
            if key_type is not str:
                keys: object = cast("Any", Mapping)[key_type, Any]  # made at run time
                yield from self.check({key: None}, keys, here, _MAX_DEPTH)
            yield from self.check(item, item_type, here, depth)

    def _items(
        self, value: Sequence[object], type_: object, at: str, depth: int
    ) -> Iterator[Problem]:
        arguments = get_args(type_)
        if get_origin(type_) is tuple and arguments[1:] != (Ellipsis,):
            item_types = arguments
        else:
            item_types = arguments[:1] * len(value)
        for index, (item, item_type) in enumerate(zip(value, item_types, strict=False)):
            if self._steps <= 0:
                return
            yield from self.check(item, item_type, at + pointer_of(index), depth)


_Parts: TypeAlias = Callable[[Any, object, str, int], Iterator[Problem]]
"""Walks the parts of one kind of value."""


def _member(type_: object, value: object) -> object:
    """Follow ``Annotated`` and unions to the member that ``value`` was meant to be."""
    origin = get_origin(type_)
    if origin is Annotated:
        return _member(get_args(type_)[0], value)
    if origin is not Union and origin is not types.UnionType:
        return type_
    members = [_member(arg, value) for arg in get_args(type_)]
    if isinstance(value, Mapping):
        members = [m for m in members if (get_origin(m) or m) in _MAPPINGS or fields_of(m)]
        members = [m for m in members if _has_tag(m, value)] if len(members) > 1 else members
    elif isinstance(value, list | tuple):
        members = [m for m in members if (get_origin(m) or m) in _SEQUENCES]
    return members[0] if len(members) == 1 else None


def _has_tag(type_: object, value: Mapping[object, object]) -> bool:
    config = getattr(get_origin(type_) or type_, "__struct_config__", None)
    return (
        config is not None and config.tag is not None and value.get(config.tag_field) == config.tag
    )


def _unknown(key: object, known: set[str]) -> str:
    # What somebody made up may be very long, and is compared with every field.
    close = get_close_matches(str(key)[:100], known, n=1)
    return "There is no such field." + (f" Did you mean {close[0]!r}?" if close else "")


def _problem_of(error: msgspec.ValidationError, at: str) -> Problem:
    message = str(error)
    if found := _AT.search(message):
        message = message[: found.start()]
        for name, index in _STEP.findall(found["path"]):
            if index == "...":
                break
            at += pointer_of(name or index)
        if found["key"]:
            return Problem(at, f"The key is wrong: {_sentence(message)}", code_of(message))
    if found := _FIELD.fullmatch(message):
        at += pointer_of(found[2])
        if found[1] == "missing required":
            return Problem(at, "This field is required.", "missing")
        return Problem(at, "There is no such field.", "unknown")
    return Problem(at, _sentence(message), code_of(message))


def _sentence(message: str) -> str:
    # msgspec's own have no full stop; those of a class that makes its values may have one.
    return f"{message.removesuffix('.')}."


def code_of(message: str) -> str:
    """Return the code of a problem that msgspec describes so."""
    if message.startswith("Expected "):
        return "type" if ", got " in message and " of length " not in message else "constraint"
    return "invalid"
