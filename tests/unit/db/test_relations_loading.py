"""Relations: what they lead to, loaded with a query or when it is awaited."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from tests.unit.db.related import (
    Branch,
    Category,
    Clerk,
    Comment,
    Group,
    Membership,
    Post,
    Profile,
    User,
    blog,
)

from oxidite.db import (
    BelongsTo,
    Col,
    Database,
    HasMany,
    Model,
    NotLoadedError,
    QueryError,
    RelationError,
    RowNotFoundError,
    col,
    rel,
)
from oxidite.testing import assert_queries

pytestmark = pytest.mark.anyio


async def test_one_is_awaited_and_so_are_many(db: Database) -> None:
    await blog(db)
    post = await Post.get(2)
    ada = await User.get(1)

    assert (await post.author).name == "Ben"
    assert await post.editor is None
    assert [each.title for each in await ada.posts] == ["Post 0", "Post 2", "Post 3"]
    with assert_queries(0):
        assert (await post.author).name == "Ben"
        assert len(await ada.posts) == 3


async def test_awaiting_one_loads_those_of_all_rows_of_the_query(db: Database) -> None:
    await blog(db)
    with assert_queries(2):
        names = [(await post.author).name for post in await Post.order_by(Post.id).all()]
    assert names == ["Ada", "Ben", "Ada", "Ada"]

    with assert_queries(3):
        texts = [
            [comment.text for post in await user.posts for comment in await post.comments]
            for user in await User.order_by(User.id).all()
        ]
    assert sorted(texts[0]) == ["2.0", "2.1", "3.0", "3.1", "3.2"]
    assert texts[1:] == [["1.0"], []]


async def test_tasks_that_await_peers_at_once_share_a_query(db: Database) -> None:
    await blog(db)
    posts = await Post.query().all()
    with assert_queries(1):
        authors = await asyncio.gather(*[_author(post) for post in posts])
    assert {each.name for each in authors} == {"Ada", "Ben"}


async def _author(post: Post) -> User:
    return await post.author


async def test_who_waits_for_a_query_of_a_cancelled_task_asks_itself(db: Database) -> None:
    await blog(db)
    posts = await Post.query().all()
    tasks = [asyncio.create_task(_author(post)) for post in posts]
    await asyncio.sleep(0)
    is_cancelled = tasks[0].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    # A short read of a SQLite file is over by then.
    assert is_cancelled or db.dialect.name == "sqlite"
    assert isinstance(done[0], asyncio.CancelledError if is_cancelled else User)
    assert all(isinstance(each, User) for each in done[1:])


async def test_with_loads_for_all_rows_with_one_statement_each(db: Database) -> None:
    await blog(db)
    with assert_queries(4):
        users = (
            await User.order_by(User.id).with_(User.posts.with_(Post.comments), User.profile).all()
        )
    with assert_queries(0):
        assert [len(user.posts.value) for user in users] == [3, 1, 0]
        assert [len(post.comments.value) for post in users[0].posts.value] == [0, 2, 3]
        assert users[0].profile.value is None


async def test_what_is_loaded_is_cut_for_each_row(db: Database) -> None:
    await blog(db)
    users = (
        await User.order_by(User.id).with_(User.posts.order_by(Post.score.desc()).limit(2)).all()
    )
    assert [[p.score for p in u.posts.value] for u in users] == [[15, 10], [5], []]

    some = User.posts.where(Post.score > 0).order_by(Post.id).limit(1).offset(1)
    users = await User.order_by(User.id).with_(some).all()
    assert [[p.score for p in u.posts.value] for u in users] == [[15], [], []]

    far = User.posts.limit(2**64).order_by(Post.id)
    users = await User.order_by(User.id).with_(far).all()
    everything = await User.order_by(User.id).with_(User.posts.order_by(Post.id)).all()
    assert [u.posts.value for u in users] == [u.posts.value for u in everything]
    with pytest.raises(QueryError, match="0 or more"):
        User.posts.limit(-1)

    later = User.posts.offset(2)
    users = await User.order_by(User.id).with_(later).all()
    assert [[p.score for p in u.posts.value] for u in users] == [[15], [], []]


async def test_counts_come_with_the_rows(db: Database) -> None:
    await blog(db)
    query = User.order_by(User.posts.count().desc(), User.name)
    found = (
        await query.with_(User.posts).with_count(User.posts, User.posts.where(Post.score > 5)).all()
    )
    assert [(user.name, many, good) for user, many, good in found] == [
        ("Ada", 3, 2),
        ("Ben", 1, 0),
        ("Cyd", 0, 0),
    ]
    assert [len(user.posts.value) for user, _, _ in found] == [3, 1, 0]
    assert await query.with_count(User.posts).count() == 3
    found[0][0].age = 41
    await found[0][0].save()
    assert (await User.get(1)).age == 41


async def test_many_to_many_has_its_pivots(db: Database) -> None:
    await blog(db)
    ada, ben, _ = await User.order_by(User.id).all()
    tea, rum = await Group.create(name="Tea"), await Group.create(name="Rum")
    await Membership.create(user_id=ada.id, group_id=tea.id, role="chair")
    await Membership.create(user_id=ada.id, group_id=rum.id)
    await Membership.create(user_id=ben.id, group_id=tea.id)

    with assert_queries(2):
        users = await User.order_by(User.id).with_(User.groups.order_by(Group.name)).all()
    with assert_queries(0):
        assert [[g.name for g in u.groups.value] for u in users] == [["Rum", "Tea"], ["Tea"], []]
        pairs = await users[0].groups.pairs()
    assert [(g.name, m.role) for g, m in pairs] == [("Rum", "member"), ("Tea", "chair")]
    assert pairs[0][1].changed() == []

    chairs = User.groups.where(Membership.role == "chair")
    users = await User.order_by(User.id).with_(chairs).all()
    assert [[g.name for g in u.groups.value] for u in users] == [["Tea"], [], []]
    limited = await User.order_by(User.id).with_(User.groups.order_by(Group.name).limit(1)).all()
    assert [[g.name for g in u.groups.value] for u in limited] == [["Rum"], ["Tea"], []]
    assert [u.name for u in await tea.members.order_by(User.name).all()] == ["Ada", "Ben"]
    assert await rum.members.count() == 1


async def test_through_another_relation(db: Database) -> None:
    await blog(db)
    with assert_queries(2):
        users = await User.order_by(User.id).with_(User.comments.order_by(Comment.text)).all()
    assert [[c.text for c in u.comments.value] for u in users] == [
        ["2.0", "2.1", "3.0", "3.1", "3.2"],
        ["1.0"],
        [],
    ]
    await (await Post.get(4)).delete()
    assert [c.text for c in await users[0].comments.reload()] == ["2.0", "2.1"]
    assert await users[0].comments.count() == 2


async def test_a_tree_refers_to_itself(db: Database) -> None:
    await db.push(Category)
    root = await Category.create(name="root")
    for name in ("a", "b"):
        child = await root.children.create(name=name)
        await child.children.create(name=name * 2)

    root = await Category.where(Category.parent_id == None).with_(Category.grandchildren).one()  # noqa: E711
    assert sorted(c.name for c in root.grandchildren.value) == ["aa", "bb"]
    leaves = await Category.where(Category.children.none()).order_by(Category.name).all()
    assert [each.name for each in leaves] == ["aa", "bb"]
    parent = await leaves[0].parent
    assert parent is not None
    assert parent.name == "a"
    found = await Category.where(
        Category.children.any(Category.children.any(Category.name == "bb"))
    ).all()
    assert [each.name for each in found] == ["root"]
    assert await Category.where(Category.parent.has(Category.name == "root")).count() == 2
    assert await Category.where(Category.grandchildren.any(Category.name == "aa")).count() == 1


async def test_keys_of_several_columns(db: Database) -> None:
    await db.push(Branch, Clerk)
    for country, number in (("de", 1), ("de", 2), ("fr", 1)):
        branch = await Branch.create(country=country, number=number)
        await branch.staff.create(name=f"{country}{number}")

    wanted = Branch.where(~((Branch.country == "de") & (Branch.number == 2)))
    branches = await wanted.order_by(Branch.country).with_(Branch.staff.limit(1)).all()
    assert [[c.name for c in b.staff.value] for b in branches] == [["de1"], ["fr1"]]
    with assert_queries(2):
        clerks = await Clerk.order_by(Clerk.id).all()
        assert [(await c.branch).number for c in clerks] == [1, 2, 1]
    assert await Branch.where(Branch.staff.any(Clerk.name == "de2")).count() == 1
    assert await branches[1].staff.where(Clerk.name == "de1").count() == 0


async def test_what_is_said_to_be_strict_is_not_loaded_by_itself(db: Database) -> None:
    await blog(db)
    post = (await Post.strict().all())[0]
    with pytest.raises(
        NotLoadedError,
        match=r"Post\.author is not loaded, at .*test_relations_loading.py:\d+.*with_\(Post\.author\)",
    ):
        await post.author
    user = (await User.query().with_(User.posts).strict().all())[0]
    with pytest.raises(NotLoadedError):
        await user.posts.value[0].comments

    db.strict = True
    with pytest.raises(NotLoadedError):
        await (await Post.get(1)).author
    easy = await Post.query().lazy("peers").all()
    assert (await easy[0].author).name == "Ada"


async def test_alone_is_loaded_for_one_object_only(db: Database) -> None:
    await blog(db)
    with assert_queries(5):
        for post in await Post.query().lazy("single").all():
            await post.author


async def test_what_is_not_loaded_has_no_value(db: Database) -> None:
    await blog(db)
    post = await Post.get(1)
    assert not post.author.is_loaded
    with pytest.raises(NotLoadedError, match=r"Load it with the query, \.with_\(Post\.author\)"):
        _ = post.author.value
    author = await post.author
    assert post.author.value is author


async def test_who_is_gone_is_an_error_unless_the_type_says_that_may_be(db: Database) -> None:
    await blog(db)
    post = await Post.get(1)
    post.editor_id = post.author_id
    await post.save()
    await User.where(User.id == 1).one()
    one = await User.get(1)
    one.deleted_at = one.created_at
    await one.save()
    post = await Post.get(1)
    assert await post.editor is None
    with pytest.raises(RowNotFoundError, match="There is no author of this Post"):
        await post.author
    seen = await Post.where(Post.id == 1).with_(Post.author.with_deleted()).one()
    assert seen.author.value.name == "Ada"


async def test_a_new_key_makes_what_is_loaded_stale(db: Database) -> None:
    await blog(db)
    post = await Post.where(Post.id == 1).with_(Post.author).one()
    post.author_id = 1
    assert post.author.value.name == "Ada"
    post.author_id = 2
    assert not post.author.is_loaded
    assert (await post.author).name == "Ben"
    await post.refresh()
    assert post.author_id == 1
    assert (await post.author).name == "Ada"


async def test_what_was_given_meanwhile_is_kept(db: Database) -> None:
    await blog(db)
    posts = await Post.order_by(Post.id).all()
    ben = await User.get(2)
    posts[2].author = ben
    posts[3].author_id = 3
    assert (await posts[0].author).name == "Ada"
    assert posts[2].author.value is ben
    assert posts[3].author.value.name == "Cyd"


async def test_peers_keep_nobody_alive(db: Database) -> None:
    await blog(db)
    posts = await Post.order_by(Post.id).all()
    one = posts[0]
    del posts
    gc.collect()
    with assert_queries(1):
        assert (await one.author).name == "Ada"
    assert one._peers.alive() == [one]


async def test_objects_that_lead_to_each_other_are_collected(db: Database) -> None:
    class Tree(Model, table="r_trees"):
        id: Col[int] = col(pk=True, init=False)
        leaves: HasMany[Leaf] = rel()

    class Leaf(Model, table="r_leaves"):
        id: Col[int] = col(pk=True, init=False)
        tree_id: Col[int] = col(references=Tree.id)
        tree: BelongsTo[Tree] = rel()

    await db.push(Tree, Leaf)
    await (await Tree.create()).leaves.create()
    tree = (await Tree.with_(Tree.leaves).all())[0]
    tree.leaves.value[0].tree = tree
    found = weakref.ref(tree)
    del tree
    gc.collect()
    assert found() is None


async def test_what_is_not_saved_has_nothing(db: Database) -> None:
    await blog(db)
    with pytest.raises(RelationError, match="This User has no id yet"):
        await User(name="New").posts


async def test_inside_a_transaction(db: Database) -> None:
    await blog(db)
    async with db.transaction():
        posts = await Post.order_by(Post.id).all()
        await User.create(name="Dee")
        with assert_queries(1):
            assert len([await post.author for post in posts]) == 4


async def test_many_rows_are_loaded_a_thousand_at_a_time(db: Database) -> None:
    await db.push(User, Post)
    ada = await User.create(name="Ada")
    from oxidite.db.writes import saving

    await saving.insert_many([Post(title=str(n), author_id=ada.id) for n in range(2500)])
    posts = await Post.query().all()
    with assert_queries(3):
        for post in posts:
            await post.author


async def test_profiles(db: Database) -> None:
    await blog(db)
    ada = await User.get(1)
    made = await ada.profile.create(text="Hello")
    assert isinstance(made, Profile)
    assert await ada.profile is made
    ada = await User.where(User.profile.has(Profile.text == "Hello")).one()
    found = await ada.profile
    assert found is not None
    assert found.id == made.id
