"""JSON documents and arrays in conditions, and lists of every kind of values."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest
from msgspec import UNSET, Struct, UnsetType

from oxidite.db import Col, Database, Model, QueryError, col, fn


class Prefs(Struct, omit_defaults=True):
    theme: str | int | bool | UnsetType | None = UNSET
    size: float | None = None
    tags: list[str] = []
    deep: dict[str, Any] = {}


class Page(Model, table="pages"):
    id: Col[int] = col(pk=True)
    prefs: Col[Prefs] = col(json=True, default_factory=Prefs)
    data: Col[dict[str, Any] | None] = col(json=True, default=None)
    words: Col[list[str]] = col(array=True, default_factory=list)
    marks: Col[list[int]] = col(array=True, default_factory=list)


@pytest.fixture
async def pages(db: Database) -> Database:
    await db.push(Page)
    await Page.create(
        id=1,
        prefs=Prefs("dark", 1.5, ["a", "b"], {"x": {"y": [1, {"z": "end"}]}}),
        words=["a", "b"],
        marks=[1, 2],
    )
    await Page.create(id=2, prefs=Prefs("light", 2, ["b"]), data={"n": 5, "s": "5", "b": True})
    await Page.create(id=3, prefs=Prefs(5), data={"n": 5.5, "none": None}, words=["é😀"])
    await Page.create(id=4, prefs=Prefs(True), data={"b": False, "": "empty", "a b.c": 1})
    await Page.create(id=5, prefs=Prefs(None), marks=[2, 3])
    await Page.create(id=6)
    return db


async def ids(*conditions: Any) -> list[int]:
    return [page.id for page in await Page.where(*conditions).order_by(Page.id).all()]


class TestPaths:
    async def test_parts_are_compared_by_type(self, pages: Database) -> None:
        theme = Page.prefs["theme"]
        assert await ids(theme == "dark") == [1]
        assert await ids(theme == 5) == [3]
        assert await ids(theme == "5") == []
        assert await ids(theme == True) == [4]  # noqa: E712
        assert await ids(theme == 1) == []
        assert await ids(theme != "dark") == [2, 3, 4, 5]
        assert await ids(theme != 5) == [1, 2, 4, 5]
        assert await ids(Page.data["n"] == 5.0) == [2]
        assert await ids(Page.data["b"] == False) == [4]  # noqa: E712

    async def test_parts_in_a_list(self, pages: Database) -> None:
        theme = Page.prefs["theme"]
        assert await ids(theme.in_(["dark", "light", "x'"])) == [1, 2]
        assert await ids(theme.in_([5, True, "dark"])) == [1, 3, 4]
        assert await ids(theme.not_in(["dark", 5])) == [2, 4, 5]
        assert await ids(theme.in_([])) == []
        before = len(pages.plans)
        assert await ids(theme.in_(["light"])) == [2]
        assert len(pages.plans) == before

    async def test_what_is_not_there(self, pages: Database) -> None:
        theme = Page.prefs["theme"]
        assert await ids(theme == None) == [5, 6]  # noqa: E711
        assert await ids(theme != None) == [1, 2, 3, 4]  # noqa: E711
        assert await ids(theme.exists()) == [1, 2, 3, 4, 5]
        assert await ids(Page.prefs.has_key("theme")) == [1, 2, 3, 4, 5]
        assert await ids(Page.prefs["deep"].has_key("x")) == [1]
        assert await ids(~Page.prefs["deep"]["x"]["y"].exists()) == [2, 3, 4, 5, 6]
        assert await ids(Page.data.is_null()) == [1, 5, 6]

    async def test_keys_and_places_go_deep(self, pages: Database) -> None:
        way = Page.prefs["deep"]["x"]["y"]
        assert await ids(way[0] == 1) == [1]
        assert await ids(way[1]["z"] == "end") == [1]
        if pages.dialect.json_from_end:
            assert await ids(way[-1]["z"] == "end") == [1]
        else:
            with pytest.raises(QueryError, match="from the end"):
                await ids(way[-1]["z"] == "end")
        assert await ids(Page.prefs["tags"][1] == "b") == [1]
        assert await ids(Page.data["a b.c"] == 1) == [4]
        assert await ids(Page.data[""] == "empty") == [4]

    async def test_parts_as_values(self, pages: Database) -> None:
        theme, size = Page.prefs["theme"], Page.prefs["size"]
        query = Page.order_by(Page.id).select(theme.as_text(), theme.as_int(), theme.as_bool())
        assert await query.all() == [
            ("dark", None, None),
            ("light", None, None),
            ("5", 5, None),
            ("true", None, True),
            (None, None, None),
            (None, None, None),
        ]
        rows = await Page.order_by(Page.id).select(size.as_float(), size.as_int()).all()
        assert rows[:2] == [(1.5, 1), (2.0, 2)]
        assert await ids(size > 1) == [1, 2]
        assert await ids(size >= 2.0, size.as_int() < 3) == [2]
        assert await ids(theme < "e") == [1, 3]
        assert await ids(size == fn.value(1.5)) == [1]
        whole = await Page.order_by(Page.id).select(Page.prefs["tags"], Page.prefs["deep"]).all()
        assert whole[0] == (["a", "b"], {"x": {"y": [1, {"z": "end"}]}})
        assert whole[1] == (["b"], None)
        total = fn.sum(Page.prefs["size"].as_float())
        assert await Page.query().select(total).all() == [(3.5,)]

    async def test_documents_contain_documents(self, pages: Database) -> None:
        assert await ids(Page.prefs.contains({"theme": "dark"})) == [1]
        assert await ids(Page.prefs.contains({"tags": ["b"]})) == [1, 2]
        assert await ids(Page.prefs.contains({"deep": {"x": {}}})) == [1]
        assert await ids(Page.prefs["tags"].contains(["a"])) == [1]
        assert await ids(Page.prefs["tags"].contains("a")) == [1]
        assert await ids(Page.prefs.contains({"theme": 1})) == []
        assert await ids(Page.data.contains({"n": 5, "s": "5"})) == [2]

    async def test_any_path_has_one_plan(self, pages: Database) -> None:
        await ids(Page.prefs["a"] == "x")
        before = len(pages.plans)
        for key in ("b", "c d", "$", "$.theme", "' OR 1=1 --", "*", "**", "[0]", "#-1", "é😀"):
            assert await ids(Page.prefs[key] == "x") == []
        assert len(pages.plans) == before

    async def test_keys_cannot_break_out(self, pages: Database) -> None:
        for key in ('a"', 'theme".x', '"', "\\", "a\x00", "a\n", "x" * 256):
            with pytest.raises(QueryError, match="cannot be a key"):
                Page.prefs[key]
            with pytest.raises(QueryError, match="cannot be a key"):
                Page.prefs.has_key(key)
        for part in (1.5, None, True, ["a"]):
            with pytest.raises(QueryError, match="key \\(str\\) or a place"):
                Page.prefs[part]  # type: ignore[index]

    async def test_mistakes_are_told(self) -> None:
        column: Any = Page.id
        with pytest.raises(QueryError, match="is no JSON"):
            column["x"]
        with pytest.raises(QueryError, match="contains"):
            _ = Page.prefs["tags"] == ["a"]
        with pytest.raises(QueryError, match="is compared with text"):
            Page.prefs["tags"] < ["a"]  # type: ignore[operator]  # noqa: B015


class TestArrays:
    async def test_elements(self, pages: Database) -> None:
        assert await ids(Page.words.contains(["a"])) == [1]
        assert await ids(Page.words.contains(["a", "c"])) == []
        assert await ids(Page.words.contains([])) == [1, 2, 3, 4, 5, 6]
        assert await ids(Page.words.has("é😀")) == [3]
        assert await ids(Page.marks.has(2)) == [1, 5]
        assert await ids(Page.marks.overlaps([3, 9, 1])) == [1, 5]
        assert await ids(Page.marks.overlaps([])) == []
        assert await ids(Page.words.overlaps(["b", "é😀"])) == [1, 3]
        assert await ids(Page.words.length() == 2) == [1]
        assert await ids(Page.marks.length() == 0) == [2, 3, 4, 6]

    async def test_any_number_has_one_plan(self, pages: Database) -> None:
        before = len(pages.plans)
        for count in range(4):
            await ids(Page.marks.overlaps(range(count)), Page.words.contains(["x"] * count))
        assert len(pages.plans) == before + 1

    async def test_what_is_no_array(self) -> None:
        column: Any = Page.id
        with pytest.raises(QueryError, match="is no array"):
            column.has(1)


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Thing(Model, table="things"):
    id: Col[UUID] = col(pk=True, default_factory=uuid4)
    blob: Col[bytes] = col(default=b"")
    day: Col[date] = col(default=date(2024, 1, 1))
    at: Col[datetime] = col(default=datetime(2024, 1, 1, tzinfo=UTC))
    clock: Col[time] = col(default=time(1))
    took: Col[timedelta] = col(default=timedelta())
    exact: Col[Decimal] = col(default=Decimal(1), precision=12, scale=2)
    real: Col[float] = col(default=0.0)
    yes: Col[bool] = col(default=False)
    mood: Col[Mood] = col(default=Mood.GOOD)
    size: Col[Literal["s", "m"]] = col(default="s")
    text: Col[str] = col(default="")


class TestLists:
    async def test_values_of_every_kind(self, db: Database) -> None:
        await db.push(Thing)
        one = await Thing.create()
        other = await Thing.create(
            blob=b"\x00\xff'",
            day=date(1, 1, 1),
            at=datetime(2024, 2, 29, 23, 59, 59, 999999, UTC),
            clock=time(23, 59, 59, 999999),
            took=timedelta(days=3, microseconds=7),
            exact=Decimal("12345.67"),
            real=1e-7,
            yes=True,
            mood=Mood.BAD,
            size="m",
            text="é😀'\"\\",
        )
        for name, column in Thing.__table__.by_name.items():
            mine = getattr(other, name)

            async def found(condition: Any) -> list[UUID]:
                return [each.id for each in await Thing.where(condition).all()]

            assert await found(column.in_([mine])) == [other.id], name
            assert await found(column.not_in([mine])) == [one.id], name
            assert len(await found(column.in_([mine, getattr(one, name)]))) == 2, name
            assert await found(column.in_([])) == [], name
            assert len(await found(column.not_in([]))) == 2, name

    async def test_one_plan_for_any_number(self, db: Database) -> None:
        await db.push(Thing)
        before = len(db.plans)
        for count in (0, 1, 50, 1000):
            await Thing.where(Thing.id.in_([uuid4() for _ in range(count)])).all()
        assert len(db.plans) == before + 1

    async def test_what_is_no_list(self) -> None:
        with pytest.raises(QueryError, match="None is no value"):
            Thing.text.in_(["a", None])  # type: ignore[list-item]
        with pytest.raises(QueryError, match="A list of values"):
            Thing.text.in_("abc")


def test_one_value_is_no_list() -> None:
    one: Any = 3
    for condition in (Page.marks.contains, Page.data.contains, Page.id.in_, Page.marks.overlaps):
        with pytest.raises(QueryError, match="A list of values is expected, and 3 is one value"):
            condition(one)
