"""What a type checker makes of joins, aggregates, windows, JSON paths and queries inside of queries."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, assert_type

from msgspec import Struct

from oxidite.db import (
    Col,
    Derived,
    Expr,
    JsonPath,
    Model,
    Select,
    alias,
    col,
    exists,
    filter_by,
    fn,
    optional,
    sort_by,
)


class Prefs(Struct):
    theme: str = "light"


class Author(Model, table="typed_authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    boss_id: Col[int | None] = col(default=None)
    prefs: Col[Prefs] = col(json=True, default_factory=Prefs)
    extra: Col[dict[str, int] | None] = col(json=True, default=None)
    words: Col[list[str]] = col(array=True, default_factory=list)


class Book(Model, table="typed_books"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str]
    author_id: Col[int] = col(references=Author.id)
    price: Col[Decimal] = col(default=Decimal(0))
    weight: Col[float | None] = col(default=None)
    lent: Col[datetime | None] = col(default=None)
    day: Col[date] = col(default=date.min)


Boss = alias(Author, "boss")
by_author = Book.author_id == Author.id


async def joins() -> None:
    assert_type(Boss, type[Author])
    query = Book.query().join(Author, on=by_author)
    assert_type(query, Select[Book])
    assert_type(await query.select(Book, Author).all(), list[tuple[Book, Author]])
    assert_type(await query.select(Book, Author.name).all(), list[tuple[Book, str]])
    left = Book.query().left_join(Author, on=by_author)
    assert_type(
        await left.select(Book, optional(Author), Author.name.optional()).all(),
        list[tuple[Book, Author | None, str | None]],
    )
    assert_type(
        await Author.query().join(Boss, on=Boss.id == Author.boss_id).select(Author, Boss).first(),
        tuple[Author, Author] | None,
    )
    Book.query().join(Author, on=True)  # type: ignore[arg-type]
    Book.query().join(str, on=by_author)  # type: ignore[arg-type]


async def functions() -> None:
    assert_type(await Book.query().select(fn.count()).all(), list[tuple[int]])
    assert_type(
        await Book.query()
        .select(fn.sum(Book.id), fn.sum(Book.price), fn.avg(Book.price), fn.avg(Book.id))
        .one(),
        tuple[int | None, Decimal | None, Decimal | None, float | None],
    )
    assert_type(
        await Book.query().select(fn.max(Book.lent), fn.min(Book.title)).one(),
        tuple[datetime | None, str | None],
    )
    assert_type(
        await Book.query().select(fn.count().filter(Book.id > 3), fn.array_agg(Book.id)).one(),
        tuple[int, list[int] | None],
    )
    assert_type(fn.coalesce(Author.boss_id, 0), Expr[int, int])
    assert_type(fn.coalesce(Author.boss_id, Author.id), Expr[int, int])
    assert_type(fn.nullif(Author.id, 3), Expr[int, int | None])
    assert_type(fn.case((Book.id > 3, "a"), else_="b"), Expr[str, str])
    assert_type(fn.case((Book.id > 3, "a")), Expr[str, str | None])
    assert_type(fn.lower(Book.title), Expr[str, str])
    assert_type(fn.date_trunc("month", Book.day), Expr[date, date])
    assert_type(fn.cast(Book.title, int), Expr[int, int])
    assert_type(fn.func("soundex", Book.title, returns=str), Expr[str, str])
    assert_type(fn.row_number().over(order_by=Book.id), Expr[int, int])
    assert_type(fn.lag(Book.id).over(order_by=Book.id), Expr[int, int | None])
    assert_type(fn.lag(Book.id, default=0).over(order_by=Book.id), Expr[int, int])
    assert_type(fn.sum(Book.id).over(partition_by=Book.title), Expr[int, int | None])
    fn.sum(Book.title)  # type: ignore[type-var]
    fn.lower(Book.id)  # type: ignore[arg-type]
    fn.date_part("eon", Book.day)  # type: ignore[arg-type]
    Book.where(fn.count() > "x")  # type: ignore[operator]
    Book.query().select(fn.row_number())  # type: ignore[call-overload]


async def subqueries() -> None:
    ids = Book.query().select(Book.author_id)
    await Author.where(Author.id.in_(ids), exists(Book.where(by_author))).all()
    await Author.where(Author.boss_id.in_(ids)).all()
    await Author.where(Author.name.in_(ids)).all()  # type: ignore[arg-type]
    best = Book.where(by_author).select(fn.max(Book.id)).scalar()
    assert_type(best, Expr[int, int | None])
    total = fn.sum(Book.id)
    table = Book.query().group_by(Book.author_id).select(Book.author_id, total).cte("totals")
    assert_type(table, Derived[tuple[int, int | None]])
    assert_type(table[total], Expr[int, int | None])
    assert_type(await table.query().all(), list[tuple[int, int | None]])
    assert_type(await Book.query().subquery("books").query().all(), list[Book])
    assert_type(Book.query().union(Book.where(Book.id > 3)), Select[Book])
    Book.query().union(Author.query())  # type: ignore[arg-type]
    Book.query().scalar()  # type: ignore[misc]

    def newest(query: Select[Book], count: int) -> Select[Book]:
        return query.order_by(Book.id.desc()).limit(count)

    assert_type(Book.query().apply(newest, 3), Select[Book])
    Book.query().apply(newest, "3")  # type: ignore[arg-type]
    Author.query().apply(newest, 3)  # type: ignore[arg-type]


async def documents() -> None:
    assert_type(Author.prefs["theme"], JsonPath)
    assert_type(Author.prefs["theme"].as_text(), Expr[str, str | None])
    Author.where(Author.prefs["theme"] == "dark", Author.prefs["n"] > 3, Author.prefs.has_key("x"))
    Author.where(Author.prefs["theme"] == None)  # noqa: E711
    Author.where(Author.prefs.contains({"theme": "dark"}))
    Author.where(Author.words.contains(["a"]), Author.words.has("a"), Author.words.overlaps(["b"]))
    Author.where(Author.words.contains([1]))  # type: ignore[list-item]
    Author.where(Author.words.has(1))  # type: ignore[arg-type]
    Author.where(Author.prefs[1.5] == "x")  # type: ignore[index]


def names(sort: str | None, given: dict[str, str | list[str]]) -> Select[Book]:
    allow: list[Any] = [Book.title, Book.day]
    query = Book.where(*filter_by(given, allow=allow))
    return query.order_by(*sort_by(sort, allow=[Book.title, Book.day], default=[Book.id]))
