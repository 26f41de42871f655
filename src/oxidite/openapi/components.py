"""The schemas that have a name: one for each class, told apart, with names that are legal.

A class that is both sent and received has one schema where both directions look the same. Where
they differ, what is sent to the application is called ``PostInput``. References are placeholders
until all schemas are known, because only then all names are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

from oxidite.openapi.base import JSON, Direction

__all__ = ["Components", "Pointer", "names_of"]

_ILLEGAL = re.compile(r"[^a-zA-Z0-9._-]+")


@dataclass(frozen=True)
class Pointer:
    """Stands for the reference to a schema until it has its name."""

    identity: Hashable
    direction: Direction


class Components:
    """Collects schemas by what they describe, and gives them names in the end."""

    def __init__(self) -> None:
        self._schemas: dict[Pointer, JSON] = {}
        self._names: dict[Hashable, tuple[str, ...]] = {}

    def reference(
        self,
        identity: Hashable,
        names: tuple[str, ...],
        direction: Direction,
        make: Callable[[], JSON],
    ) -> JSON:
        """Return the reference to a schema, made when it is first asked for.

        ``names`` are what it may be called, the shortest first.
        """
        pointer = Pointer(identity, direction)
        if pointer not in self._schemas:
            self._names[identity] = names
            self._schemas[pointer] = {}  # a recursive type asks again while it is made
            self._schemas[pointer] = make()
        return {"$ref": pointer}

    def find(self, pointer: Pointer) -> JSON:
        """Return the schema behind a reference."""
        return self._schemas[pointer]

    def resolve(self, document: JSON) -> JSON:
        """Return ``document`` with names for placeholders, and the schemas in its components."""
        self._forget_unused(document)
        names = self._name()
        schemas = {names[pointer]: schema for pointer, schema in self._schemas.items()}
        if schemas:
            document.setdefault("components", {})["schemas"] = dict(sorted(schemas.items()))
        resolved = _with_names(document, names)
        assert isinstance(resolved, dict)  # noqa: S101 - as it was
        return resolved

    def _forget_unused(self, document: JSON) -> None:
        """Keep what the document leads to: the fields of some classes became parameters."""
        used: dict[Pointer, None] = {}
        waiting = list(_pointers(document))
        while waiting:
            pointer = waiting.pop()
            if pointer not in used:
                used[pointer] = None
                waiting += _pointers(self._schemas[pointer])
        self._schemas = {key: each for key, each in self._schemas.items() if key in used}
        identities = {pointer.identity for pointer in used}
        self._names = {key: each for key, each in self._names.items() if key in identities}

    def _name(self) -> dict[Pointer, str]:
        """Name every schema; the same one for both directions where they look the same."""
        names = _apart(self._names)
        differing = self._differing()
        taken = set(names.values())
        result: dict[Pointer, str] = {}
        for pointer in self._schemas:
            name = names[pointer.identity]
            if pointer.direction == "input" and pointer.identity in differing:
                name = _free(f"{name}Input", taken)
            result[pointer] = name
        return result

    def _differing(self) -> set[Hashable]:
        """Return what looks different when sent: in itself, or because of what it refers to."""
        both = {
            pointer.identity
            for pointer in self._schemas
            if Pointer(pointer.identity, "input") in self._schemas
            and Pointer(pointer.identity, "output") in self._schemas
        }
        differing: set[Hashable] = set()
        behind: dict[Hashable, set[Hashable]] = {}
        for identity in both:
            sent = self._schemas[Pointer(identity, "input")]
            got = self._schemas[Pointer(identity, "output")]
            behind[identity] = {found.identity for found in _pointers([sent, got])}
            if _without_direction(sent) != _without_direction(got):
                differing.add(identity)
        while found := {each for each in both - differing if behind[each] & differing}:
            differing |= found
        return differing


def names_of(cls: object) -> tuple[str, ...]:
    """Return what the schema of a class may be called: ``Page_User``, ``blog_Page_User``, ….

    A class that is nested in another one has that in front before its module.
    """
    origin: Any = getattr(cls, "__origin__", cls)  # a class, as a generic alias has it
    arguments = "".join(f"_{names_of(each)[0]}" for each in get_args(cls))
    name = str(getattr(origin, "__name__", None) or repr(origin))
    place = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', name)}"
    outer = [part for part in place.replace("<locals>.", "").split(".")[:-1] if part]
    starts = ("_".join((*outer[start:], name)) for start in range(len(outer), -1, -1))
    return tuple(_legal(start + arguments) for start in starts)


def _legal(name: str) -> str:
    return _ILLEGAL.sub("_", name).strip("_") or "Schema"


def _apart(candidates: dict[Hashable, tuple[str, ...]]) -> dict[Hashable, str]:
    """Choose the shortest names that no two share; the order of registration decides nothing."""
    lengths = dict.fromkeys(candidates, 0)
    while True:
        chosen = {each: candidates[each][length] for each, length in lengths.items()}
        counts = Counter(chosen.values())
        more = [
            each
            for each, name in chosen.items()
            if counts[name] > 1 and lengths[each] + 1 < len(candidates[each])
        ]
        if not more:
            break
        for each in more:
            lengths[each] += 1
    taken = {name for name, count in counts.items() if count == 1}
    # Two that even their modules do not tell apart: local classes of one function.
    return {
        each: name if counts[name] == 1 else _free(name, taken) for each, name in chosen.items()
    }


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _pointers(value: object) -> Iterator[Pointer]:
    if isinstance(value, Pointer):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _pointers(each)
    elif isinstance(value, list):
        for each in value:
            yield from _pointers(each)


def _without_direction(value: object) -> object:
    if isinstance(value, Pointer):
        return value.identity
    if isinstance(value, dict):
        return {key: _without_direction(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_direction(each) for each in value]
    return value


def _with_names(value: object, names: dict[Pointer, str]) -> object:
    if isinstance(value, Pointer):
        return f"#/components/schemas/{names[value]}"
    if isinstance(value, dict):
        return {key: _with_names(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_names(each, names) for each in value]
    return value
