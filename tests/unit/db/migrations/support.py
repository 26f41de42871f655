"""Folders of migrations for tests, written as a person would."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from oxidite.db import Database, Model
from oxidite.db.migrations import Fill, Migrator, Operation, Schema, TableSpec
from oxidite.db.migrations.difference import Answers, difference
from oxidite.db.migrations.history import HEAD, History
from oxidite.db.migrations.models import fills_of, renames_of, schema_of
from oxidite.db.migrations.shadow import verify
from oxidite.db.migrations.splitting import Part, joined, split
from oxidite.db.migrations.writing import write_migration

USERS = (
    "users",
    """op.create_table("users", column("id", "integer", primary_key=True, generated=True), column("name", "text", max_length=50))""",
    """op.drop_table("users")""",
)
AGE = (
    "age",
    """op.add_column("users", column("age", "integer"), fill=1)""",
    """op.drop_column("users", "age")""",
)
FILL = (
    "fill",
    """op.backfill("users", {"age": "age + 1"}, batch=10, pause=0.02)""",
    "pass",
)


def write_history(folder: Path, *steps: tuple[str, str, str | None]) -> History:
    """Write migrations, each of a name, the body of ``up`` and that of ``down``; return the history."""
    folder.mkdir(exist_ok=True)
    for number, (name, up, down) in enumerate(steps, 1):
        add_migration(folder, number, name, up, down)
    return History.load(folder)


def add_migration(
    folder: Path, number: int, name: str, up: str, down: str | None, *, options: str = ""
) -> Path:
    """Write one migration after the one before it."""
    before = f'"{number - 1:04}"' if number > 1 else None
    back = ""
    if down is not None:
        back = f"\n\n@migration.down\ndef down(op: Ops) -> None:\n{_body(down)}"
    file = folder / f"{number:04}_{name}.py"
    file.write_text(
        "from oxidite.db import SQL\nfrom oxidite.db.migrations import NOW, Migration, Ops, check, column, index\n\n"
        f'migration = Migration(id="{number:04}", after={before}{options})\n\n\n'
        f"@migration.up\ndef up(op: Ops) -> None:\n{_body(up)}{back}"
    )
    (folder / HEAD).write_text(f"{file.stem}\n")
    return file


def _body(text: str) -> str:
    lines = text.strip().splitlines() or ["pass"]
    return "".join(f"    {line.strip()}\n" for line in lines)


def answers(
    renames: Mapping[str, str] | None = None, fills: Mapping[str, Fill] | None = None
) -> Answers:
    return Answers(renames=renames or {}, fills=fills or {}, no_renames=True)


async def tried(
    db: Database, folder: Path, old: Schema, new: Schema, said: Answers
) -> Sequence[Operation]:
    """Write the history of ``old``, then the difference; try, apply and undo it; return what it does."""
    first = difference({}, old, answers())
    await verify(db, History(folder), first, old)
    write_migration(History.load(folder), first, "first")
    history = History.load(folder)
    assert same(history.schema(), old)
    change = difference(history.schema(), new, said)
    await verify(db, history, change, new)
    write_migration(history, change, "second")
    history = History.load(folder)
    assert same(history.schema(), new)
    assert tuple(history.entries[1].migration.forth()) == change.forth
    assert tuple(history.entries[1].migration.back()) == change.back
    migrator = Migrator(db, history)
    await migrator.up()
    assert await migrator.drift() == []
    await migrator.down(to="0")
    return change.forth


def same(one: Schema, other: Schema) -> bool:
    """Whether two schemas are the same, but for the order of columns and indexes."""

    def ordered(schema: Schema) -> dict[str, TableSpec]:
        return {
            name: replace(
                each,
                columns=tuple(sorted(each.columns, key=lambda one: one.name)),
                indexes=tuple(sorted(each.indexes, key=lambda one: one.name)),
                checks=tuple(sorted(each.checks, key=lambda one: one.name)),
            )
            for name, each in schema.items()
        }

    return ordered(one) == ordered(other)


async def fetch(db: Database, sql: str) -> list[tuple[Any, ...]]:
    async with db.driver.connection(write=True) as connection:
        return [tuple(row) for row in await connection.fetch(sql, ())]


async def add_users(db: Database, count: int) -> None:
    values = ", ".join(f"('user {number}')" for number in range(count))
    await fetch(db, f"INSERT INTO users (name) VALUES {values}")


SCRIPT = """
import asyncio, sys
from pathlib import Path
from oxidite.db import Database, Model
from oxidite.db.migrations import History
from oxidite.db.migrations.migrator import Migrator

async def main():
    async with Database.from_url(sys.argv[1]) as db:
        migrator = Migrator(
            db, History.load(Path(sys.argv[2])),
            began=lambda entry: print("began", entry.id, flush=True),
            told=lambda progress: print("rows", progress.rows, flush=True),
            waiting=lambda: print("waiting", flush=True),
        )
        done = await migrator.up()
        print("done", len(done), flush=True)

asyncio.run(main())
"""


def start(url: str, folder: Path) -> subprocess.Popen[str]:
    """Bring a database up in a process of its own, which tells how it goes."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, url, str(folder)], stdout=subprocess.PIPE, text=True
    )


async def killed_amid_rows(url: str, folder: Path) -> None:
    """Begin to bring a database up in another process, and kill that when it has filled 50 rows or so."""
    killed = start(url, folder)
    assert killed.stdout is not None
    while True:
        line = await asyncio.to_thread(killed.stdout.readline)
        assert line, "it ended before it could be killed"
        if line.startswith("rows 50"):
            break
    os.kill(killed.pid, signal.SIGKILL)
    await asyncio.to_thread(killed.wait, 10)
    killed.stdout.close()


async def split_history(
    db: Database,
    folder: Path,
    old: Sequence[type[Model]],
    new: Sequence[type[Model]],
    *,
    fills: Mapping[str, Fill] | None = None,
    is_tried: bool = True,
) -> list[Part]:
    """Write and apply what makes the tables of ``old``, then write the change to ``new`` in phases."""
    schema = schema_of([each.__table__ for each in old], db.dialect)
    write_migration(History(folder), difference({}, schema, answers()), "first")
    await Migrator(db, History.load(folder)).up()
    tables = [each.__table__ for each in new]
    models = schema_of(tables, db.dialect)
    said = answers(renames_of(tables, schema), {**fills_of(tables), **(fills or {})})
    parts = split(schema, models, difference(schema, models, said))
    if is_tried:
        await verify(db, History.load(folder), joined(parts), models)
    for each in parts:
        write_migration(History.load(folder), each.change, each.word, phase=each.phase)
    entries = History.load(folder).entries[1:]
    assert [tuple(each.migration.forth()) for each in entries] == [
        each.change.forth for each in parts
    ]
    assert [tuple(each.migration.back()) for each in entries] == [
        each.change.back for each in parts
    ]
    return parts


def migrator(db: Database, folder: Path) -> Migrator:
    return Migrator(db, History.load(folder))
