"""How relations are declared: ``posts: HasMany["Post"] = rel(fk="author_id")``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from oxidite.db.relations.definition import DeclaredRelation, ForeignKeys, RelationType
from oxidite.db.relations.handles import Many, One, OwnedOne
from oxidite.db.relations.linked import Linked
from oxidite.db.relations.relation import ToMany, ToOne

__all__ = ["BelongsTo", "HasMany", "HasOne", "ManyToMany", "rel"]

T = TypeVar("T")
P = TypeVar("P")
V = TypeVar("V")
M = TypeVar("M")


if TYPE_CHECKING:

    class BelongsTo(Generic[T]):
        """The one row that this one refers to: ``author: BelongsTo[User] = rel(fk="author_id")``.

        On the class it is a ``ToOne`` for queries, on an object a ``One``, to be awaited. An object can
        be assigned: that sets the key.
        """

        @overload
        def __get__(self: BelongsTo[V | None], instance: None, owner: type[M]) -> ToOne[M, V]: ...
        @overload
        def __get__(self, instance: None, owner: type[M]) -> ToOne[M, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> One[T]: ...
        def __get__(self, instance: object, owner: type) -> object: ...
        def __set__(self, instance: object, value: T) -> None: ...

    class HasOne(Generic[T]):
        """The one row that refers to this one: ``profile: HasOne["Profile | None"] = rel()``."""

        @overload
        def __get__(self: HasOne[V | None], instance: None, owner: type[M]) -> ToOne[M, V]: ...
        @overload
        def __get__(self, instance: None, owner: type[M]) -> ToOne[M, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> OwnedOne[T]: ...
        def __get__(self, instance: object, owner: type) -> object: ...

    class HasMany(Generic[T]):
        """The rows that refer to this one: ``posts: HasMany["Post"] = rel(fk="author_id")``."""

        @overload
        def __get__(self, instance: None, owner: type[M]) -> ToMany[M, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Many[T]: ...
        def __get__(self, instance: object, owner: type) -> object: ...

    class ManyToMany(Generic[T, P]):
        """Rows linked by those of a pivot model: ``groups: ManyToMany["Group", "Membership"] = rel()``."""

        @overload
        def __get__(self, instance: None, owner: type[M]) -> ToMany[M, T]: ...
        @overload
        def __get__(self, instance: object, owner: type) -> Linked[T, P]: ...
        def __get__(self, instance: object, owner: type) -> object: ...

else:

    class BelongsTo:
        """The one row that this one refers to: ``author: BelongsTo[User] = rel(fk="author_id")``.

        On the class it is a ``ToOne`` for queries, on an object a ``One``, to be awaited. An object can
        be assigned: that sets the key.
        """

        def __class_getitem__(cls, item: object) -> RelationType:
            return RelationType("belongs_to", (item,))

    class HasOne:
        """The one row that refers to this one: ``profile: HasOne["Profile | None"] = rel()``."""

        def __class_getitem__(cls, item: object) -> RelationType:
            return RelationType("has_one", (item,))

    class HasMany:
        """The rows that refer to this one: ``posts: HasMany["Post"] = rel(fk="author_id")``."""

        def __class_getitem__(cls, item: object) -> RelationType:
            return RelationType("has_many", (item,))

    class ManyToMany:
        """Rows linked by those of a pivot model: ``groups: ManyToMany["Group", "Membership"] = rel()``."""

        def __class_getitem__(cls, item: object) -> RelationType:
            if not isinstance(item, tuple) or len(item) != 2:
                raise TypeError(
                    "ManyToMany has two models: where it leads to, and the one whose rows are the "
                    'links: ManyToMany["Group", "Membership"].'
                )
            return RelationType("many_to_many", item)


def rel(
    *,
    fk: ForeignKeys | None = None,
    other: ForeignKeys | None = None,
    kind: str | None = None,
    through: str | None = None,
    source: str | None = None,
    on_soft_delete: Literal["cascade"] | None = None,
    touch: bool = False,
    init: Literal[False] = False,  # noqa: ARG001 - tells type checkers that it is not in the constructor
) -> Any:
    """Say what is particular about a relation; what can be told from ``references=`` need not be said.

    ``fk`` are the columns that refer: of this class for a ``BelongsTo``, of the other one for a
    ``HasOne`` or ``HasMany``, of the pivot to this one for a ``ManyToMany``, whose columns to the far
    end are ``other``. ``kind`` is a column beside ``fk`` that holds the name of the table referred to,
    where rows may refer to those of several. ``through`` is a relation of this class, and ``source`` the one that goes on from
    there: all the comments on the posts of a user. With ``on_soft_delete="cascade"`` what belongs to
    an object is marked as deleted with it, and restored with it. With ``touch`` a ``BelongsTo`` notes
    in the other row's ``updated_at`` that this one was saved.
    """
    return DeclaredRelation(
        fk=_keys(fk),
        other=_keys(other),
        kind=kind,
        through=through,
        source=source,
        on_soft_delete=on_soft_delete,
        touch=touch,
    )


def _keys(keys: ForeignKeys | None) -> tuple[str, ...]:
    return () if keys is None else (keys,) if isinstance(keys, str) else tuple(keys)
