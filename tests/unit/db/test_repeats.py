"""Statements that repeat themselves are told of, with the place and what to do."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.unit.db.related import Post, User, blog

from oxidite.db import Database, NotLoadedError
from oxidite.db.statements.repeats import Repeats
from oxidite.db.statements.watch import watchers
from oxidite.testing import assert_no_repeats, assert_queries

pytestmark = pytest.mark.anyio


@pytest.fixture
async def watched() -> Database:
    db = Database.from_url("sqlite://")
    db.warns_of_repeats = True
    return db


async def test_a_loop_is_told_of_once_with_its_place_and_the_way_out(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched:
        await blog(watched)
        post = await Post.get(1)
        for _ in range(25):
            await User.get(post.author_id)
    (record,) = [each for each in caplog.records if "r_users.id =" in each.getMessage()]
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert "the same statement ran 10 times in one task, from " in message
    assert "test_repeats.py:" in message
    assert "for all rows at once: .with_(Post.author) or with in_()" in message


async def test_each_task_has_counts_of_its_own(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched:
        await blog(watched)
        caplog.clear()
        for _ in range(12):
            await asyncio.create_task(User.get(1))
    assert caplog.records == []


async def test_what_is_written_again_and_again_is_told_of_too(
    watched: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched:
        await watched.push(User)
        for number in range(10):
            await User.create(name=str(number))
    (record,) = caplog.records
    assert "INSERT INTO r_users" in record.getMessage()
    assert "Write what belongs together at once" in record.getMessage()


async def test_a_task_that_lives_on_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    repeats = Repeats(at=3, window=-1.0)
    statement = Post.query().statement
    for _ in range(9):
        repeats(statement, "SELECT 1")
    assert caplog.records == []
    near = Repeats(at=3)
    for _ in range(9):
        near(statement, "SELECT 1")
    assert len(caplog.records) == 1


async def test_nobody_listens_unless_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Database.from_url("sqlite://"):
        assert watchers == []
    monkeypatch.setenv("OXIDITE_ENV", "development")
    async with Database.from_url("sqlite://"), Database.from_url("sqlite://", name="second"):
        assert len(watchers) == 1
    assert watchers == []


async def test_a_test_says_how_many_statements_may_run(db: Database) -> None:
    await blog(db)
    async with assert_queries(1) as seen:
        await Post.count()
    assert "test_repeats.py" in seen.statements[0]
    assert "SELECT count(*)" in seen.statements[0]
    with pytest.raises(AssertionError, match=r"2 statements ran, and 1 were.*:\n.*test_repeats"):
        await _count_twice()
    assert watchers == []


async def test_a_test_says_that_nothing_may_be_repeated(db: Database) -> None:
    await blog(db)
    async with assert_no_repeats():
        for post in await Post.query().all():
            await post.author
    with assert_no_repeats(at_most=2):
        await User.get(1)
        await User.get(2)
    with pytest.raises(AssertionError, match=r"The same statement ran 4 times.*with_\(\)"):
        await _load_alone()


async def _count_twice() -> None:
    with assert_queries(1):
        await Post.count()
        await User.count()


async def _load_alone() -> None:
    with assert_no_repeats():
        for post in await Post.query().lazy("single").all():
            await post.author


async def test_an_error_inside_is_not_hidden(db: Database) -> None:
    await blog(db)
    with pytest.raises(NotLoadedError):
        async with assert_queries(7):
            await (await Post.strict().all())[0].author
