"""Conditions over what belongs to a row."""

from __future__ import annotations

import pytest
from tests.unit.db.related import Category, Comment, Group, Membership, Post, Profile, User, blog

from oxidite.db import Database, QueryError

pytestmark = pytest.mark.anyio


async def names(query: object) -> list[str]:
    rows = await query.all()  # type: ignore[attr-defined]
    return [user.name for user in rows]


async def test_any_none_and_every(db: Database) -> None:
    await blog(db)
    users = User.order_by(User.name)
    assert await names(users.where(User.posts.any())) == ["Ada", "Ben"]
    assert await names(users.where(User.posts.any(Post.score > 9))) == ["Ada"]
    assert await names(users.where(User.posts.none())) == ["Cyd"]
    assert await names(users.where(User.posts.none(Post.score > 9))) == ["Ben", "Cyd"]
    assert await names(users.where(User.posts.every(Post.score > 4))) == ["Ben", "Cyd"]
    assert await names(users.where(~User.posts.any() | (User.age > 35))) == ["Ada", "Cyd"]


async def test_what_is_unknown_does_not_hold_for_every_row(db: Database) -> None:
    await blog(db)
    # Nobody edits anything: the comparison is NULL, and that is not true.
    assert await names(User.where(User.posts.every(Post.editor_id > 0))) == ["Cyd"]


async def test_the_other_end_of_a_reference(db: Database) -> None:
    await blog(db)
    assert await Post.where(Post.author.has(User.age > 30)).count() == 3
    assert await Post.where(~Post.editor.has()).count() == 4
    assert await Comment.where(Comment.post.has(Post.author.has(User.name == "Ben"))).count() == 1
    await User.where(User.name == "Ada").one()
    assert await User.where(User.profile.has(Profile.text == "x")).count() == 0


async def test_numbers_of_rows_are_compared_ordered_and_asked_for(db: Database) -> None:
    await blog(db)
    assert await names(User.where(User.posts.count() >= 3)) == ["Ada"]
    assert await names(User.where(User.posts.where(Post.score > 5).count() == 0)) == ["Ben", "Cyd"]
    assert await User.order_by(User.id).select(User.name, User.comments.count()).all() == [
        ("Ada", 5),
        ("Ben", 1),
        ("Cyd", 0),
    ]
    assert await names(User.order_by(User.comments.count().desc(), User.id)) == [
        "Ada",
        "Ben",
        "Cyd",
    ]


async def test_columns_of_the_row_around_can_be_compared(db: Database) -> None:
    await blog(db)
    assert await names(User.where(User.posts.any(Post.score * 3 > User.age))) == ["Ada"]
    assert await names(User.where(User.posts.any(Post.score * 2 > User.age))) == []


async def test_what_seems_to_be_deleted_is_not_there(db: Database) -> None:
    await blog(db)
    ben = await User.where(User.name == "Ben").one()
    (post,) = await ben.posts
    await post.delete()
    assert await names(User.where(User.posts.any())) == ["Ada"]
    assert await names(User.order_by(User.id).where(User.posts.with_deleted().any())) == [
        "Ada",
        "Ben",
    ]
    assert await User.where(User.id == ben.id).select(User.comments.count()).all() == [(0,)]


async def test_across_a_pivot(db: Database) -> None:
    await blog(db)
    tea = await Group.create(name="Tea")
    for number, role in ((1, "chair"), (2, "member")):
        await Membership.create(user_id=number, group_id=tea.id, role=role)
    assert await names(User.order_by(User.id).where(User.groups.any(Group.name == "Tea"))) == [
        "Ada",
        "Ben",
    ]
    assert await names(User.where(User.groups.any(Membership.role == "chair"))) == ["Ada"]
    assert await Group.query().select(Group.members.count()).all() == [(2,)]


async def test_values_are_bound_in_their_order(db: Database) -> None:
    await blog(db)
    found = await (
        User.where(
            User.name != "x", User.posts.any(Post.score > 1, Post.title != "y"), User.age < 99
        )
        .order_by(User.id)
        .with_count(User.posts.where(Post.title != "Post 0"))
        .limit(5)
        .all()
    )
    assert [(user.name, count) for user, count in found] == [("Ada", 2), ("Ben", 1)]


async def test_a_shape_has_one_plan(db: Database) -> None:
    await blog(db)
    await User.where(User.posts.any(Post.score > 1)).all()
    before = len(db.plans)
    for score in range(5):
        await User.where(User.posts.any(Post.score > score)).all()
        await User.with_(User.posts.limit(score)).all()
        await User.with_(User.comments).all()
    assert len(db.plans) == before + 3  # the users alone, and two ways to load


async def test_mistakes(db: Database) -> None:
    await db.push(Category)
    with pytest.raises(QueryError, match=r"where\(\) takes conditions"):
        User.posts.where(3)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match=r"with_\(\) takes relations, such as User.posts"):
        User.with_(User.name)  # type: ignore[arg-type]
    with pytest.raises(QueryError, match=r"leave out limit\(\) and offset\(\)"):
        User.posts.limit(3).any()
    with pytest.raises(QueryError, match="that does not read r_comments"):
        await Category.where(Category.children.any(Comment.text == "x")).all()
