"""A small library: models whose rows tracked functions are made of, and what can be read and done there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from oxidite.cache import reads
from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    ManyToMany,
    Model,
    SoftDeletes,
    Timestamps,
    Version,
    col,
    fn,
    rel,
)
from oxidite.db.database import database_of


class Author(Model, table="t_authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    visits: Col[int] = col(default=0)
    books: HasMany[Book] = rel()


class Book(Model, Timestamps, SoftDeletes, Version, table="t_books"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(unique=True)
    price: Col[int] = col(default=0)
    author_id: Col[int] = col(references=Author.id, on_delete="cascade")
    author: BelongsTo[Author] = rel()
    shelves: ManyToMany[Shelf, Placing] = rel()


class Shelf(Model, table="t_shelves"):
    code: Col[str] = col(pk=True, max_length=20)
    note: Col[str] = col(default="")
    books: ManyToMany[Book, Placing] = rel()


class Placing(Model, table="t_placings"):
    book_id: Col[int] = col(pk=True, references=Book.id, on_delete="cascade")
    shelf_code: Col[str] = col(pk=True, max_length=20, references=Shelf.code, on_delete="cascade")
    weight: Col[int] = col(default=0)


async def furnish(db: Database) -> None:
    """Two authors with two books each, and two shelves with one of them on each."""
    await db.push(Author, Book, Shelf, Placing)
    for name in ("Ada", "Ben"):
        author = await Author.create(name=name)
        for number in (1, 2):
            await Book.create(title=f"{name} {number}", price=number, author_id=author.id)
    for code in ("A", "B"):
        await Shelf.create(code=code)
    for number, code in ((1, "A"), (3, "B")):
        await Placing.create(book_id=number, shelf_code=code)


Read = Callable[[], Awaitable[str]]


async def by_key() -> str:
    found = [await Author.get_or_none(key) for key in (1, 2, 3)]
    return str([each and (each.name, each.visits) for each in found])


async def book_by_key() -> str:
    found = [await Book.get_or_none(key) for key in (1, 2, 5)]
    return str([each and (each.title, each.price) for each in found])


async def shelf_by_key() -> str:
    found = [await Shelf.get_or_none(key) for key in ("A", "B", "C")]
    return str([each and each.note for each in found])


async def by_list_of_keys() -> str:
    found = await Author.where(Author.id.in_([1, 3])).order_by(Author.id).all()
    return str([(each.id, each.name, each.visits) for each in found])


async def by_condition() -> str:
    found = await Book.where(Book.price > 0).order_by(Book.id).all()
    return str([(each.title, each.price, each.author_id) for each in found])


async def counted() -> str:
    return str(
        (await Author.count(), await Book.query().with_deleted().count(), await Placing.count())
    )


async def joined() -> str:
    rows = (
        await Book.query()
        .join(Author, on=Book.author_id == Author.id)
        .select(Book.title, Author.name, Author.visits)
        .order_by(Book.id)
        .all()
    )
    return str(rows)


async def with_condition_over_a_relation() -> str:
    found = await Author.where(Author.books.any(Book.price > 1)).order_by(Author.id).all()
    return str([each.name for each in found])


async def with_subquery() -> str:
    inner = Author.where(Author.name == "Ada").select(Author.id)
    found = await Book.where(Book.author_id.in_(inner)).order_by(Book.id).all()
    return str([each.title for each in found])


async def loaded_along() -> str:
    found = await Author.with_(Author.books).order_by(Author.id).all()
    return str([(each.name, sorted([b.title for b in await each.books])) for each in found])


async def awaited_through_a_pivot() -> str:
    found = await Shelf.order_by(Shelf.code).all()
    return str([(each.code, sorted([b.title for b in await each.books])) for each in found])


async def awaited_parent() -> str:
    found = await Book.order_by(Book.id).all()
    return str([(await each.author).name for each in found])


async def derived() -> str:
    sums = (
        Book.query()
        .select(Book.author_id, fn.sum(Book.price))
        .group_by(Book.author_id)
        .order_by(Book.author_id)
    )
    union = Author.where(Author.visits > 0).union(Author.where(Author.name == "Ada"))
    return str((await sums.all(), sorted([each.name for each in await union.all()])))


async def page() -> str:
    found = await Author.order_by(Author.id.desc()).keyset(limit=2)
    return str([(each.name, each.visits) for each in found.items])


async def streamed() -> str:
    return str([(each.name, each.visits) async for each in Author.order_by(Author.id).stream()])


async def in_parts() -> str:
    return str([each.name async for part in Author.query().chunk(2) for each in part])


async def with_sql() -> str:
    with reads(Author):
        return str(
            await database_of(Author.__table__)
            .sql("SELECT id, name FROM t_authors ORDER BY id")
            .all()
        )


async def there_is_one() -> str:
    return str(await Book.where(Book.title == "Ada 1").exists())


READS: dict[str, Read] = {
    each.__name__: each
    for each in (
        by_key,
        book_by_key,
        shelf_by_key,
        by_list_of_keys,
        by_condition,
        counted,
        joined,
        with_condition_over_a_relation,
        with_subquery,
        loaded_along,
        awaited_through_a_pivot,
        awaited_parent,
        derived,
        page,
        streamed,
        in_parts,
        with_sql,
        there_is_one,
    )
}


Write = Callable[[Database], Awaitable[object]]


async def saved(db: Database) -> None:
    author = await Author.get(1)
    author.name = "Eve"
    await author.save()


async def saved_with_version(db: Database) -> None:
    book = await Book.get(1)
    book.price = 9
    await book.save()


async def created(db: Database) -> None:
    await Author.create(name="Cyd")


async def created_with_a_key_of_its_own(db: Database) -> None:
    await Shelf.create(code="C", note="new")


async def incremented(db: Database) -> None:
    author = await Author.get(1)
    await author.increment(Author.visits, 5)


async def deleted_softly(db: Database) -> None:
    await (await Book.get(1)).delete()


async def restored(db: Database) -> None:
    book = await Book.get(2)
    await book.delete()
    await book.restore()
    book.price = 33
    await book.save()


async def deleted_with_what_refers_to_it(db: Database) -> None:
    await (await Author.get(1)).delete()


async def updated_by_query(db: Database) -> None:
    await Author.where(Author.name == "Ada").update(visits=7)


async def updated_by_key(db: Database) -> None:
    await Author.where(Author.id == 1).update(visits=8)


async def deleted_by_query(db: Database) -> None:
    await Author.where(Author.name == "Ben").delete()


async def force_deleted_by_query(db: Database) -> None:
    await Book.where(Book.price > 1).force_delete()


async def many_created(db: Database) -> None:
    await Author.create_many([Author(name=f"New {number}") for number in range(50)])


async def few_created(db: Database) -> None:
    await Author.create_many([Author(name="Few 1"), Author(name="Few 2")])


async def many_loaded(db: Database) -> None:
    await Author.load_many([Author(name=f"New {number}") for number in range(50)])


async def many_updated(db: Database) -> None:
    authors = await Author.all()
    for each in authors:
        each.visits = 3
    await Author.update_many(authors)


async def many_deleted(db: Database) -> None:
    await Book.delete_many(await Book.all(), force=True)


async def many_deleted_softly(db: Database) -> None:
    await Book.delete_many(await Book.where(Book.author_id == 2).all())


async def upserted(db: Database) -> None:
    many = [Book(title="Ada 1", price=50, author_id=2), Book(title="Ada 9", price=5, author_id=1)]
    await Book.upsert(many, on=[Book.title])


async def upserted_by_key(db: Database) -> None:
    await Shelf.upsert([Shelf(code="A", note="x"), Shelf(code="C", note="y")], on=[Shelf.code])


async def got_or_created(db: Database) -> None:
    await Book.get_or_create(Book(title="Ada 7", price=5, author_id=1), on=[Book.title])


async def updated_or_created(db: Database) -> None:
    await Book.update_or_create(Book(title="Ada 1", price=70, author_id=1), on=[Book.title])


async def attached(db: Database) -> None:
    await (await Shelf.get("A")).books.attach(await Book.get(2))


async def detached(db: Database) -> None:
    await (await Shelf.get("A")).books.detach_all()


async def synced(db: Database) -> None:
    await (await Shelf.get("B")).books.sync([await Book.get(4)])


async def written_by_sql(db: Database) -> None:
    await db.sql("UPDATE t_authors SET name = :name WHERE id = 1", name="Eve").run()


async def deleted_by_sql(db: Database) -> None:
    await db.sql("DELETE FROM t_authors WHERE id = 1").run()


async def written_by_core(db: Database) -> None:
    table = db.sa_table(Author)
    await db.sa(table.update().values(visits=4)).run()


async def in_a_transaction(db: Database) -> None:
    async with db.transaction():
        await saved(db)
        async with db.transaction():
            await created(db)


WRITES: dict[str, Write] = {
    each.__name__: each
    for each in (
        saved,
        saved_with_version,
        created,
        created_with_a_key_of_its_own,
        incremented,
        deleted_softly,
        restored,
        deleted_with_what_refers_to_it,
        updated_by_query,
        updated_by_key,
        deleted_by_query,
        force_deleted_by_query,
        many_created,
        few_created,
        many_loaded,
        many_updated,
        many_deleted,
        many_deleted_softly,
        upserted,
        upserted_by_key,
        got_or_created,
        updated_or_created,
        attached,
        detached,
        synced,
        written_by_sql,
        deleted_by_sql,
        written_by_core,
        in_a_transaction,
    )
}
