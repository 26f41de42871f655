"""Relations written: what belongs to an object is made, given, taken away, deleted with it."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from tests.unit.db.related import (
    Branch,
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
    ManyToMany,
    MissingReferenceError,
    Model,
    ModelError,
    QueryError,
    RelationError,
    SoftDeletes,
    Synced,
    Timestamps,
    UniqueError,
    Version,
    col,
    rel,
)
from oxidite.testing import assert_queries

pytestmark = pytest.mark.anyio


async def test_what_is_made_belongs_to_the_object(db: Database) -> None:
    await blog(db)
    cyd = await User.get(3)
    assert await cyd.posts == []
    post = await cyd.posts.create(title="New")
    assert post.author_id == cyd.id
    assert cyd.posts.value == [post]
    assert await cyd.posts.count() == 1


async def test_objects_are_given_to_another_one(db: Database) -> None:
    await blog(db)
    ada, ben, cyd = await User.order_by(User.id).with_(User.posts).all()
    draft = Post(title="Draft", author_id=0)
    await cyd.posts.add(draft, *ben.posts.value)
    assert [p.title for p in await cyd.posts.order_by(Post.id).all()] == ["Post 1", "Draft"]
    assert await ben.posts.reload() == []
    assert len(cyd.posts.value) == 2
    with pytest.raises(RelationError, match=r"User.posts leads to Post, and .* is none"):
        await ada.posts.add(ben)  # type: ignore[arg-type]


async def test_all_are_given_or_none(db: Database) -> None:
    await blog(db)
    _, ben, cyd = await User.order_by(User.id).all()
    (post,) = await ben.posts
    wrong = Post(title="x", author_id=1, editor_id=99)
    with pytest.raises(MissingReferenceError):
        await cyd.posts.add(post, wrong)
    assert await cyd.posts.count() == 0
    assert await ben.posts.count() == 1
    assert (post.author_id, post.changed()) == (ben.id, [])
    assert wrong.author_id == 1


async def test_what_need_not_belong_can_be_taken_away(db: Database) -> None:
    await blog(db)
    post = await Post.where(Post.id == 3).with_(Post.comments).one()
    one, other = post.comments.value
    await post.comments.remove(one)
    assert post.comments.value == [other]
    assert (await Comment.get(one.id)).post_id is None
    with pytest.raises(RelationError, match=r"This Comment is none of Post\.comments"):
        await post.comments.remove(one)
    ada = await User.get(1)
    with pytest.raises(RelationError, match=r"author_id cannot be None.*delete it, or give it"):
        await ada.posts.remove(post)


async def test_an_object_is_assigned(db: Database) -> None:
    await blog(db)
    post, ben = await Post.get(1), await User.get(2)
    post.author = ben
    post.editor = ben
    assert (post.author_id, post.editor_id) == (2, 2)
    assert post.author.value is ben
    assert post.changed() == ["author_id", "editor_id"]
    await post.save()
    post = await Post.get(1)
    assert (await post.author).name == "Ben"
    post.editor = None
    assert post.editor_id is None
    assert await post.editor is None
    with pytest.raises(RelationError, match=r"Post\.author is a User, not None"):
        post.author = None  # type: ignore[assignment]
    with pytest.raises(RelationError, match=r"This User is not saved yet.*save it first"):
        post.author = User(name="New")
    with pytest.raises(RelationError, match="cannot be assigned: the key is in the other rows"):
        ben.posts = []  # type: ignore[assignment]


async def test_keys_of_several_columns_are_assigned(db: Database) -> None:
    await db.push(Branch, Clerk)
    branch = await Branch.create(country="de", number=7)
    clerk = Clerk(name="x", country="fr", branch_number=1)
    clerk.branch = branch
    await clerk.save()
    assert [each.name for each in await branch.staff] == ["x"]


async def test_what_is_not_saved_owns_nothing(db: Database) -> None:
    await blog(db)
    new = User(name="New")
    with pytest.raises(
        RelationError, match=r"This User has no id yet.*save it before you use User.posts"
    ):
        await new.posts.create(title="x")
    with pytest.raises(RelationError, match="no id yet"):
        await new.groups.attach(await Group.create(name="Tea"))
    cyd = await User.get(3)
    with pytest.raises(RelationError, match=r"This Group is not saved yet.*or use add\(\)"):
        await cyd.groups.attach(Group(name="Rum"))
    with pytest.raises(RelationError, match="goes through other rows"):
        await cyd.comments.create(text="x")


async def test_links_are_made_and_taken_away(db: Database) -> None:
    await blog(db)
    ada = await User.get(1)
    tea, rum = await Group.create(name="Tea"), await Group.create(name="Rum")

    assert await ada.groups == []
    (made,) = await ada.groups.attach(tea, role="chair")
    assert (made.user_id, made.group_id, made.role) == (ada.id, tea.id, "chair")
    assert await ada.groups == [tea]
    with pytest.raises(UniqueError):
        await ada.groups.attach(tea)
    await ada.groups.add(rum, Group(name="Gin"))
    assert await ada.groups.count() == 3
    assert await ada.groups.detach(tea, rum) == 2
    assert await ada.groups.detach(tea) == 0
    assert await ada.groups.detach() == 0
    assert [g.name for g in await ada.groups] == ["Gin"]
    ben = await User.get(2)
    await ben.groups.attach(tea)
    assert await ada.groups.detach_all() == 1
    assert await ben.groups.count() == 1
    new = await ben.groups.create(name="New")
    assert await ben.groups.where(Group.name == "New").one() == new
    assert await ben.groups.pivots().select(Membership.role).all() == [("member",)] * 2


async def test_links_are_made_to_be_these_and_no_others(db: Database) -> None:
    await blog(db)
    ada = await User.get(1)
    a, b, c = [await Group.create(name=name) for name in "abc"]
    assert await ada.groups.sync([a, b], role="guest") == Synced(attached=2)
    assert await ada.groups.sync({b: {"role": "chair"}, c: {}}) == Synced(1, 1, 1)
    found = {group.name: pivot.role for group, pivot in await ada.groups.pairs()}
    assert found == {"b": "chair", "c": "member"}
    assert await ada.groups.sync([b, c]) == Synced()
    assert await ada.groups.toggle(a, b, role="guest") == Synced(1, 1)
    found = {group.name: pivot.role for group, pivot in await ada.groups.pairs()}
    assert found == {"a": "guest", "c": "member"}
    with pytest.raises(RelationError, match="Membership has no column 'rank'"):
        await ada.groups.sync([c], rank=1)
    assert await ada.groups.count() == 2


async def test_deleting_marks_what_belongs_to_it_and_restoring_takes_that_back(
    db: Database,
) -> None:
    await blog(db)
    ada = await User.get(1)
    first = await Post.get(1)
    await first.delete()
    await ada.delete()

    assert await User.count() == 2
    assert await Post.count() == 1
    assert await Comment.count() == 1
    assert await Post.query().with_deleted().where(Post.deleted_at == ada.deleted_at).count() == 2

    ada = await User.query().with_deleted().where(User.id == 1).one()
    assert await ada.restore() is ada
    assert ada.deleted_at is None
    assert [p.title for p in await Post.order_by(Post.id).all()] == ["Post 1", "Post 2", "Post 3"]
    assert await Comment.count() == 6
    assert await first.restore() is first
    assert await Post.count() == 4


async def test_deleting_again_changes_nothing_that_restoring_needs(db: Database) -> None:
    await blog(db)
    ada = await User.get(1)
    await ada.delete()
    moment = ada.deleted_at
    await ada.delete()
    again = await User.query().with_deleted().where(User.id == 1).one()
    await again.delete()
    assert await User.delete_many([again]) == 0
    assert ada.deleted_at == again.deleted_at == moment
    await again.restore()
    assert (await User.count(), await Post.count(), await Comment.count()) == (3, 4, 6)


async def test_marking_is_seen_by_who_saves_what_was_read_before(db: Database) -> None:
    await blog(db)
    post, ada = await Post.get(1), await User.get(1)
    await ada.delete()
    found = await Post.query().with_deleted().where(Post.id == 1).one()
    assert found.version == post.version + 1
    assert found.updated_at >= post.updated_at


async def test_marking_is_undone_with_its_transaction(db: Database) -> None:
    await blog(db)
    ada = await User.get(1)

    @db.transaction()
    async def change_of_mind() -> None:
        await ada.delete()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_of_mind()
    assert await Post.count() == 4


async def test_what_refers_is_protected_or_goes_along(db: Database) -> None:
    await blog(db)
    ada, ben = await User.get(1), await User.get(2)
    tea = await Group.create(name="Tea")
    await ben.groups.attach(tea)
    with pytest.raises(MissingReferenceError):
        await ada.force_delete()  # on_delete="restrict"
    await tea.force_delete()  # on_delete="cascade"
    assert await Membership.count() == 0
    await ben.profile.create(text="x")
    assert await Profile.count() == 1


async def test_what_is_gone_for_good_cannot_be_restored(db: Database) -> None:
    await db.push(Branch)
    branch = await Branch.create(country="de", number=1)
    with pytest.raises(QueryError, match="Branch has no SoftDeletes: what is deleted is gone"):
        await branch.restore()


async def test_only_what_can_be_marked_is_marked(db: Database) -> None:
    class Owner(Model, SoftDeletes, table="r_owners"):
        id: Col[int] = col(pk=True, init=False)
        things: HasMany[Thing] = rel(on_soft_delete="cascade")

    class Thing(Model, table="r_things"):
        id: Col[int] = col(pk=True, init=False)
        owner_id: Col[int] = col(references=Owner.id)

    await db.push(Owner, Thing)
    owner = await Owner.create()
    with pytest.raises(ModelError, match="Thing has none"):
        await owner.delete()
    assert await Owner.count() == 1
    assert (owner.deleted_at, owner.changed()) == (None, [])


async def test_saving_touches_the_parent(db: Database) -> None:
    class Book(Model, Timestamps, table="r_books"):
        id: Col[int] = col(pk=True, init=False)

    class Page(Model, table="r_pages"):
        id: Col[int] = col(pk=True, init=False)
        text: Col[str]
        book_id: Col[int] = col(references=Book.id)
        book: BelongsTo[Book] = rel(touch=True)

    await db.push(Book, Page)
    book = await Book.create()
    page = await Page.create(text="x", book_id=book.id)
    before = (await Book.get(1)).updated_at
    page.text = "y"
    with assert_queries(2):
        await page.save()
    after = (await Book.get(1)).updated_at
    assert after > before
    with assert_queries(0):
        await page.save()
    await page.delete()
    assert (await Book.get(1)).updated_at > after
    page = Page(text="x", book_id=99)
    with pytest.raises(MissingReferenceError):
        await page.save()
    assert getattr(page, "id", None) is UNSET
    page.book = await Book.create()
    assert (await page.save()).id > 0


class Club(Model, table="w_clubs"):
    id: Col[int] = col(pk=True, init=False)
    players: ManyToMany[Player, Contract] = rel()


class Player(Model, table="w_players"):
    id: Col[int] = col(pk=True, init=False)
    clubs: ManyToMany[Club, Contract] = rel()


class Contract(Model, SoftDeletes, Timestamps, Version, table="w_contracts"):
    player_id: Col[int] = col(pk=True, references=Player.id)
    club_id: Col[int] = col(pk=True, references=Club.id)
    role: Col[str] = col(default="back")


async def test_a_link_that_seems_to_be_deleted_makes_room_for_a_new_one(db: Database) -> None:
    await db.push(Club, Player, Contract)
    player, club, other = await Player.create(), await Club.create(), await Club.create()
    await player.clubs.attach(club, other, role="goal")
    assert await player.clubs.detach(club) == 1
    assert [each.id for each in await player.clubs] == [other.id]
    gone = await Contract.query().with_deleted().where(Contract.club_id == club.id).one()
    assert (gone.version, gone.deleted_at is None) == (2, False)
    (made,) = await player.clubs.attach(club)
    assert (made.role, made.version) == ("back", 1)
    assert sorted([each.id for each in await player.clubs]) == [club.id, other.id]
    assert await player.clubs.sync([other]) == Synced(detached=1)
    assert await player.clubs.sync([club, other]) == Synced(attached=1)
    assert await player.clubs.toggle(club, other) == Synced(detached=2)
    assert await player.clubs.toggle(club, other) == Synced(attached=2)
    with pytest.raises(UniqueError):
        await player.clubs.attach(club)
    assert await Contract.query().with_deleted().count() == 2
