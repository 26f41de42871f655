"""Reads the columns out of the body of a class, and writes the fields of a struct into it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Annotated, Any, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Struct

from oxidite.db.errors import ModelError
from oxidite.db.relations.definition import DeclaredRelation
from oxidite.db.tables.caseless import CaselessColumn
from oxidite.db.tables.columns import COLUMN, Column, ColumnRules, Declared, TableKey
from oxidite.db.tables.encrypted import EncryptedColumn, encrypted_kind
from oxidite.db.tables.hidden import HiddenValue
from oxidite.db.values.keys import Keys
from oxidite.db.values.kinds import RANGES, VECTOR, Kind, kind_of, nullable
from oxidite.db.values.ranges import Range, documented
from oxidite.db.values.vectors import METRICS, MOST_DIMENSIONS

__all__ = [
    "RESERVED",
    "blind_indexes",
    "declared_columns",
    "hidden_columns",
    "inherited_columns",
    "inherited_options",
    "made_column",
    "place_column",
]

RESERVED: set[str] = set()
"""Names of what every model has: no column is called so."""


def declared_columns(
    namespace: Mapping[str, Any], bases: tuple[type, ...], locals_: Mapping[str, Any], where: str
) -> dict[str, tuple[object, Declared]]:
    """Return the columns of a class body and of its mixins: annotation and what ``col`` was told."""
    found: dict[str, tuple[object, Declared]] = {}
    for base in bases:
        if not isinstance(base, type(Struct)):
            found |= _columns_in(vars(base), sys.modules[base.__module__].__dict__, {}, where)
    module = sys.modules.get(namespace.get("__module__", ""))
    return found | _columns_in(namespace, vars(module) if module else {}, locals_, where)


def _columns_in(
    body: Mapping[str, Any], globals_: dict[str, Any], locals_: Mapping[str, Any], where: str
) -> dict[str, tuple[object, Declared]]:
    annotations = SimpleNamespace(
        __annotations__={
            name: annotation
            for name, annotation in body.get("__annotations__", {}).items()
            if not isinstance(body.get(name), DeclaredRelation)
        }
    )
    try:
        hints = get_type_hints(annotations, globals_, dict(locals_), include_extras=True)
    except NameError as exc:
        raise ModelError(
            f"{where}: an annotation names {exc.name!r}, which is not defined. Define it before the "
            "model, outside `if TYPE_CHECKING:`."
        ) from None
    found: dict[str, tuple[object, Declared]] = {}
    for name, hint in hints.items():
        if get_origin(hint) is Annotated and COLUMN in get_args(hint):
            told = body.get(name, UNSET)
            declared = told if isinstance(told, Declared) else Declared(default=told)
            annotation, rules = _with_meta(hint)
            found[name] = (annotation, replace(declared, rules={**rules, **declared.rules}))
            _check_column(name, declared, where)
    return found


def _with_meta(hint: object) -> tuple[object, ColumnRules]:
    """Return a column's type, and the rules that msgspec's ``Meta`` beside it has."""
    annotation, *notes = get_args(hint)
    inner, may_be_none = nullable(annotation)
    if get_origin(inner) is Annotated:
        annotation, *more = get_args(inner)
        annotation = annotation | None if may_be_none else annotation
        notes += more
    rules: dict[str, Any] = {}
    for note in notes:
        if isinstance(note, msgspec.Meta):
            found = {name: getattr(note, name) for name in _META}
            rules |= {name: value for name, value in found.items() if value is not None}
    return annotation, cast("ColumnRules", rules)


_META = ("ge", "gt", "le", "lt", "multiple_of", "pattern", "min_length", "max_length")


def _check_column(name: str, declared: Declared, where: str) -> None:
    rules: Mapping[str, Any] = {**declared.rules}
    problem = None
    if hasattr(Struct, name) or name in RESERVED:
        problem = f"a model has a {name} of its own. Call it otherwise, and keep the name in the "
        problem += f"database: col(name={name!r})"
    elif "computed" in rules and declared.init:
        problem = (
            "the database computes it, so it is none of the constructor's: col(init=False, ...)"
        )
    elif "encrypted" in rules and not isinstance(rules["encrypted"], Keys):
        problem = "encrypted= takes the keys: keys = Keys(...); col(encrypted=keys)"
    elif "encrypted" in rules and (found := _not_for_encrypted(rules)):
        problem = f"{found}= cannot be kept for a column that the database cannot read"
    elif rules.get("searchable") and "encrypted" not in rules:
        problem = "searchable= is for encrypted columns; any other can be searched"
    if problem is not None:
        raise ModelError(f"{where}: {name}: {problem}.")


def _not_for_encrypted(rules: Mapping[str, Any]) -> str | None:
    """Return a rule that an encrypted column cannot have."""
    refused = ["pk", "references", "check", "computed", "ignore_case"]
    if not rules.get("searchable"):
        refused += ["unique", "index"]
    return next((name for name in refused if rules.get(name)), None)


def made_column(
    key: TableKey, name: str, annotation: object, declared: Declared, where: str
) -> Column[Any, Any]:
    """Return the column of an annotation and of what ``col`` was told.

    Raises:
        ModelError: no column holds values of that type.
    """
    type_, may_be_none = nullable(annotation)
    rules = declared.rules
    try:
        kind = kind_of(
            type_,
            json=rules.get("json", False),
            array=rules.get("array", False),
            cast=rules.get("cast"),
        )
    except ModelError as exc:
        raise ModelError(f"{where}: {name}: {exc.message}") from None
    problem = _vector_problem(kind, rules) or _range_problem(kind, rules)
    if problem is not None:
        raise ModelError(f"{where}: {name}: {problem}.")
    if "encrypted" in rules:
        context = f"{key.name}.{rules.get('name', name)}".encode()
        kind = encrypted_kind(kind, rules["encrypted"], context)
        return EncryptedColumn(key, name, kind, declared, nullable=may_be_none)
    if rules.get("ignore_case"):
        return CaselessColumn(key, name, kind, declared, nullable=may_be_none)
    return Column(key, name, kind, declared, nullable=may_be_none)


def _vector_problem(kind: Kind, rules: ColumnRules) -> str | None:
    """Return what is wrong with what is said of vectors, if anything is."""
    if kind is not VECTOR:
        if "dimensions" in rules or "metric" in rules:
            return "dimensions= and metric= are for a column of the type Vector"
        is_inside = kind.stored is VECTOR or kind.element is VECTOR
        return "a Vector is the type of a column itself: Col[Vector]" if is_inside else None
    others = rules.keys() - _OF_VECTORS
    if others:
        return f"{min(others)}= is not for a Vector"
    dimensions, metric = rules.get("dimensions"), rules.get("metric", "cosine")
    if type(dimensions) is not int or not 1 <= dimensions <= MOST_DIMENSIONS:
        return (
            f"a Vector has so many numbers as dimensions= says, 1 to {MOST_DIMENSIONS:,}: "
            "col(dimensions=384)"
        )
    if metric not in METRICS:
        return f"metric={metric!r} is none of {', '.join(METRICS)}"
    return None


_OF_VECTORS = frozenset(
    (
        *("dimensions", "metric", "index", "hidden", "readonly", "on_update"),
        *("name", "renamed_from", "comment"),
    )
)


def _range_problem(kind: Kind, rules: ColumnRules) -> str | None:
    """Return what is wrong with what is said of ranges, if anything is."""
    if kind.stored.name not in RANGES:
        is_inside = kind.name == "array" and kind.element is not None
        inner = kind.element.stored.name if is_inside and kind.element is not None else ""
        return "an array holds no ranges: make a row of each" if inner in RANGES else None
    others = sorted(rules.keys() & _NOT_OF_RANGES)
    return f"{others[0]}= is not for a Range" if others else None


_NOT_OF_RANGES = frozenset(
    (
        *("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern", "check"),
        *("precision", "scale", "bits", "native", "ignore_case", "computed"),
    )
)


def place_column(
    namespace: dict[str, Any],
    name: str,
    annotation: object,
    declared: Declared,
    *,
    is_hidden: bool,
) -> None:
    """Write the field of a column into the class body, as msgspec wants it."""
    annotations = namespace.setdefault("__annotations__", {})
    if is_hidden:
        # No field of the struct: see hidden.py.
        annotations.pop(name, None)
        namespace[name] = HiddenValue(name)
        return
    annotations[name] = _documented(annotation)
    if declared.default_factory is not None:
        namespace[name] = msgspec.field(default_factory=declared.default_factory)
    elif declared.default is not UNSET or not declared.init:
        namespace[name] = declared.default
    else:
        namespace.pop(name, None)


def _documented(annotation: object) -> object:
    """Return an annotation that OpenAPI knows all of: of a range, what it is a range of."""
    inner, may_be_none = nullable(annotation)
    if get_origin(inner) is not Range:
        return annotation
    found: Any = documented(inner)
    return found | None if may_be_none else found


# What is inherited, and what follows from a column.


def inherited_columns(bases: tuple[type, ...], key: TableKey) -> dict[str, Column[Any, Any]]:
    """Return the columns of the models that one inherits from, as those of its own table."""
    return {
        each: column.of(key)
        for base in bases
        for each, column in getattr(base, "__columns__", {}).items()
    }


def blind_indexes(columns: dict[str, Column[Any, Any]]) -> dict[str, str]:
    """Add the blind indexes of columns to them; return their names and of what they are."""
    found: dict[str, str] = {}
    for name, column in list(columns.items()):
        if isinstance(column, EncryptedColumn) and column.index is not None:
            columns[column.index.name] = column.index
            found[column.index.name] = name
    return found


def hidden_columns(
    columns: Mapping[str, Column[Any, Any]], bases: tuple[type, ...], where: str
) -> dict[str, Declared]:
    """Return the hidden columns that have a value of their own.

    Raises:
        ModelError: a base shows one of them: it is a field of its struct, and so of this one.
    """
    found = {
        name: column.declared
        for name, column in columns.items()
        if column.is_hidden and column.kind.name != "blind index"
    }
    shown = {name for base in bases for name in getattr(base, "__struct_fields__", ())}
    for name in found:
        if name in shown:
            raise ModelError(
                f"{where}: {name} cannot be hidden, as a class that it inherits from shows it."
            )
    return found


def inherited_options(bases: tuple[type, ...], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model says of its table, and what its bases say where it says nothing."""
    found: dict[str, Any] = {}
    for said in (*(getattr(base, "__options__", {}) for base in reversed(bases)), own):
        for name, value in said.items():
            if name in ("indexes", "checks"):
                known = found.setdefault(name, [])
                known += [each for each in value if not any(each is one for one in known)]
            elif value is not None:
                found[name] = value
    return found
