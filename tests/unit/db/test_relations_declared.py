"""Relations as they are declared: how names are found, what is refused, what responses have of them."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from typing import Any

import msgspec
import pytest
from tests.unit.db.related import Category, Group, Membership, Post, User, blog

from oxidite import Oxidite
from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    ManyToMany,
    Model,
    ModelError,
    Timestamps,
    col,
    rel,
)
from oxidite.openapi import OpenAPI
from oxidite.testing import Client

pytestmark = pytest.mark.anyio


def test_on_the_class_it_is_a_relation_and_no_column() -> None:
    assert repr(User.posts) == "<relation User.posts>"
    assert "posts" not in User.__table__.by_name
    assert list(User.__table__.relations) == ["posts", "profile", "groups", "comments"]
    assert repr(User(name="x").posts).startswith("<User.posts of User(")


async def test_what_is_loaded_is_in_json_and_what_is_not_is_left_out(db: Database) -> None:
    await blog(db)
    post = await Post.where(Post.id == 2).with_(Post.comments).one()
    found = json.loads(msgspec.json.encode(post))
    assert [each["text"] for each in found["comments"]] == ["1.0"]
    assert "author" not in found
    await post.author
    await post.editor
    found = json.loads(msgspec.json.encode(post))
    assert found["author"]["name"] == "Ben"
    assert "posts" not in found["author"]
    assert found["editor"] is None
    post.author_id = 1
    assert "author" not in json.loads(msgspec.json.encode(post))


async def test_responses_and_their_document_have_relations() -> None:
    db = Database.from_url("sqlite://")
    app = Oxidite(resources=[db], plugins=[OpenAPI()])

    @app.get("/users/{id:int}")
    async def show(id: int) -> User:
        return await User.with_(User.posts.where(Post.score > 5)).where(User.id == id).one()

    async with Client(app) as client:
        await blog(db)
        found = (await client.get("/users/1")).json()
        document = (await client.get("/openapi.json")).json()
    assert [each["score"] for each in found["posts"]] == [10, 15]
    schemas: dict[str, Any] = document["components"]["schemas"]
    user = schemas["User"]
    assert user["properties"]["posts"] == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Post"},
    }
    assert "posts" not in user["required"]
    assert "name" in user["required"]
    assert schemas["Post"]["properties"]["author"] == {"$ref": "#/components/schemas/User"}
    editor = schemas["Post"]["properties"]["editor"]
    assert {"type": "null"} in editor["anyOf"]


def test_a_name_that_nothing_has_is_told_at_first_use() -> None:
    class Owner(Model, table="d_owners"):
        id: Col[int] = col(pk=True, init=False)
        things: HasMany[Nowhere] = rel()  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(
        ModelError, match=r"Owner\.things: there is no model 'Nowhere'\. Import the module"
    ):
        Owner.things.any()


def test_models_may_name_each_other_across_modules() -> None:
    for name, text in {
        "d_mod_a": """
            from typing import TYPE_CHECKING
            from oxidite.db import Col, HasMany, Model, col, rel
            if TYPE_CHECKING:
                from d_mod_b import Leaf
            class Tree(Model, table="d_trees"):
                id: Col[int] = col(pk=True, init=False)
                leaves: "HasMany[Leaf]" = rel()
                dotted: HasMany["d_mod_b.Leaf"] = rel()
        """,
        "d_mod_b": """
            from oxidite.db import BelongsTo, Col, Model, col, rel
            import d_mod_a
            class Leaf(Model, table="d_leaves"):
                id: Col[int] = col(pk=True, init=False)
                tree_id: Col[int] = col(references=d_mod_a.Tree.id)
                tree: BelongsTo[d_mod_a.Tree] = rel()
        """,
    }.items():
        module = types.ModuleType(name)
        sys.modules[name] = module
        lines = text.strip("\n").splitlines()
        exec("\n".join(line[12:] for line in lines), vars(module))
    tree: Any = sys.modules["d_mod_a"].Tree
    leaf: Any = sys.modules["d_mod_b"].Leaf
    assert tree.leaves.definition.link.target is leaf
    assert tree.dotted.definition.link.target is leaf
    assert leaf.tree.definition.link.target is tree
    hints = msgspec.structs.fields(tree)
    assert hints[1].type == list[leaf] | msgspec.UnsetType
    del sys.modules["d_mod_a"], sys.modules["d_mod_b"]


def test_the_model_beside_is_meant_and_else_it_has_to_be_said() -> None:
    def make(module: str) -> Any:
        meta: Any = type(Model)
        made: Any = meta(
            "Twin",
            (Model,),
            {
                "__module__": module,
                "__qualname__": "Twin",
                "__annotations__": {"id": Col[int], "owner_id": Col[int]},
                "id": col(pk=True, init=False),
                "owner_id": col(references="d_twin_owners.id"),
            },
            table="d_twins",
        )
        return made

    one, other = make("d_one"), make("d_other")

    class Owner(Model, table="d_twin_owners"):
        id: Col[int] = col(pk=True, init=False)
        twins: HasMany[Twin] = rel()  # type: ignore[name-defined]  # noqa: F821
        said: HasMany["d_other.Twin"] = rel()  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(
        ModelError, match=r"'Twin' may be d_one\.Twin or d_other\.Twin\. Say which one: d_one\.Twin"
    ):
        Owner.twins.any()
    assert Owner.said.definition.link.target is other
    assert one is not other


def test_a_column_that_is_not_there_is_told() -> None:
    class Owner(Model, table="d_owners"):
        id: Col[int] = col(pk=True, init=False)
        things: HasMany[Thing] = rel(fk="owner")
        unclear: HasMany[Thing] = rel()
        by_way: HasMany[Thing] = rel(through="nothing")

    class Thing(Model, table="d_things"):
        id: Col[int] = col(pk=True, init=False)
        owner_id: Col[int] = col(references=Owner.id)
        seller_id: Col[int] = col(references=Owner.id)
        group_id: Col[int] = col(references=Group.id)
        wrong: BelongsTo[Owner] = rel(fk="group_id")

    with pytest.raises(
        ModelError, match=r"things: 'd_things' has no column 'owner'\. It has: id, owner_id"
    ):
        Owner.things.any()
    with pytest.raises(
        ModelError, match=r"is not clear \(owner_id and seller_id do\). Say it: rel\(fk="
    ):
        Owner.unclear.any()
    with pytest.raises(
        ModelError, match=r"Owner has no relation 'nothing' to one model. It has: things, unclear"
    ):
        Owner.by_way.any()
    with pytest.raises(
        ModelError, match=r"d_things\.group_id> refers to 'r_groups', not to 'd_owners'"
    ):
        Thing.wrong.has()


def test_a_loop_of_a_pivot_says_which_end_is_which() -> None:
    class Person(Model, table="d_people"):
        id: Col[int] = col(pk=True, init=False)
        follows: ManyToMany[Person, Follow] = rel()
        followed: ManyToMany[Person, Follow] = rel(fk="whom_id", other="who_id")

    class Follow(Model, table="d_follows"):
        who_id: Col[int] = col(pk=True, references=Person.id)
        whom_id: Col[int] = col(pk=True, references=Person.id)

    with pytest.raises(ModelError, match=r"both ends are Person\. Say which column of Follow"):
        Person.follows.any()
    names = [hop.table.name for hop in Person.followed.definition.link.hops]
    assert names == ["d_follows", "d_people"]


async def test_people_follow_each_other(db: Database) -> None:
    class Person(Model, table="d_people"):
        id: Col[int] = col(pk=True, init=False)
        follows: ManyToMany[Person, Follow] = rel(fk="who_id", other="whom_id")
        followed: ManyToMany[Person, Follow] = rel(fk="whom_id", other="who_id")

    class Follow(Model, table="d_follows"):
        who_id: Col[int] = col(pk=True, references=Person.id)
        whom_id: Col[int] = col(pk=True, references=Person.id)

    await db.push(Person, Follow)
    one, two, three = [await Person.create() for _ in range(3)]
    await one.follows.attach(two, three)
    await two.follows.attach(three)
    people = await Person.order_by(Person.id).with_(Person.followed).all()
    assert [len(each.followed.value) for each in people] == [0, 1, 2]
    assert await Person.where(Person.follows.any(Person.follows.any())).all() == [one]


def test_what_is_not_written_as_a_relation_is_refused() -> None:
    with pytest.raises(ModelError, match=r"things is a relation: write things: … = rel\(\)"):

        class One(Model, table="d_ones"):
            id: Col[int] = col(pk=True, init=False)
            things: HasMany[Group]

    with pytest.raises(ModelError, match="its annotation is one of BelongsTo, HasOne, HasMany"):

        class Two(Model, table="d_twos"):
            id: Col[int] = col(pk=True, init=False)
            things: Col[int] = rel()

    with pytest.raises(ModelError, match="delete is a method of every model"):

        class Three(Model, table="d_threes"):
            id: Col[int] = col(pk=True, init=False)
            delete: HasMany[Group] = rel()  # type: ignore[assignment]

    with pytest.raises(TypeError, match="ManyToMany has two models"):
        ManyToMany["Group"]  # type: ignore[misc]

    with pytest.raises(ModelError, match=r"there is no column 'later_id'\. Say which"):

        class Four(Model, table="d_fours"):
            id: Col[int] = col(pk=True, init=False)
            later: BelongsTo[Later] = rel()  # type: ignore[name-defined]  # noqa: F821


async def test_mixins_and_abstract_models_hand_relations_on(db: Database) -> None:
    class Authored:
        __slots__ = ()
        author_id: Col[int] = col(references=User.id)
        author: BelongsTo[User] = rel()

    class Entry(Model, abstract=True):
        id: Col[int] = col(pk=True, init=False)
        group_id: Col[int | None] = col(default=None, references=Group.id)
        group: BelongsTo[Group | None] = rel()

    class Note(Entry, Authored, Timestamps, table="d_notes"):
        text: Col[str]

    class Song(Entry, table="d_songs"):
        name: Col[str]

    await blog(db)
    await db.push(User, Group, Note, Song)
    tea = await Group.create(name="Tea")
    note = await Note.create(text="x", author_id=1, group_id=tea.id)  # type: ignore[call-arg]
    await Song.create(name="y")
    assert (await note.author).name == "Ada"
    (note,) = await Note.with_(Note.author, Note.group).all()
    assert note.group.value == tea
    note.group = None
    assert (note.group_id, note.author.value.name) == (None, "Ada")
    assert await Song.where(Song.group.has()).count() == 0
    assert Note.group.definition.owner is Note


async def test_relations_of_an_object_that_was_never_read(db: Database) -> None:
    await blog(db)
    post = Post(title="x", author_id=2)
    assert (await post.author).name == "Ben"
    assert await Membership(user_id=1, group_id=9).group.query().count() == 0
    assert await Category(name="x").parent is None


async def test_gathered_relations_of_one_object(db: Database) -> None:
    await blog(db)
    post = await Post.get(2)

    async def author() -> str:
        return (await post.author).name

    async def comments() -> int:
        return len(await post.comments)

    first, count, again = await asyncio.gather(author(), comments(), author())
    assert (first, count, again) == ("Ben", 1, "Ben")
