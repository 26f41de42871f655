"""What a type checker makes of relations: the valid forms, and the mistakes it must refuse."""

from __future__ import annotations

from typing import assert_type

from oxidite.db import (
    BelongsTo,
    Col,
    Expr,
    HasMany,
    HasOne,
    Linked,
    Many,
    ManyToMany,
    Model,
    One,
    Select,
    ToMany,
    ToOne,
    col,
    rel,
)


class User(Model, table="typed_authors"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    posts: HasMany["Post"] = rel(fk="author_id")  # noqa: UP037 - as where annotations are evaluated
    profile: HasOne[Profile | None] = rel()
    groups: ManyToMany[Group, Membership] = rel()


class Post(Model, table="typed_posts"):
    id: Col[int] = col(pk=True, init=False)
    score: Col[int] = col(default=0)
    author_id: Col[int] = col(references=User.id)
    editor_id: Col[int | None] = col(default=None, references=User.id)
    author: BelongsTo[User] = rel()
    editor: BelongsTo[User | None] = rel()


class Profile(Model, table="typed_profiles"):
    id: Col[int] = col(pk=True, init=False)
    user_id: Col[int] = col(references=User.id)


class Group(Model, table="typed_groups"):
    id: Col[int] = col(pk=True, init=False)


class Membership(Model, table="typed_memberships"):
    user_id: Col[int] = col(pk=True, references=User.id)
    group_id: Col[int] = col(pk=True, references=Group.id)
    role: Col[str] = col(default="member")


class Film(Model, table="typed_films"):
    id: Col[int] = col(pk=True, init=False)


class Remark(Model, table="typed_remarks"):
    id: Col[int] = col(pk=True, init=False)
    subject_id: Col[int]
    subject_type: Col[str]
    subject: BelongsTo[Post | Film] = rel(fk="subject_id", kind="subject_type")


async def valid() -> None:
    user, post = await User.get(1), await Post.get(1)
    assert_type(User.posts, ToMany[User, Post])
    assert_type(Post.author, ToOne[Post, User])
    assert_type(Post.editor, ToOne[Post, User])
    assert_type(User.profile, ToOne[User, Profile])
    assert_type(User.groups, ToMany[User, Group])
    author, posts, groups = post.author, user.posts, user.groups
    assert_type((author, posts, groups), tuple[One[User], Many[Post], Linked[Group, Membership]])

    assert_type(await post.author, User)
    assert_type(await post.editor, User | None)
    assert_type(post.author.value, User)
    assert_type(await user.posts, list[Post])
    assert_type(await user.profile, Profile | None)
    assert_type(await user.groups.pairs(), list[tuple[Group, Membership]])
    assert_type(await user.posts.where(Post.score > 1).all(), list[Post])
    assert_type(await user.posts.create(score=1), Post)
    assert_type(await user.groups.attach(Group(), role="x"), list[Membership])

    assert_type(await (await Remark.get(1)).subject, Post | Film)
    Remark.query().with_(Remark.subject)

    query = User.query().with_(User.posts.where(Post.score > 1).limit(3).with_(Post.author))
    assert_type(query, Select[User])
    assert_type(query.with_count(User.posts), Select[tuple[User, int]])
    assert_type(await query.with_count(User.posts, User.groups).all(), list[tuple[User, int, int]])
    assert_type(User.posts.count(), Expr[int, int])
    User.where(User.posts.any(Post.score > 3), User.posts.count() > 3, ~User.profile.has())
    post.author = user
    post.editor = None
    Post(author_id=1)


async def mistakes() -> None:
    user, post = await User.get(1), await Post.get(1)
    User.query().with_(Post.author)  # type: ignore[arg-type]
    User.query().with_(User.posts.with_(User.profile))  # type: ignore[arg-type]
    User.query().with_(User.name)  # type: ignore[arg-type]
    User.query().with_count(User.profile)  # type: ignore[call-overload]
    User.where(User.posts)  # type: ignore[arg-type]
    User.posts.any(Post.score > "x")  # type: ignore[operator]
    Post.author.any()  # type: ignore[attr-defined]
    post.author = None  # type: ignore[assignment]
    post.author = post  # type: ignore[assignment]
    Post(author_id=1, author=user)  # type: ignore[call-arg]
    await user.posts.add(user)  # type: ignore[arg-type]
    await user.posts.attach(post)  # type: ignore[attr-defined]
    print(post.author.name)  # type: ignore[attr-defined]
