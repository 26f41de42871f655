"""From what a file or a variable holds to what a field of the settings is.

Values of a TOML file already have a type and must fit. Those of variables are ``Text`` and are read
leniently: words for booleans, commas or JSON for lists, nothing for ``None``. Every place that does
not fit is found, not only the first.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, TypeVar, cast, get_args, get_origin

import msgspec

from oxidite.config.problems import did_you_mean
from oxidite.config.scalars import (
    Misfit,
    MisfitError,
    Text,
    check,
    expected,
    plain,
    read_scalar,
    unfit,
    with_unit,
)
from oxidite.config.secret import MASK, Secret
from oxidite.config.shape import Field, fields_of, group_of, is_settings, union_arms, unwrap
from oxidite.config.units import Unit
from oxidite.errors import ConfigError

T = TypeVar("T")

REQUIRED = "is required"


def convert(value: object, kind: object) -> object:
    """Return ``value`` as ``kind``.

    Raises:
        MisfitError: it does not fit, with every place in it that does not.
    """
    base, notes = unwrap(kind)
    written = value
    for note in notes:
        if isinstance(note, Unit):
            written = with_unit(written, note)
    found = _convert(written, base)
    check(value, found, [note for note in notes if isinstance(note, msgspec.Meta)])
    return found


def fill(cls: type[T], tree: Mapping[str, object], *, start: object = None) -> T:
    """Return a ``cls`` of the values in ``tree``; ``start`` is one to take the others from.

    Raises:
        MisfitError: as ``convert``; a key without a field is a misfit, and a field without a value.
    """
    values: dict[str, object] = {}
    misfits: list[Misfit] = []
    fields = fields_of(cls)
    for field in fields:
        try:
            values[field.name] = _fill_field(field, tree, start)
        except MisfitError as exc:
            misfits += exc.under(field.name)
    known = [field.name for field in fields]
    misfits += [
        # Without its value: it may be a secret whose name was misspelt.
        Misfit((key,), f"is not a setting{did_you_mean(key, known)}")
        for key in tree
        if key not in known
    ]
    if misfits:
        raise MisfitError(*misfits)
    return _construct(cls, values)


def _fill_field(field: Field, tree: Mapping[str, object], start: object) -> object:
    group = group_of(field.kind)
    given = tree.get(field.name)
    if group and isinstance(given, dict):
        # What is given of a group is laid over its default, not put in the place of it.
        before = _before(field, start)
        return fill(group, given, start=before if isinstance(before, group) else None)
    if field.name in tree:
        return convert(given, field.kind)
    if start is not None or not field.is_required:
        return _before(field, start)
    if group and group is unwrap(field.kind)[0]:
        return fill(group, {})  # to name each missing value, and not only the group
    raise MisfitError(Misfit((), REQUIRED))


def _before(field: Field, start: object) -> object:
    if start is not None:
        return cast("object", getattr(start, field.name))
    return None if field.is_required else field.default()


def _construct(cls: type[T], values: dict[str, object]) -> T:
    try:
        return cls(**values)
    except (ValueError, TypeError, ConfigError) as exc:
        # From __post_init__, which sees the secrets and may have put one into its message.
        message = str(exc)
        for value in values.values():
            if isinstance(value, Secret) and value:
                message = message.replace(str(value.reveal()), MASK)
        raise MisfitError(Misfit((), message)) from None


def _convert(value: object, base: object) -> object:
    origin = get_origin(base) or base
    if origin in (Any, object):
        return plain(value)
    if union_arms(base):
        return _convert_union(value, base)
    if origin is Secret:
        return Secret(convert(value, _arguments(base, str)[0]))
    if origin in _SEQUENCES:
        return _SEQUENCES[origin](_convert_items(value, base))
    if origin in _MAPPINGS:
        return _convert_mapping(value, base)
    if is_settings(base):
        return fill(base, _mapping(value, base))
    return read_scalar(value, base)


def _convert_union(value: object, base: object) -> object:
    arms = [arm for arm in union_arms(base) if arm is not NoneType]
    if len(arms) < len(union_arms(base)) and _is_nothing(value):
        return None
    if len(arms) == 1:
        return convert(value, arms[0])
    # The type a value has already comes first; any text is a str, so for text that comes last.
    is_text = isinstance(value, Text)
    for arm in sorted(arms, key=lambda arm: (is_text and arm is str, arm is not type(value))):
        try:
            return convert(value, arm)
        except MisfitError:
            continue
    raise unfit(value, f"expected {expected(base)}")


def _is_nothing(value: object) -> bool:
    return value is None or (isinstance(value, Text) and not value.value.strip())


def _convert_items(value: object, base: object) -> list[object]:
    items = _items(value, base)
    kinds = _item_kinds(base, len(items))
    if len(kinds) != len(items):
        raise unfit(value, f"expected a list of {len(kinds)}")
    found: list[object] = []
    misfits: list[Misfit] = []
    for place, (item, kind) in enumerate(zip(items, kinds, strict=True)):
        try:
            found.append(convert(item, kind))
        except MisfitError as exc:
            misfits += exc.under(str(place))
    if misfits:
        raise MisfitError(*misfits)
    return found


def _item_kinds(base: object, length: int) -> list[object]:
    if get_origin(base) is tuple and get_args(base)[-1:] != (Ellipsis,):
        return list(get_args(base))
    return [_arguments(base, str)[0]] * length


def _items(value: object, base: object) -> list[object]:
    if isinstance(value, Text) and not value.value.lstrip().startswith("["):
        parts = value.value.split(",")
        if not parts[-1].strip():
            parts.pop()  # nothing at all, or a comma at the end
        return [Text(part.strip()) for part in parts]
    items = _json(value, base)
    if not isinstance(items, list):
        raise unfit(value, f"expected {expected(base)}")
    return items


def _convert_mapping(value: object, base: object) -> dict[object, object]:
    key_kind, value_kind = _arguments(base, str, Any)
    found: dict[object, object] = {}
    misfits: list[Misfit] = []
    for key, item in _mapping(value, base).items():
        try:
            found[convert(Text(key), key_kind)] = convert(item, value_kind)
        except MisfitError as exc:
            misfits += exc.under(key)
    if misfits:
        raise MisfitError(*misfits)
    return found


def _mapping(value: object, base: object) -> dict[str, object]:
    found = _json(value, base)
    if not isinstance(found, dict):
        raise unfit(value, f"expected {expected(base)}")
    return found


def _json(value: object, base: object) -> object:
    if not isinstance(value, Text):
        return value
    try:
        return msgspec.json.decode(value.value)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise unfit(value, f"expected {expected(base)}, written as JSON") from None


def _arguments(kind: object, *defaults: object) -> tuple[object, ...]:
    return get_args(kind) or defaults


_SEQUENCES: dict[object, Callable[[Iterable[object]], object]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: tuple,
    collections.abc.Collection: tuple,
    collections.abc.Iterable: tuple,
    collections.abc.Set: frozenset,
}
_MAPPINGS = (dict, collections.abc.Mapping)
