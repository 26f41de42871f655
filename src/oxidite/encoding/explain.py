"""The second pass: every problem of data that did not decode, each with its JSON Pointer.

msgspec stops at the first problem, which is right for the data that fits. For data that does not,
this module walks the declared type and the plain value side by side. It runs on the failure path
only, and stops after ``MAX_PROBLEMS`` so that a hostile body cannot make a huge answer.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from oxidite.encoding.errors import Problem
from oxidite.encoding.fields import fields_of

__all__ = ["MAX_PROBLEMS", "explain", "pointer_of"]

MAX_PROBLEMS = 100

_AT = re.compile(r" - at `(?P<key>key in )?(?P<path>\$[^`]*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


def explain(
    value: object, type_: object, *, strict: bool, error: msgspec.ValidationError
) -> list[Problem]:
    """Return every problem of ``value`` against ``type_``; never empty.

    ``error`` is what msgspec said first: the answer when the walk finds nothing of its own.
    ``value`` is ``msgspec.UNSET`` when not even the plain value could be had.
    """
    problems: list[Problem] = []
    if value is not msgspec.UNSET:
        try:
            problems = list(islice(_walk(value, type_, "", strict), MAX_PROBLEMS))
        except RecursionError:
            problems = []
    return problems or [_problem_of(error, "")]


def pointer_of(*keys: object) -> str:
    """Return the JSON Pointer to ``keys`` (RFC 6901 section 3)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def _walk(value: object, type_: object, at: str, strict: bool) -> Iterator[Problem]:
    inner = _unwrap(type_, value)
    walk = _walker(inner, value)
    found = False
    if walk is not None:
        for problem in walk(value, inner, at, strict):
            found = True
            yield problem
    if not found:
        # No part is wrong, so ask about the whole: a constraint on it, or its own checks.
        try:
            msgspec.convert(value, type_, strict=strict)
        except msgspec.ValidationError as exc:
            yield _problem_of(exc, at)


def _unwrap(type_: object, value: object) -> object:
    """Follow ``Annotated`` and unions to the member that ``value`` was meant to be."""
    origin = get_origin(type_)
    if origin is Annotated:
        return _unwrap(get_args(type_)[0], value)
    if origin is Union or origin is types.UnionType:
        return _unwrap_union(get_args(type_), value)
    return type_


def _unwrap_union(members: tuple[object, ...], value: object) -> object:
    members = tuple(m for m in members if m is not type(None) and m is not msgspec.UnsetType)
    if value is None:
        return None
    if len(members) == 1:
        return _unwrap(members[0], value)
    if isinstance(value, Mapping):
        for member in members:
            cls = get_origin(member) or member
            if isinstance(cls, type) and issubclass(cls, msgspec.Struct):
                config = cls.__struct_config__
                if config.tag_field is not None and value.get(config.tag_field) == config.tag:
                    return member
    return None


_Walk = Callable[[Any, object, str, bool], Iterator[Problem]]  # each walks one kind of value


def _walker(type_: object, value: object) -> _Walk | None:
    origin = get_origin(type_) or type_
    if isinstance(value, Mapping):
        if origin is dict or origin is Mapping:
            return _walk_mapping
        if fields_of(type_) is not None:
            return _walk_fields
    elif isinstance(value, list | tuple) and origin in (list, set, frozenset, tuple):
        return _walk_items
    return None


def _walk_fields(
    value: Mapping[str, object], type_: object, at: str, strict: bool
) -> Iterator[Problem]:
    fields = fields_of(type_) or ()
    for field in fields:
        here = at + pointer_of(field.key)
        if field.key in value:
            yield from _walk(value[field.key], field.type, here, strict)
        elif field.required:
            yield Problem(here, "This field is required.", "missing")
    config = getattr(get_origin(type_) or type_, "__struct_config__", None)
    if config is not None and config.forbid_unknown_fields:
        known = {field.key for field in fields} | {config.tag_field}
        for key in value:
            if key not in known:
                yield Problem(at + pointer_of(key), _unknown(key, known - {None}), "unknown")


def _unknown(key: object, known: set[str]) -> str:
    close = get_close_matches(str(key), known, n=1)
    return "There is no such field." + (f" Did you mean {close[0]!r}?" if close else "")


def _walk_mapping(
    value: Mapping[str, object], type_: object, at: str, strict: bool
) -> Iterator[Problem]:
    arguments = get_args(type_)
    if len(arguments) == 2:
        for key, item in value.items():
            yield from _walk(item, arguments[1], at + pointer_of(key), strict)


def _walk_items(value: Sequence[object], type_: object, at: str, strict: bool) -> Iterator[Problem]:
    arguments = get_args(type_)
    if get_origin(type_) is tuple and arguments[1:] != (Ellipsis,):
        item_types = arguments
    else:
        item_types = arguments[:1] * len(value)
    for index, (item, item_type) in enumerate(zip(value, item_types, strict=False)):
        yield from _walk(item, item_type, at + pointer_of(index), strict)


def _problem_of(error: msgspec.ValidationError, at: str) -> Problem:
    message = str(error)
    if found := _AT.search(message):
        message = message[: found.start()]
        for name, index in _STEP.findall(found["path"]):
            if index == "...":
                break
            at += pointer_of(name or index)
    return Problem(at, message + ".", _code_of(message))


def _code_of(message: str) -> str:
    if message.startswith("Object missing required field"):
        return "missing"
    if message.startswith("Object contains unknown field"):
        return "unknown"
    if message.startswith("Expected "):
        return "type" if ", got " in message else "constraint"
    return "invalid"
