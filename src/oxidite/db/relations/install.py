"""Puts relations into a model: a field that holds what is loaded, and what is found in its place.

The field is one of the Struct, so what is loaded is in every response, and what is not is left out.
Who looks at the attribute gets a handle instead (``handles.py``); the encoder reads the field itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Union
from weakref import ref

from msgspec import UNSET, UnsetType

from oxidite.db.errors import ModelError, RelationError
from oxidite.db.relations.advice import advice
from oxidite.db.relations.definition import (
    DeclaredRelation,
    Definition,
    Found,
    RelationKind,
    RelationType,
    foreign_names,
)
from oxidite.db.relations.either import Either, EitherOne, assign_either, either_names
from oxidite.db.relations.handles import Handle, Many, One, OwnedOne, assign
from oxidite.db.relations.linked import Linked
from oxidite.db.relations.loading import Wanted
from oxidite.db.relations.naming import evaluate, find_model, register
from oxidite.db.relations.relation import Relation, ToMany, ToOne
from oxidite.db.statements.repeats import advisers

__all__ = ["Declarations", "declare_relations", "forget_relations", "install_relations"]

Declarations = dict[str, tuple[RelationType, DeclaredRelation]]

_LOOKS_LIKE_ONE = re.compile(r"(?:\w+\.)*(?:BelongsTo|HasOne|HasMany|ManyToMany)\[")


def declare_relations(
    namespace: dict[str, Any], bases: tuple[type, ...], locals_: Mapping[str, Any], where: str
) -> Declarations:
    """Take the relations out of a class body, and those of mixins; leave a field for each.

    Raises:
        ModelError: one is not written as it has to be.
    """
    found: Declarations = {}
    for base in bases:
        if not hasattr(base, "__struct_fields__"):
            found |= _declared_in(vars(base), {}, where)
    found |= _declared_in(namespace, locals_, where)
    for name in found:
        if any(_is_method(vars(each).get(name)) for base in bases for each in base.__mro__):
            raise ModelError(f"{where}: {name} is a method of every model. Choose another name.")
        namespace.setdefault("__annotations__", {})[name] = UnsetType
        namespace[name] = UNSET
    return found


def _is_method(found: object) -> bool:
    return callable(found) or isinstance(found, classmethod | staticmethod)


def _declared_in(body: Mapping[str, Any], locals_: Mapping[str, Any], where: str) -> Declarations:
    module = sys.modules.get(body.get("__module__", ""))
    globals_ = vars(module) if module else {}
    found: Declarations = {}
    for name, annotation in body.get("__annotations__", {}).items():
        declared = body.get(name)
        if not isinstance(declared, DeclaredRelation):
            if isinstance(annotation, RelationType) or (
                isinstance(annotation, str) and _LOOKS_LIKE_ONE.match(annotation)
            ):
                raise ModelError(f"{where}: {name} is a relation: write {name}: … = rel().")
            continue
        type_ = annotation
        while isinstance(
            type_, str
        ):  # more than once if it is quoted, and all annotations are text
            type_ = evaluate(type_, globals_, locals_)
        if not isinstance(type_, RelationType):
            raise ModelError(
                f"{where}: {name} = rel(), so its annotation is one of BelongsTo, HasOne, HasMany "
                f"and ManyToMany, not {annotation!r}."
            )
        args = tuple(
            evaluate(each, globals_, locals_) if isinstance(each, str) else each
            for each in type_.args
        )
        found[name] = RelationType(type_.kind, args), declared
    return found


def install_relations(made: Any, declared: Declarations) -> None:
    """Make the relations of a class that is made."""
    definitions: dict[str, Definition] = {}
    for base in reversed(made.__mro__[1:]):
        for name, inherited in vars(base).get("__relations__", {}).items():
            definitions[name] = Definition(
                made, name, inherited.type, inherited.declared, inherited.read, inherited.put
            )
    for name, (type_, told) in declared.items():
        slot = vars(made)[name]
        definitions[name] = Definition(made, name, type_, told, slot.__get__, slot.__set__)
    for name, definition in definitions.items():
        _replace(made, name, _Accessor(definition))
        type.__setattr__(type(made), name, property(partial(_relation_of, name=name)))
    type.__setattr__(made, "__relations__", definitions)
    if "__table__" in vars(made):
        made.__table__.relations = definitions
        register(made)
        for definition in definitions.values():
            if definition.kind == "belongs_to":
                _watch(definition)
    _annotate(made, definitions)


def _replace(made: Any, name: str, found: object) -> None:
    """Put something in the place of a field of a class.

    What the metaclass has by that name would be asked to set it: it steps aside for a moment.
    """
    meta = type(made)
    above = vars(meta).get(name)
    type.__setattr__(meta, name, None)
    type.__setattr__(made, name, found)
    if above is None:
        type.__delattr__(meta, name)
    else:
        type.__setattr__(meta, name, above)


def _relation_of(model: Any, *, name: str) -> Relation[Any, Any]:
    definition: Definition = model.__relations__[name]
    made = Either if definition.is_either else _RELATIONS[definition.kind]
    return made(Wanted(definition=definition))


def forget_relations(one: Any) -> None:
    """Forget what is loaded of all the relations of an object."""
    for definition in type(one).__table__.relations.values():
        definition.write(one, UNSET)


class _Accessor:
    """What is found where the field of a relation would be."""

    __slots__ = ("definition", "handle")

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.handle: type[Handle[Any]] = (
            EitherOne if definition.is_either else _HANDLES[definition.kind]
        )

    def __get__(self, one: Any, owner: type) -> Handle[Any]:
        return self.handle(self.definition, one)

    def __set__(self, one: Any, value: Any) -> None:
        if type(value) is Found:
            self.definition.put(one, value.value)
            return
        if self.definition.kind != "belongs_to":
            raise RelationError(
                f"{self.definition.short} cannot be assigned: the key is in the other rows. Use the "
                "methods of it, such as add(), create() or remove()."
            )
        if self.definition.is_either:
            assign_either(self.definition, one, value)
        else:
            assign(self.definition, one, value)


_HANDLES: dict[RelationKind, type[Handle[Any]]] = {
    "belongs_to": One,
    "has_one": OwnedOne,
    "has_many": Many,
    "many_to_many": Linked,
}
_RELATIONS: dict[RelationKind, type[Relation[Any, Any]]] = {
    "belongs_to": ToOne,
    "has_one": ToOne,
    "has_many": ToMany,
    "many_to_many": ToMany,
}


class _Key(property):
    """A column that relations refer by: who sets it to another value makes what they loaded stale."""

    def __init__(self, get: Callable[[Any], Any], put: Callable[[Any, Any], None]) -> None:
        self.definitions: list[Definition] = []
        super().__init__(get, self.put)
        self.inner = put

    def put(self, one: Any, value: Any) -> None:
        if self.fget is not None and self.fget(one) != value:
            for definition in self.definitions:
                definition.write(one, UNSET)
        self.inner(one, value)


def _watch(definition: Definition) -> None:
    """See to it that what is loaded is forgotten when the key changes."""
    owner = definition.owner
    for name in either_names(definition) if definition.is_either else foreign_names(definition):
        key = vars(owner).get(name)
        if not isinstance(key, _Key):
            found = next(vars(each)[name] for each in owner.__mro__ if name in vars(each))
            key = _Key(found.__get__, found.__set__)
            _replace(owner, name, key)
        key.definitions.append(definition)


# What the fields hold, as it is documented: that can be said once the other class is there.

_unknown: dict[str, list[ref[Definition]]] = {}


def _annotate(made: Any, definitions: Mapping[str, Definition]) -> None:
    for definition in definitions.values():
        for target in definition.targets:
            if isinstance(target, str):
                _unknown.setdefault(target.rpartition(".")[2], []).append(ref(definition))
        _describe(definition)
    for each in _unknown.get(made.__name__, ()):
        waiting = each()
        if waiting is not None:
            _describe(waiting)


def _describe(definition: Definition) -> None:
    """Say what the field holds, if all the models that it may lead to are there."""
    try:
        targets = [
            find_model(each, definition.owner, definition.where) if isinstance(each, str) else each
            for each in definition.targets
        ]
    except ModelError:
        return  # not yet, or two have the name: the first query says so
    type_: Any = Union[tuple(targets)]  # noqa: UP007 - at run time
    if definition.many:
        type_ = list[type_]
    if definition.may_be_none:
        type_ = Union[type_, None]  # noqa: UP007 - at run time
    owner = definition.owner
    owner.__annotations__ = {
        **vars(owner).get("__annotations__", {}),
        definition.name: Union[type_, UnsetType],  # noqa: UP007 - at run time
    }


advisers.append(advice)
