"""Full-text search: the same call finds the same in each database, but for what is said of it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.db.conftest import database_url

from oxidite.db import (
    SQL,
    Col,
    Database,
    DatabaseError,
    HasMany,
    Keys,
    Model,
    ModelError,
    QueryError,
    SoftDeletes,
    Tenancy,
    Timestamps,
    alias,
    col,
    index,
    rel,
    search,
)
from oxidite.db.drivers.sqlite_errors import errors
from oxidite.db.migrations import TableSpec
from oxidite.db.sql.compiler import compile_statement
from oxidite.db.sql.schema import create_statements
from oxidite.db.values.dialects import MYSQL
from oxidite.db.values.words import boolean_mode, fts5
from oxidite.ids import uuid7

tenancy = Tenancy[int]()


class Author(Model, table="search_authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(unique=True, max_length=50)
    posts: HasMany[Post] = rel(fk="author_id")


class Post(
    Model,
    SoftDeletes,
    table="search_posts",
    indexes=[
        index(
            lambda post: search(post.title, post.body, language="english").vector,
            using="gin",
            name="ix_search_posts_english",
        ),
        index(lambda post: search(post.title, post.body).vector, using="gin"),
        index(lambda post: search(post.title).vector, using="gin"),
    ],
):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=200)
    body: Col[str | None] = col(default=None)
    likes: Col[int] = col(default=0)
    author_id: Col[int | None] = col(default=None, references=Author.id, on_delete="cascade")


class Doc(
    Model,
    table="search_docs",
    indexes=[index(lambda doc: search(doc.order).vector, using="gin", name="ix_search_docs")],
):
    id: Col[int] = col(pk=True, init=False)
    order: Col[str]  # a reserved word
    place: Col[int] = col(unique=True)


class Page(
    Model,
    table="search_pages",
    indexes=[index(lambda page: search(page.text).vector, using="gin", name="ix_search_pages")],
):
    id: Col[UUID] = col(pk=True, default_factory=uuid7)
    text: Col[str]
    place: Col[int] = col(unique=True)


class Line(
    Model,
    table="search_lines",
    scope=tenancy.by("tenant_id"),
    indexes=[index(lambda line: search(line.text).vector, using="gin", name="ix_search_lines")],
):
    tenant_id: Col[int] = col(pk=True, init=False, default_factory=tenancy.current)
    place: Col[int] = col(pk=True)
    text: Col[str]


class Note(Model, Timestamps, table="search_notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    secret: Col[str] = col(encrypted=Keys("k" * 40), default="")


ENGLISH = search(Post.title, Post.body, language="english")
SIMPLE = search(Post.title, Post.body)
TITLE = search(Post.title)


@pytest.fixture
async def posts(db: Database) -> Database:
    await db.push(Author, Post)
    await Post.create_many(
        [
            Post(title="Cats", body="They sleep on the sofa. A cat purrs."),
            Post(title="Dogs and cats", body="Running dogs, sleeping cats"),
            Post(title="The dog's own sofa"),
            Post(title="It's 100% 'quoted' \\ é 😀", body=""),
        ]
    )
    return db


async def titles(words: str, found: Any = SIMPLE) -> list[str]:
    query = Post.where(found.matches(words)).order_by(found.rank(words).desc(), Post.id)
    return [each.title for each in await query.all()]


DOCUMENTS = [
    "a cat",
    "the cat and the dog",
    "dog the cat",
    "Cat. Dog! (bird)",
    "to be or not to be",
    "STRASSE straße 42 4 2",
    "x_y 'quoted' it's",
    "naïve café cafe",
    "日本語 हिन्दी привет",
    "",
    "😀 - \" ' \\ % * ( ) | & ! : < > ~ @ + $1 ; -- /* */",
    "cat cat cat bird",
]
QUERIES = {
    "cat": {0, 1, 2, 3, 11},
    "CAT Dog": {1, 2, 3},
    "cat -dog": {0, 11},
    "-cat": {4, 5, 6, 7, 8, 9, 10},
    "-cat -to": {5, 6, 7, 8, 9, 10},
    "- dog cat": {0, 11},
    "--cat": {0, 1, 2, 3, 11},
    '"cat dog"': {3},
    '"the cat"': {1, 2},
    'cat -"the cat"': {0, 3, 11},
    '"cat and the dog': {1},
    'dog"the cat"': {1, 2},
    "bird or be": {3, 4, 11},
    "bird dog or be": {3, 4},
    "bird -dog OR be -cat": {4, 11},
    "-cat or bird": {3, 4, 5, 6, 7, 8, 9, 10, 11},
    "bird or -cat": {3, 4, 5, 6, 7, 8, 9, 10, 11},
    "or": {4},
    "be or": {4},
    "be | or": {4},
    "a": {0},
    "to be": {4},
    "not": {4},
    "cat dogs": set(),
    "ca": set(),
    "ca*": set(),
    "cat*": {0, 1, 2, 3, 11},
    "+cat": {0, 1, 2, 3, 11},
    "title:cat": set(),
    "(cat|dog)": {1, 2, 3},
    "cat&dog": {1, 2, 3},
    "cat NEAR dog": set(),
    "cat AND bird": set(),
    "straße": {5},
    "42": {5},
    "4 2": {5},
    "x y": {6},
    "x_y": {6},
    "it's": {6},
    "s": {6},
    "'quoted'": {6},
    "café": {7},
    "cafe": {7},
    "cafés": set(),
    "日本語": {8},
    "日本": set(),
    "हिन्दी": {8},
    "हिन्द": set(),
    "привет": {8},
    "": set(),
    "- ! \" '": set(),
    "😀": set(),
    "cat 😀": {0, 1, 2, 3, 11},
    "🦊🦊 -cat": {4, 5, 6, 7, 8, 9, 10},
}


@pytest.mark.parametrize("model", [Doc, Page])
async def test_the_same_is_found_everywhere(db: Database, model: Any) -> None:
    await db.push(model)
    text = "order" if model is Doc else "text"
    await model.create_many(
        [model(**{text: each}, place=place) for place, each in enumerate(DOCUMENTS)]
    )
    found = search(getattr(model, text))
    for words, wanted in QUERIES.items():
        rows = await model.where(found.matches(words)).select(model.place).all()
        assert {place for (place,) in rows} == wanted, words
        others = await model.where(~found.matches(words)).count()
        assert others == len(DOCUMENTS) - len(wanted), words
        ranks = await model.where(found.matches(words)).select(found.rank(words)).all()
        assert all(isinstance(rank, float) and rank >= 0 for (rank,) in ranks), words


class TestWords:
    async def test_other_forms_of_a_word_are_found_where_its_language_is_known(
        self, posts: Database
    ) -> None:
        known = not posts.dialect.is_mysql
        assert sorted(await titles("cat", ENGLISH)) == ["Cats", "Dogs and cats"][: 1 + known]
        assert await titles("slept run", ENGLISH) == []
        assert await titles("sleeping running", ENGLISH) == ["Dogs and cats"]
        assert await titles("sleep runs", ENGLISH) == ["Dogs and cats"] * known
        assert await titles("cat") == ["Cats"]

    async def test_what_all_texts_have_is_left_out_of_a_language(self, posts: Database) -> None:
        assert await titles("the cats are running", ENGLISH) == ["Dogs and cats"]
        assert await titles("the", ENGLISH) == []
        assert sorted(await titles("-the sofa", ENGLISH)) == ["Cats", "The dog's own sofa"]
        assert sorted(await titles("the sofa")) == ["Cats", "The dog's own sofa"]
        assert await titles("the cats are running") == []

    @pytest.mark.usefixtures("posts")
    async def test_texts_are_one(self) -> None:
        assert await titles('"cats they sleep"') == ["Cats"]
        assert await titles("they", TITLE) == []

    @pytest.mark.usefixtures("posts")
    async def test_the_best_comes_first(self) -> None:
        await Post.create(title="cat, cat, cat", body="cat " * 20)
        assert (await titles("cat"))[0] == "cat, cat, cat"
        rank = SIMPLE.rank("cat")
        found = await Post.where(SIMPLE.matches("cat")).order_by(rank.desc()).select(rank).all()
        ranks = [each for (each,) in found]
        assert ranks == sorted(ranks, reverse=True)
        assert len(ranks) == 2
        assert all(each > 0 for each in ranks)
        (none,) = await Post.where(Post.title == "Dogs and cats").select(rank).all()
        assert none == (0.0,)

    @pytest.mark.parametrize(
        "words", ["😀" * 2000, "a\0b", "é" * 600, "w" * 90, '"' * 500, "-" * 500]
    )
    @pytest.mark.usefixtures("posts")
    async def test_what_is_not_there_is_not_found(self, words: str) -> None:
        assert await titles(words) == []
        assert await titles(words, ENGLISH) == []

    @pytest.mark.usefixtures("posts")
    async def test_five_hundred_characters_are_looked_at(self) -> None:
        await Post.create(title="a b")
        for many in (
            "a b " * 125,
            "a -c " * 100,
            "c or " * 99 + "a b",
            "-c " * 166 + "-d",
            '"a b" ' * 83,
        ):
            assert "a b" in await titles(many, TITLE), many
        assert await titles("a" + " " * 500 + "nothing", TITLE) == ["a b"]

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        words=st.text(
            st.sampled_from("ab \"'-\\&|!:*()<>%+~@{}^,.;é😀\0$1?") | st.characters(codec="utf-8")
        )
    )
    @pytest.mark.usefixtures("posts")
    async def test_any_text_is_understood(self, words: str) -> None:
        assert len(await titles(words, ENGLISH)) <= 4
        assert len(await titles(words)) <= 4


class TestBesideOthers:
    @pytest.mark.usefixtures("posts")
    async def test_it_is_a_condition_as_any(self) -> None:
        query = Post.where(SIMPLE.matches("cats") | (Post.title == "nothing"), Post.likes == 0)
        assert await query.count() == 2
        await Post.where(SIMPLE.matches("purrs")).delete()
        assert await query.count() == 1
        assert await query.with_deleted().count() == 2
        assert await query.only_deleted().count() == 1
        assert await Post.where(~SIMPLE.matches("cats")).count() == 2
        assert await Post.where(SIMPLE.matches("cats")).update(likes=5) == 1
        assert await Post.where(SIMPLE.matches("cats")).force_delete() == 1
        assert await query.with_deleted().count() == 1

    @pytest.mark.usefixtures("posts")
    async def test_pages_of_it(self) -> None:
        await Post.create_many([Post(title=f"bird {number}") for number in range(7)])
        query = Post.where(SIMPLE.matches("bird")).order_by(Post.id)
        cursor, seen = None, list[str]()
        while True:
            page = await query.keyset(after=cursor, limit=3)
            seen += [each.title for each in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert seen == [f"bird {number}" for number in range(7)]
        whole = await query.page(number=2, size=3)
        assert [each.title for each in whole.items] == ["bird 3", "bird 4", "bird 5"]
        assert whole.total == 7
        best = Post.where(SIMPLE.matches("bird")).order_by(SIMPLE.rank("bird").desc(), Post.id)
        assert len(await best.limit(3).offset(5).all()) == 2

    async def test_of_an_alias_and_of_what_is_related(self, posts: Database) -> None:
        Other = alias(Post, "other")  # noqa: N806 - a model
        found = Post.query().join(Other, on=Other.id == Post.id)
        assert await found.where(search(Other.title).matches("dogs")).count() == 1
        author = await Author.create(name="Ann")
        await Author.create(name="Ben")
        await Post.where(Post.title == "Cats").update(author_id=author.id)
        query = Author.where(Author.posts.any(SIMPLE.matches("purrs -dogs")))
        assert [each.name for each in await query.all()] == ["Ann"]
        if posts.dialect.full_join:
            both = Post.query().full_join(Other, on=Other.id == Post.id)
            assert await both.where(search(Other.title).matches("dogs")).count() == 1

    async def test_each_tenant_finds_its_own(self, db: Database) -> None:
        await db.push(Line)
        for tenant in (1, 2):
            with tenancy.of(tenant):
                await Line.create_many([Line(place=each, text=f"cat {tenant}") for each in (1, 2)])
        found = search(Line.text)
        with tenancy.of(1):
            query = Line.where(found.matches("cat")).order_by(found.rank("cat").desc(), Line.place)
            assert [each.text for each in await query.all()] == ["cat 1", "cat 1"]
            assert await Line.where(found.matches("2")).all() == []
            assert await Line.where(found.matches("cat")).update(text="dog") == 2
        with tenancy.of(2):
            assert await Line.where(found.matches("cat")).count() == 2
            assert await Line.where(found.matches("dog")).count() == 0


class TestInStep:
    """What is searched is what the rows are, however they came to be so."""

    @pytest.mark.usefixtures("posts")
    async def test_objects(self) -> None:
        post = await Post.create(title="bird")
        assert await titles("bird") == ["bird"]
        post.title = "fish"
        await post.save()
        assert await titles("bird") == []
        assert await titles("fish") == ["fish"]
        post.likes = 3
        await post.save()
        assert await titles("fish") == ["fish"]
        await post.delete()
        assert await titles("fish") == []
        await post.restore()
        assert await titles("fish") == ["fish"]
        await post.force_delete()
        assert await Post.where(SIMPLE.matches("fish")).with_deleted().count() == 0

    async def test_many(self, db: Database) -> None:
        await db.push(Doc)
        found = search(Doc.order)

        async def places(words: str) -> list[int]:
            rows = await Doc.where(found.matches(words)).order_by(Doc.place).select(Doc.place).all()
            return [place for (place,) in rows]

        await Doc.create_many([Doc(order=f"cat {place}", place=place) for place in range(5)])
        await Doc.load_many([Doc(order=f"cat {place}", place=place) for place in range(5, 10)])
        assert await places("cat") == [*range(10)]
        await Doc.where(Doc.place < 3).update(order="dog " + Doc.order)
        assert await places("dog") == [0, 1, 2]
        docs = await Doc.where(Doc.place >= 7).order_by(Doc.place).all()
        for each in docs:
            each.order = f"bird {each.place}"
        await Doc.update_many(docs)
        assert await places("cat") == [*range(7)]
        assert await places("bird") == [7, 8, 9]
        await Doc.upsert([Doc(order="fish", place=9), Doc(order="fish", place=10)], on=[Doc.place])
        await Doc.upsert(Doc(order="fish", place=8), on=[Doc.place], update=[])
        assert await places("fish") == [9, 10]
        assert await places("bird") == [7, 8]
        await Doc.delete_many(await Doc.where(found.matches("fish or bird")).all())
        assert await places("fish or bird") == []
        await Doc.where(found.matches("dog 1")).update(id=1000)
        assert await places("1") == [1]
        await Doc.where(Doc.id == 1000).delete()
        assert await places("1") == []
        assert await places("-cat") == []

    @pytest.mark.usefixtures("posts")
    async def test_rows_that_go_along(self) -> None:
        author = await Author.create(name="Ann")
        await Post.create(title="bird", author_id=author.id)
        assert await titles("bird") == ["bird"]
        await author.delete()
        assert await Post.where(SIMPLE.matches("bird")).with_deleted().count() == 0

    async def test_a_transaction(self, posts: Database) -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with posts.transaction():
                await Post.create(title="bird")
                await Post.where(SIMPLE.matches("cats")).update(title="x")
                # MariaDB looks at what was committed.
                assert await titles("bird") == ([] if posts.dialect.is_mysql else ["bird"])
                raise ZeroDivisionError
        assert await titles("bird") == []
        assert sorted(await titles("cats")) == ["Cats", "Dogs and cats"]

    @pytest.mark.parametrize("kind", ["memory", "file"])
    async def test_sqlite_is_cleaned_up(self, kind: str, tmp_path: Path) -> None:
        async with database_url(kind, tmp_path) as url, Database.from_url(url) as db:
            await db.push(Page)
            await Page.create_many([Page(text=f"page {each}", place=each) for each in range(50)])
            await Page.where(Page.place < 20).delete()
            async with db.driver.connection(write=True) as connection:
                await connection.run("VACUUM", ())
            found = search(Page.text)
            for place in (20, 33, 49):
                (one,) = await Page.where(found.matches(f"page {place}")).all()
                assert one.place == place
                one.text = "other"
                await one.save()
            assert await Page.where(found.matches("other")).count() == 3
            assert await Page.where(found.matches("page")).count() == 27
            await _check_words(db, "ix_search_pages")


async def _check_words(db: Database, name: str) -> None:
    """Have SQLite see to it that a table of words is whole."""
    async with db.driver.connection(write=True) as connection:
        words = f"ox_words_{name}"
        await connection.run(f"INSERT INTO {words} ({words}) VALUES ('integrity-check')", ())


_PARTS = [
    "a",
    "b",
    "c",
    "or",
    "-",
    '"',
    "(",
    "|",
    "&",
    "!",
    "OR",
    "-a",
    "<",
    ":",
    "a:-b",
    "a<->b",
    "--",
    '"a b"',
    '-"b a"',
    '("a',
    "or)",
]
_TEXTS = [
    "",
    "a",
    "b",
    "c",
    "a b",
    "b a",
    "a c",
    "c b",
    "a b c",
    "c b a",
    "b or c",
    "or",
    "a a b b",
    "x",
]


@pytest.fixture
async def together(tmp_path: Path) -> AsyncIterator[list[Database]]:
    """Open a database of each kind with the same rows."""
    async with contextlib.AsyncExitStack() as stack:
        opened: list[Database] = []
        for kind in ("memory", "postgresql", "mariadb"):
            url = await stack.enter_async_context(database_url(kind, tmp_path))
            made = Database.from_url(url, name=f"searched_{kind}")
            opened.append(await stack.enter_async_context(made))
            await made.push(Doc)
            with made.using():
                await Doc.create_many(
                    [Doc(order=each, place=place) for place, each in enumerate(_TEXTS)]
                )
        yield opened


@pytest.mark.service("postgres")
@pytest.mark.service("mariadb")
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(words=st.lists(st.sampled_from(_PARTS), max_size=8).map(" ".join))
async def test_what_is_typed_means_the_same(together: list[Database], words: str) -> None:
    found = search(Doc.order)
    told: list[list[tuple[int]]] = []
    for db in together:
        with db.using():
            query = Doc.where(found.matches(words)).order_by(Doc.place)
            told.append(await query.select(Doc.place).all())
    assert told[0] == told[1] == told[2], words


@pytest.mark.service("postgres")
async def test_an_index_is_used(tmp_path: Path) -> None:
    async with (
        database_url("postgresql", tmp_path) as url,
        Database.from_url(url) as db,
    ):
        await db.push(Author, Post)
        async with db.transaction():
            await db.sql("SET LOCAL enable_seqscan = off").all()
            told = await Post.where(ENGLISH.matches("cats")).explain()
            other = await Post.where(
                search(Post.title, language="german").matches("cats")
            ).explain()
    assert "ix_search_posts_english" in told
    assert "ix_search_posts" not in other


async def test_rows_are_ranked_once(tmp_path: Path) -> None:
    """Else a search that finds many rows would look through all of them for each."""
    async with database_url("memory", tmp_path) as url, Database.from_url(url) as db:
        await db.push(Author, Post)
        found = Post.where(SIMPLE.matches("cats")).order_by(SIMPLE.rank("cats").desc())
        told = await found.explain()
    assert "AUTOMATIC COVERING INDEX" in told
    assert "SEARCH search_posts USING INTEGER PRIMARY KEY" in told


class TestWithoutAnIndex:
    @pytest.mark.parametrize(
        "kind", ["memory", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]
    )
    async def test_it_is_asked_for(self, kind: str, tmp_path: Path) -> None:
        async with (
            database_url(kind, tmp_path) as url,
            Database.from_url(url) as db,
        ):
            await db.push(Note, Author, Post)
            with pytest.raises(QueryError, match=r"an index alone.*search\(row\.text\)\.vector"):
                await Note.where(search(Note.text).matches("a")).all()
            with pytest.raises(QueryError, match="none of these columns in this order"):
                await Post.where(search(Post.body, Post.title).matches("a")).all()
            with pytest.raises(QueryError, match="columns of one table"):
                await Post.where(search(Post.title.lower()).matches("a")).all()
            inner = Post.query().select(Post.title).subquery("inner_posts")
            with pytest.raises(QueryError, match="those of a sub-query"):
                await inner.query().where(search(inner[Post.title]).matches("a")).all()
            await db.push(Made)
            with pytest.raises(QueryError, match="over columns alone"):
                await db.push(Lowered)
            with pytest.raises(ModelError, match="Leave unique= out"):
                await db.push(Unique)

    @pytest.mark.parametrize(
        "kind", ["memory", pytest.param("mariadb", marks=pytest.mark.service("mariadb"))]
    )
    async def test_one_that_was_not_made_is_named(self, kind: str, tmp_path: Path) -> None:
        async with (
            database_url(kind, tmp_path) as url,
            Database.from_url(url) as db,
        ):
            async with db.driver.connection(write=True) as connection:
                await connection.run(
                    "CREATE TABLE search_docs (id INTEGER PRIMARY KEY, `order` TEXT, place INTEGER)",
                    (),
                )
            with pytest.raises(
                DatabaseError, match=r"ix_search_docs is not in the database.*db up"
            ):
                await Doc.where(search(Doc.order).matches("a")).all()

    def test_sqlite_may_have_been_built_without_it(self) -> None:
        with pytest.raises(DatabaseError, match="built without FTS5"), errors:
            raise sqlite3.OperationalError("no such module: fts5")

    async def test_mysql_has_none(self) -> None:
        query = Doc.where(search(Doc.order).matches("a"))
        with pytest.raises(QueryError, match=r"not MySQL.*contains"):
            compile_statement(query.statement, MYSQL)
        spec = TableSpec.of(Doc.__table__, MYSQL)
        for each in (Doc.__table__, spec.table()):
            with pytest.raises(ModelError, match=r"ix_search_docs.*MySQL"):
                create_statements([each], MYSQL)


class Made(
    Model,
    table="search_made",
    indexes=[
        index(
            SQL(
                """to_tsvector('simple'::regconfig, coalesce("order", '') || ' ' || coalesce(text, ''))"""
            )
        )
    ],
):
    id: Col[int] = col(pk=True, init=False)
    order: Col[str]
    text: Col[str] = col(max_length=100)


class Lowered(
    Model,
    table="search_lowered",
    indexes=[index(lambda row: search(row.text.lower()).vector, using="gin")],
):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]


class Unique(
    Model,
    table="search_unique",
    indexes=[index(lambda row: search(row.text).vector, unique=True, name="uq_words")],
):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]


class Person(
    Model,
    table="search_persons",
    indexes=[index(lambda row: search(row.whole, row.note).vector, using="gin", name="ix_persons")],
):
    id: Col[int] = col(pk=True, init=False)
    first: Col[str]
    whole: Col[str] = col(init=False, computed="replace(first, '_', ' ')", name="whole_name")
    note: Col[str] = col(default="", name="Note", ignore_case=True)


async def test_what_is_computed_is_searched(db: Database) -> None:
    await db.push(Person)
    person = await Person.create(first="Ann_Smith", note="Tall")
    found = search(Person.whole, Person.note)
    assert await Person.where(found.matches("ann smith TALL")).count() == 1
    person.first = "Ben_Smith"
    await person.save()
    assert await Person.where(found.matches("ann")).count() == 0
    assert await Person.where(found.matches("ben smith")).count() == 1


async def test_an_index_may_be_said_as_sql(db: Database) -> None:
    await db.push(Made)
    await Made.create(order="cats", text="dogs")
    assert await Made.where(search(Made.order, Made.text).matches("dogs cats")).count() == 1


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(QueryError, match="takes texts"):
        search()
    with pytest.raises(QueryError, match="columns of text"):
        search(Post.likes)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match="Encrypted"):
        search(Note.secret)
    with pytest.raises(QueryError, match="simple, english"):
        search(Post.title, language="english'; --")
    with pytest.raises(QueryError, match="as one text"):
        search(Post.title).matches(["a"])  # type: ignore[arg-type]


class TestAsItIsAskedFor:
    """Of what was typed only letters and digits come through; the rest is ours."""

    @given(words=st.text(st.sampled_from("aO R\"-:*^+~@(){}\\'x") | st.characters()))
    def test_nothing_that_was_typed_is_a_sign(self, words: str) -> None:
        for english in (False, True):
            assert _FTS5.fullmatch(fts5(words, english=english))
            assert _BOOLEAN.fullmatch(boolean_mode(words, english=english))

    def test_for_sqlite(self) -> None:
        assert fts5("a -b") == '((words : "a") NOT (words : "b"))'
        assert fts5("-b or c") == '((every : "x") NOT (words : "b")) OR (words : "c")'
        assert fts5('"a-b c') == '(words : "a b c")'
        assert fts5("the", english=True) == 'every : "nox"'

    def test_for_mariadb(self) -> None:
        assert boolean_mode("a -b") == "+xxa -xxb"
        assert boolean_mode("-b or c") == "(+yyy -xxb) (+xxc)"
        assert boolean_mode('-"a b"') == '+yyy -"xxa xxb"'
        assert boolean_mode("a " + "b" * 83) == ""
        assert boolean_mode("a -" + "b" * 83) == "+xxa"


_FTS5 = re.compile(r"""(?:(?:words|every) : "[^"():*^+-]+"| AND | NOT | OR |[()])+""")
_BOOLEAN = re.compile(r"""(?:[-+](?:xx[^\s"()+-]+|yyy|"xx[^"()+-]*")|[() ])*""")
