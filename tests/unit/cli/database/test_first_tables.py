"""The first run of ``oxidite dev``: tables without a migration, and nothing beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from oxidite import Oxidite
from oxidite.cli.database.first import FirstTables, add_first_tables
from oxidite.db import Col, Database, Model, col

HISTORY = """\
from oxidite.db.migrations import Migration, Ops, column

migration = Migration(id="0001", after=None)


@migration.up
def up(op: Ops) -> None:
    op.create_table("cups", column("id", "integer", primary_key=True), column("name", "text"))
"""


class Cup(Model, table="cups", database="first_tables"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str]


def application(tmp_path: Path) -> Oxidite:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    return Oxidite(resources=[Database.from_url(url, name="first_tables")])


async def test_the_first_run_has_its_tables_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = application(tmp_path)
    add_first_tables(app, tmp_path)
    async with app.running():
        await Cup.create(name="blue")
    said = capsys.readouterr().err
    assert said == (
        "Made in the database, as there are no migrations yet:\n  + table cups (id, name)\n"
    )

    again = application(tmp_path)
    add_first_tables(again, tmp_path)
    async with again.running():
        assert await Cup.query().count() == 1
    assert capsys.readouterr().err == ""


async def test_with_migrations_nothing_is_made_and_what_is_pending_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "migrations" / "first_tables"
    folder.mkdir(parents=True)
    (folder / "0001_cups.py").write_text(HISTORY)
    (folder / "HEAD").write_text("0001_cups\n")
    app = application(tmp_path)
    add_first_tables(app, tmp_path)
    async with app.running():
        pass
    assert capsys.readouterr().err == (
        "Pending migrations: 0001_cups. oxidite db up applies them.\n"
    )


def test_an_application_without_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    app = Oxidite()
    before = list(app.lifespan.resources)
    add_first_tables(app, tmp_path)
    assert app.lifespan.resources == before
    assert not any(isinstance(each, FirstTables) for each in before)
