"""The models of the tests of relations: a small blog with groups, profiles and a tree."""

from __future__ import annotations

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    HasOne,
    ManyToMany,
    Model,
    SoftDeletes,
    Timestamps,
    Version,
    col,
    rel,
)


class User(Model, Timestamps, SoftDeletes, table="r_users"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    age: Col[int] = col(default=30)
    posts: HasMany[Post] = rel(fk="author_id", on_soft_delete="cascade")
    profile: HasOne[Profile | None] = rel()
    groups: ManyToMany[Group, Membership] = rel()
    comments: HasMany[Comment] = rel(through="posts")


class Post(Model, Timestamps, SoftDeletes, Version, table="r_posts"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str]
    score: Col[int] = col(default=0)
    author_id: Col[int] = col(references=User.id)
    editor_id: Col[int | None] = col(default=None, references=User.id)
    author: BelongsTo[User] = rel()
    editor: BelongsTo[User | None] = rel(fk="editor_id")
    comments: HasMany[Comment] = rel(on_soft_delete="cascade")


class Comment(Model, SoftDeletes, table="r_comments"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    post_id: Col[int | None] = col(default=None, references=Post.id)
    post: BelongsTo[Post | None] = rel()


class Profile(Model, table="r_profiles"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]
    user_id: Col[int] = col(references=User.id)
    user: BelongsTo[User] = rel()


class Group(Model, table="r_groups"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    members: ManyToMany[User, Membership] = rel()


class Membership(Model, table="r_memberships"):
    user_id: Col[int] = col(pk=True, references=User.id, on_delete="cascade")
    group_id: Col[int] = col(pk=True, references=Group.id, on_delete="cascade")
    role: Col[str] = col(default="member")
    group: BelongsTo[Group] = rel()


class Category(Model, table="r_categories"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    parent_id: Col[int | None] = col(default=None, references="r_categories.id")
    parent: BelongsTo[Category | None] = rel()
    children: HasMany[Category] = rel(fk="parent_id")
    grandchildren: HasMany[Category] = rel(through="children", source="children")


class Branch(Model, table="r_branches"):
    country: Col[str] = col(pk=True)
    number: Col[int] = col(pk=True)
    staff: HasMany[Clerk] = rel(fk=("country", "branch_number"))


class Clerk(Model, table="r_clerks"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]
    country: Col[str]
    branch_number: Col[int]
    branch: BelongsTo[Branch] = rel(fk=("country", "branch_number"))


async def blog(db: Database) -> None:
    """Create the tables of the blog: three users, Ada with three posts, Ben with one, Cyd with none."""
    await db.push(User, Post, Comment, Profile, Group, Membership)
    ada, ben = await User.create(name="Ada", age=40), await User.create(name="Ben", age=20)
    await User.create(name="Cyd")
    for number, author in enumerate((ada, ben, ada, ada)):
        post = await Post.create(title=f"Post {number}", score=number * 5, author_id=author.id)
        for place in range(number):
            await Comment.create(text=f"{number}.{place}", post_id=post.id)
