"""What relations load and what conditions over them hold for, compared with the same done in Python."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.db.related import Comment, Post, Profile, User

from oxidite.db import Database
from oxidite.db.writes import saving

pytestmark = pytest.mark.anyio


class Row(NamedTuple):
    """A post to be: of which user, with which score, and whether it seems to be deleted."""

    user: int
    score: int
    is_deleted: bool


ROWS = st.lists(st.builds(Row, st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=12)


async def _users(db: Database, rows: list[Row]) -> list[list[int]]:
    """Write four users and their posts; return the scores of those that are seen, by user."""
    users = [User(name=str(number)) for number in range(4)]
    await saving.insert_many(users)
    posts = [Post(title="x", score=row.score, author_id=users[row.user].id) for row in rows]
    for post, row in zip(posts, rows, strict=True):
        post.deleted_at = post.created_at if row.is_deleted else None
    await saving.insert_many(posts)
    return [[r.score for r in rows if r.user == n and not r.is_deleted] for n in range(4)]


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=ROWS,
    limit=st.none() | st.integers(0, 4),
    offset=st.none() | st.integers(0, 4),
    at_least=st.integers(0, 6),
)
async def test_what_is_loaded_and_counted_is_what_python_finds(
    db: Database, rows: list[Row], limit: int | None, offset: int | None, at_least: int
) -> None:
    await db.push(User, Post, Comment, Profile)

    class UndoneError(Exception):
        pass

    with contextlib.suppress(UndoneError):
        async with db.transaction():
            scores = await _users(db, rows)
            wanted = User.posts.where(Post.score >= at_least).order_by(Post.score, Post.id)
            wanted = wanted.limit(limit)
            if offset is not None:
                wanted = wanted.offset(offset)
            users = await User.order_by(User.id).with_(wanted).all()
            fitting = [sorted(s for s in own if s >= at_least) for own in scores]
            start = offset or 0
            end = None if limit is None else start + limit
            assert [[p.score for p in u.posts.value] for u in users] == [
                own[start:end] for own in fitting
            ]

            condition = Post.score >= at_least
            counted = User.order_by(User.id).with_count(User.posts.where(condition))
            assert [number for _, number in await counted.all()] == list(map(len, fitting))
            for made, holds in (
                (User.posts.any(condition), [bool(own) for own in fitting]),
                (User.posts.none(condition), [not own for own in fitting]),
                (User.posts.every(condition), [all(s >= at_least for s in own) for own in scores]),
                (User.posts.count() > 1, [len(own) > 1 for own in scores]),
            ):
                found = await User.where(made).order_by(User.id).all()
                assert [int(user.name) for user in found] == [n for n in range(4) if holds[n]]
            seen = await Post.query().order_by(Post.id).all()
            assert [(await post.author).id for post in seen] == [post.author_id for post in seen]
            raise UndoneError


async def test_what_is_read_already_is_loaded_later(db: Database) -> None:
    await db.push(User, Post, Comment, Profile)
    await _users(db, [Row(0, 1, False), Row(0, 2, False), Row(3, 3, False)])
    users = await User.order_by(User.id).all()
    await User.posts.order_by(Post.score.desc()).load(users)
    await User.posts.load([])
    assert [[post.score for post in user.posts.value] for user in users] == [[2, 1], [], [], [3]]
