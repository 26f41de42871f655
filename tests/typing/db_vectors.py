"""What a type checker makes of vectors and their distances."""

from __future__ import annotations

from array import array
from typing import assert_type

from oxidite.db import Col, Distance, Model, Select, Vector, col


class Doc(Model, table="typed_docs"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    at: Col[Vector] = col(dimensions=2)
    maybe: Col[Vector | None] = col(dimensions=2, metric="l2", default=None)


async def distances(doc: Doc) -> None:
    assert_type(doc.at, Vector)
    assert_type(doc.maybe, Vector | None)
    assert_type(Doc.at.distance([1, 2]), Distance[float])
    assert_type(Doc.at.distance(array("f", [1, 2])), Distance[float])
    assert_type(Doc.at.distance(doc.at), Distance[float])
    assert_type(Doc.maybe.distance([1, 2]), Distance[float | None])
    assert_type(Doc.at.distance(Doc.maybe), Distance[float | None])
    rows = await Doc.order_by(Doc.at.distance([1, 2])).select(Doc, Doc.maybe.distance([1, 2])).all()
    assert_type(rows, list[tuple[Doc, float | None]])
    assert_type(await Doc.where(Doc.at.distance(Doc.at) < 0.5).all(), list[Doc])


async def nearest() -> None:
    query = Doc.nearest(Doc.at, [1, 2], limit=3)
    assert_type(query, Select[tuple[Doc, float]])
    assert_type(await query.offset(3).all(), list[tuple[Doc, float]])
    assert_type(
        await Doc.where(Doc.id > 3).nearest(Doc.maybe, Vector([1, 2])).first(),
        tuple[Doc, float] | None,
    )


def values(one: Vector) -> None:
    assert_type(one[0], float)
    assert_type(one[1:], Vector)
    assert_type(list(one), list[float])
    assert_type(one.distance([1, 2], metric="l2"), float)


def wrong() -> None:
    Doc.text.distance([1, 2])  # type: ignore[misc]  # no vectors
    Doc.nearest(Doc.text, [1, 2])  # type: ignore[arg-type]  # no vectors
    Doc.at.distance(["a"])  # type: ignore[list-item]  # no numbers
    Vector(["a"])  # type: ignore[list-item]  # no numbers
