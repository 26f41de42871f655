"""What becomes of single changes in phases, and what cannot be had in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from oxidite.db import Col, Database, Model, col, index, search
from oxidite.db import History as Versions
from oxidite.db.migrations import ColumnSpec, History, MigrationError, Migrator, TableSpec, column
from oxidite.db.migrations import index as index_spec
from oxidite.db.migrations.difference import difference
from oxidite.db.migrations.splitting import split
from oxidite.db.migrations.squash import squash, write_squash

from .support import add_migration, answers, fetch, migrator, split_history, write_history

KEY = column("id", "integer", primary_key=True, generated=True)


def parts_of(
    old: tuple[ColumnSpec, ...], new: tuple[ColumnSpec, ...], **renames: str
) -> dict[str, str]:
    """Return the operations of each part of a change of the columns of a table, as words."""
    before = {"t": TableSpec(name="t", columns=(KEY, *old))}
    after = {"t": TableSpec(name="t", columns=(KEY, *new))}
    said = answers({f"t.{name}": new for name, new in renames.items()}, {"t.a": 0, "t.b": 0})
    parts = split(before, after, difference(before, after, said))
    return {each.word: " ".join(type(one).__name__ for one in each.change.forth) for each in parts}


def test_what_is_new_and_may_be_empty_is_of_expand_alone() -> None:
    assert parts_of((), (column("a", "integer", nullable=True),)) == {"expand": "AddColumn"}


def test_what_is_gone_is_of_contract_alone_if_it_may_be_empty() -> None:
    assert parts_of((column("a", "integer", nullable=True),), ()) == {"contract": "DropColumn"}
    # Else the new version could not add a row without it.
    assert parts_of((column("a", "integer"),), ()) == {
        "expand": "ChangeColumn",
        "contract": "DropColumn",
    }


def test_more_room_is_of_expand_and_less_of_contract() -> None:
    small, large = (column("a", "text", max_length=each) for each in (10, 20))
    assert parts_of((small,), (large,)) == {"expand": "ChangeColumn"}
    assert parts_of((large,), (small,)) == {"contract": "ChangeColumn"}
    assert parts_of((column("a", "integer", bits=32),), (column("a", "integer"),)) == {
        "expand": "ChangeColumn"
    }
    few, other = (column("a", "enum", values=each) for each in (("x", "y"), ("y", "z")))
    assert parts_of((few,), (other,)) == {"expand": "ChangeColumn", "contract": "ChangeColumn"}
    checked = column("a", "integer", check={"ge": 0})
    assert parts_of((column("a", "integer"),), (checked,)) == {"contract": "ChangeColumn"}
    assert parts_of((checked,), (column("a", "integer"),)) == {"expand": "ChangeColumn"}


def test_an_index_that_refuses_rows_waits_for_the_new_version() -> None:
    def parts(*, unique: bool = False, exclude: list[str] | None = None) -> list[str]:
        columns = (KEY, column("a", "int8range"))
        before = {"t": TableSpec(name="t", columns=columns)}
        made = index_spec("ix", ["a"], unique=unique, exclude=exclude or [])
        after = {"t": TableSpec(name="t", columns=columns, indexes=(made,))}
        return [each.word for each in split(before, after, difference(before, after, answers()))]

    assert parts(unique=False) == ["indexes"]
    assert parts(unique=True) == ["contract"]
    assert parts(exclude=["&&"]) == ["contract"]


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "another type": (
        lambda: parts_of((column("a", "text"),), (column("a", "integer"),)),
        r't\.a was text and is integer now.*col\(name="a_integer", renamed_from="a"\)',
    ),
    "another key": (
        lambda: parts_of((column("a", "integer"),), (column("a", "integer", primary_key=True),)),
        "The primary key of t is another one now, which cannot be split",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_split_is_said_with_what_can(name: str) -> None:
    make, words = REFUSED[name]
    with pytest.raises(MigrationError, match=words):
        make()


def test_a_table_or_a_key_under_another_name_cannot_be_split() -> None:
    before = {"t": TableSpec(name="t", columns=(KEY,))}
    other = {"u": TableSpec(name="u", columns=(KEY,))}
    with pytest.raises(MigrationError, match='Keep its name, class …\\(Model, table="t"\\)'):
        split(before, other, difference(before, other, answers({"t": "u"})))
    named = {"t": TableSpec(name="t", columns=(column("n", "text", primary_key=True),))}
    renamed = {"t": TableSpec(name="t", columns=(column("m", "text", primary_key=True),))}
    with pytest.raises(MigrationError, match=r'm: … = col\(pk=True, name="n"\)'):
        split(named, renamed, difference(named, renamed, answers({"t.n": "m"})))


class Author(Model, table="authors"):
    id: Col[int] = col(pk=True, init=False)


class Before(Model, table="articles", indexes=[index("author_id")]):
    id: Col[int] = col(pk=True, init=False)
    author_id: Col[int | None] = col(references="authors.id", on_delete="set null")


class After(Model, table="articles", indexes=[index("writer_id")]):
    id: Col[int] = col(pk=True, init=False)
    writer_id: Col[int | None] = col(
        references="authors.id", on_delete="set null", renamed_from="author_id"
    )


async def test_a_foreign_key_is_kept_on_both_sides(db: Database, tmp_path: Path) -> None:
    await split_history(db, tmp_path / "m", [Author, Before], [Author, After])
    made = migrator(db, tmp_path / "m")
    await made.up(phase="expand")
    assert await made.drift() == []
    one, two = await Author.create(), await Author.create()
    old, new = await Before.create(author_id=one.id), await After.create(writer_id=two.id)
    assert (await After.get(old.id)).writer_id == one.id
    await one.delete()
    await two.delete()
    sides = await fetch(db, "SELECT author_id, writer_id FROM articles")
    assert sides == [(None, None), (None, None)]
    assert (await Before.get(new.id)).author_id is None
    await made.up()
    assert await made.drift() == []
    await made.down(to="0001")
    assert await made.drift() == []


class Noted(Model, Versions, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str] = col(max_length=40)


class NotedAnew(Model, Versions, table="notes"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=40, renamed_from="title")
    stars: Col[int] = col(default=3)


async def test_the_versions_of_rows_have_both_columns(db: Database, tmp_path: Path) -> None:
    await split_history(db, tmp_path / "m", [Noted], [NotedAnew])
    first = await Noted.create(title="first")
    made = migrator(db, tmp_path / "m")
    await made.up(phase="expand")
    assert await made.drift() == []
    second = await NotedAnew.create(name="second")
    third = await Noted.create(title="third")
    await Noted.where(Noted.id == second.id).update(title="2")
    await NotedAnew.where(NotedAnew.id == first.id).update(name="1")

    last = "SELECT title, name, stars FROM notes_history WHERE history_until IS NULL ORDER BY id"
    assert await fetch(db, last) == [("1", "1", 3), ("2", "2", 3), ("third", "third", 3)]
    await made.up()
    assert await made.drift() == []
    everything = "SELECT count(*) FROM notes_history WHERE name IS NULL OR stars IS NULL"
    assert await fetch(db, everything) == [(0,)]
    assert (await NotedAnew.get(third.id)).stars == 3
    await made.down(to="0001")
    assert await made.drift() == []


class Text(Model, table="texts", indexes=[index(lambda t: search(t.body).vector, name="words")]):
    id: Col[int] = col(pk=True, init=False)
    body: Col[str]


class TextAnew(
    Model, table="texts", indexes=[index(lambda t: search(t.content).vector, name="words_anew")]
):
    id: Col[int] = col(pk=True, init=False)
    content: Col[str] = col(renamed_from="body")


async def test_both_versions_find_words(db: Database, tmp_path: Path) -> None:
    await split_history(db, tmp_path / "m", [Text], [TextAnew])
    made = migrator(db, tmp_path / "m")
    await Text.create(body="a red house")
    await made.up(phase="expand")
    assert await made.drift() == []
    await Text.create(body="a green garden")
    new = await TextAnew.create(content="a blue garden")
    await Text.where(Text.id == new.id).update(body="a yellow garden")

    async def found(word: str) -> tuple[int, int]:
        old = await Text.where(search(Text.body).matches(word)).count()
        return old, await TextAnew.where(search(TextAnew.content).matches(word)).count()

    assert [await found(each) for each in ("red", "garden", "blue", "yellow")] == [
        (1, 1),
        (2, 2),
        (0, 0),
        (1, 1),
    ]
    await made.up()
    assert await made.drift() == []
    assert await TextAnew.where(search(TextAnew.content).matches("garden")).count() == 2


async def test_other_migrations_in_the_middle_keep_the_columns_in_step(
    db: Database, tmp_path: Path
) -> None:
    """Such as a table of SQLite that is made anew, and a squash of what came before."""
    folder = tmp_path / "m"
    await split_history(db, folder, [Before, Author], [After, Author])
    for each in sorted(folder.glob("*contract*")):
        each.unlink()
    (folder / "HEAD").write_text(f"{_last(folder)}\n")
    made = migrator(db, folder)
    await made.up()
    history = History.load(folder)
    last = history.last
    assert last is not None
    done = squash(history, last)
    write_squash(history, done, "squashed")
    assert await migrator(db, folder).up() == []
    assert await migrator(db, folder).drift() == []

    number = int(last.id) + 1
    (folder / f"{number:04}_other.py").write_text(
        "from oxidite.db.migrations import Migration, column\n"
        f'migration = Migration(id="{number:04}", after="{last.id}")\n'
        "@migration.up\n"
        'def up(op):\n    op.add_column("articles", column("n", "integer"), fill=1)\n'
        "@migration.down\n"
        'def down(op):\n    op.drop_column("articles", "n")\n'
    )
    (folder / "HEAD").write_text(f"{number:04}_other\n")
    await migrator(db, folder).up()
    assert await migrator(db, folder).drift() == []
    author = await Author.create()
    await fetch(db, f"INSERT INTO articles (author_id, n) VALUES ({author.id}, 1)")
    assert await fetch(db, "SELECT writer_id FROM articles") == [(author.id,)]
    # A new database has them from the squash.
    await migrator(db, folder).down(to="0")
    await migrator(db, folder).up()
    assert await migrator(db, folder).drift() == []


def _last(folder: Path) -> str:
    return max(each.stem for each in folder.glob("*.py"))


async def test_one_column_becomes_two_by_hand(db: Database, tmp_path: Path) -> None:
    is_postgresql = db.dialect.name == "postgresql"
    place = "position(' ' IN name)" if is_postgresql or db.dialect.is_mysql else "instr(name, ' ')"
    first, rest = f"substr(name, 1, {place} - 1)", f"substr(name, {place} + 1)"
    base = (
        "base",
        """op.create_table("people", column("id", "integer", primary_key=True, generated=True), column("name", "text", nullable=True))""",
        """op.drop_table("people")""",
    )
    expand = (
        "expand",
        f"""op.add_column("people", column("first", "text", nullable=True))
        op.add_column("people", column("last", "text", nullable=True))
        op.create_sync("names", "people", new={{"first": {first!r}, "last": {rest!r}}}, old={{"name": "first || ' ' || last"}})
        op.backfill("people", {{"first": {first!r}, "last": {rest!r}}})""",
        """op.drop_sync("names", "people")
        op.drop_column("people", "last")
        op.drop_column("people", "first")""",
    )
    made = Migrator(db, write_history(tmp_path / "m", base, expand))
    await made.up(to="0001")
    await fetch(db, "INSERT INTO people (name) VALUES ('Ada King Lovelace')")
    await made.up()
    await fetch(db, "INSERT INTO people (name) VALUES ('Grace Hopper')")
    await fetch(db, "INSERT INTO people (first, last) VALUES ('Alan', 'Turing')")
    await fetch(db, "UPDATE people SET last = 'Murray' WHERE first = 'Grace'")
    await fetch(db, "UPDATE people SET name = 'Alan M. Turing' WHERE first = 'Alan'")
    assert await fetch(db, "SELECT name, first, last FROM people ORDER BY id") == [
        ("Ada King Lovelace", "Ada", "King Lovelace"),
        ("Grace Murray", "Grace", "Murray"),
        ("Alan M. Turing", "Alan", "M. Turing"),
    ]
    with pytest.raises(MigrationError, match=r"kept in step by triggers\. Drop them first"):
        Migrator(db, write_history(tmp_path / "n", base, expand, ("x", DROP, ""))).history.schema()


DROP = 'op.drop_column("people", "name")'

WRONG = {
    "one side": ('new={"first": "name"}', "say new= and old=, both, or fill="),
    "a column of the key": (
        'fill={"id": 1}',
        "is in the primary key, so nothing else can write it",
    ),
    "twice": ('new={"first": "name"}, old={"first": "name"}', "first is kept in step twice"),
    "not empty": ('new={"first": "name"}, old={"name": "first"}', "name may not be empty"),
    "nothing": ("", "keeps nothing in step"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_kept_in_step_is_said(name: str, tmp_path: Path) -> None:
    said, words = WRONG[name]
    base = """op.create_table("people", column("id", "integer", primary_key=True), column("name", "text"), column("first", "text", nullable=True))
    op.create_sync("x", "people", SAID)""".replace("SAID", said)
    with pytest.raises(MigrationError, match=words):
        write_history(tmp_path / "m", ("base", base, None)).schema()


async def test_triggers_of_names_that_run_together_are_apart(db: Database, tmp_path: Path) -> None:
    tables = [
        f"""op.create_table("{table}", column("id", "integer", primary_key=True, generated=True), column("x", "text", nullable=True), column("y", "text", nullable=True))
        op.create_sync("{name}", "{table}", new={{"y": "x"}}, old={{"x": "y"}})"""
        for table, name in (("a", "b_c"), ("a_b", "c"), ("l" * 50, "n" * 50))
    ]
    made = Migrator(db, write_history(tmp_path / "m", ("all", "\n".join(tables), None)))
    await made.up()
    assert await made.drift() == []
    for table in ("a", "a_b", "l" * 50):
        await fetch(db, f"INSERT INTO {table} (x) VALUES ('it')")
        assert await fetch(db, f"SELECT x, y FROM {table}") == [("it", "it")]


@pytest.mark.only_on("file", "postgresql", "mariadb")
async def test_triggers_that_are_gone_or_too_many_are_drift(db: Database, tmp_path: Path) -> None:
    sync = """op.create_table("t", column("id", "integer", primary_key=True), column("x", "text", nullable=True))
    op.create_sync("x", "t", fill={"x": "it"})"""
    made = Migrator(db, write_history(tmp_path / "m", ("all", sync, None)))
    await made.up()
    folder = tmp_path / "n"
    other = Migrator(db, write_history(folder, ("all", sync.splitlines()[0], None)))
    found = await other.drift()
    assert found
    assert all(each.startswith("there is a sync ox_sync_t_x_") for each in found)
    name = found[0].split()[4]
    await fetch(db, f"DROP TRIGGER {name}{' ON t' if db.dialect.name == 'postgresql' else ''}")
    assert await made.drift() == ["the sync x of t is missing"]


async def test_kinds_of_values_that_are_compared_otherwise(db: Database, tmp_path: Path) -> None:
    kinds = ("json", "bytes", "boolean", "decimal", "datetime", "uuid", "date")
    columns = ", ".join(
        f'column("{side}_{kind}", "{kind}", nullable=True{", precision=9, scale=2" * (kind == "decimal")})'
        for kind in kinds
        for side in ("old", "new")
    )
    syncs = "\n".join(
        f'op.create_sync("{kind}", "t", new={{"new_{kind}": "old_{kind}"}}, old={{"old_{kind}": "new_{kind}"}})'
        for kind in kinds
    )
    table = f'op.create_table("t", column("id", "integer", primary_key=True, generated=True), {columns})'
    made = Migrator(db, write_history(tmp_path / "m", ("all", f"{table}\n{syncs}", None)))
    await made.up()
    fill = {
        "json": """'{"a": 1}'""",
        "bytes": "'\\x01'" if db.dialect.name == "postgresql" else "X'01'",
        "boolean": "true",
        "decimal": "1.50",
        "datetime": "'2026-01-01 00:00:00'",
        "uuid": "'12345678123456781234567812345678'"
        if db.dialect.name == "postgresql"
        else f"X'{'12' * 16}'",
        "date": "'2026-01-01'",
    }
    one = ", ".join(f"old_{each}" for each in fill)
    await fetch(db, f"INSERT INTO t ({one}) VALUES ({', '.join(fill.values())})")
    two = ", ".join(f"new_{each}" for each in fill)
    await fetch(db, f"INSERT INTO t ({two}) VALUES ({', '.join(fill.values())})")
    for kind in fill:
        sides = await fetch(db, f"SELECT old_{kind}, new_{kind} FROM t")
        assert len(sides) == 2
        assert {old for old, _ in sides} == {new for _, new in sides}
        assert None not in sides[0] + sides[1]
        await fetch(db, f"UPDATE t SET new_{kind} = NULL WHERE id = 1")
        await fetch(db, f"UPDATE t SET old_{kind} = NULL WHERE id = 2")
        assert await fetch(db, f"SELECT old_{kind}, new_{kind} FROM t") == [(None, None)] * 2


class Twice(
    Model, Versions, table="twice", indexes=[index(lambda t: search(t.name).vector, name="w")]
):
    id: Col[int] = col(pk=True, init=False)
    title: Col[str | None]
    name: Col[str | None]


async def test_other_triggers_of_a_table_see_a_row_before_it_is_changed(
    db: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    await split_history(db, folder, [], [Twice])
    await migrator(db, folder).up()
    number = len(History.load(folder)) + 1
    body = """op.create_sync("x", "twice", new={"name": "title"}, old={"title": "name"})"""
    add_migration(folder, number, "sync", body, """op.drop_sync("x", "twice")""")
    await migrator(db, folder).up()
    assert await migrator(db, folder).drift() == []

    row = await Twice.create(title="a red house", name=None)
    last = "SELECT title, name FROM twice_history WHERE history_until IS NULL"
    assert await fetch(db, last) == [("a red house", "a red house")]
    assert await Twice.where(search(Twice.name).matches("red")).count() == 1
    await Twice.where(Twice.id == row.id).update(title="a blue house")
    assert await fetch(db, last) == [("a blue house", "a blue house")]
    found = [
        await Twice.where(search(Twice.name).matches(each)).count() for each in ("red", "blue")
    ]
    assert found == [0, 1]
    await Twice.where(Twice.id == row.id).delete()
    assert await Twice.where(search(Twice.name).matches("blue")).count() == 0
    await migrator(db, folder).down()
    assert await migrator(db, folder).drift() == []
