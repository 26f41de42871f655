"""What the rows that are there get in a new column, the same in all databases, or in a changed one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from oxidite.db import Col, Database, Model, col
from oxidite.db.migrations import MigrationError, MigrationFailedError, Migrator

from .support import USERS, add_users, write_history


class User(Model, table="users"):
    id: Col[int] = col(pk=True, init=False)
    name: Col[str] = col(max_length=50)
    joined_at: Col[datetime]


def joined(fill: str) -> tuple[str, str, str]:
    return (
        "joined",
        f"""op.add_column("users", column("joined_at", "datetime"), fill={fill!r})""",
        """op.drop_column("users", "joined_at")""",
    )


@pytest.mark.parametrize(
    ("fill", "moment"),
    [
        ("2026-01-01T00:00:00+00:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T01:30:00.25+02:00", datetime(2025, 12, 31, 23, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-01-01 12:00:00Z", datetime(2026, 1, 1, 12, tzinfo=UTC)),
        ("2026-01-01", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
async def test_a_moment_with_a_zone_or_none(
    db: Database, tmp_path: Path, fill: str, moment: datetime
) -> None:
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, joined(fill)))
    await migrator.up(to="0001")
    await add_users(db, 1)
    await migrator.up()

    assert [each.joined_at for each in await User.all()] == [moment]
    assert await User.where(User.joined_at == moment).count() == 1
    assert await migrator.drift() == []


async def test_a_moment_in_the_place_of_none(db: Database, tmp_path: Path) -> None:
    fill = "2026-01-01T00:00:00+01:00"
    nullable = (
        "joined",
        """op.add_column("users", column("joined_at", "datetime", nullable=True))""",
        """op.drop_column("users", "joined_at")""",
    )
    needed = (
        "needed",
        f"""op.change_column("users", column("joined_at", "datetime"), fill={fill!r})""",
        """op.change_column("users", column("joined_at", "datetime", nullable=True))""",
    )
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, nullable, needed))
    await migrator.up(to="0002")
    await add_users(db, 1)
    await migrator.up()

    assert [each.joined_at for each in await User.all()] == [datetime(2025, 12, 31, 23, tzinfo=UTC)]


@pytest.mark.parametrize("fill", ["soon", "0001-01-01T00:00:00+01:00"])
async def test_what_is_no_moment_is_refused(db: Database, tmp_path: Path, fill: str) -> None:
    migrator = Migrator(db, write_history(tmp_path / "m", USERS, joined(fill)))
    with pytest.raises(MigrationError, match=r"does not fill joined_at, .*2026-01-31T12:00:00"):
        await migrator.up()


@pytest.mark.only_on("postgresql")
@pytest.mark.parametrize(
    ("old", "new", "using"),
    [
        ("decimal", "uuid", "lpad(thing::text, 32, '0')::uuid"),
        ("text", "integer", "length(thing)"),
        ("text", "datetime", "to_timestamp(length(thing))"),
    ],
)
async def test_a_change_of_type_that_needs_sql_says_so(
    db: Database, tmp_path: Path, old: str, new: str, using: str
) -> None:
    value = "7" if old == "decimal" else "seven"

    def steps(option: str) -> tuple[tuple[str, str, str | None], ...]:
        change = f"""op.change_column("users", column("thing", "{new}"){option})"""
        return (
            USERS,
            (
                "thing",
                f"""op.add_column("users", column("thing", "{old}"), fill="{value}")""",
                None,
            ),
            ("changed", change, None),
        )

    migrator = Migrator(db, write_history(tmp_path / "m", *steps("")))
    await migrator.up(to="0001")
    await add_users(db, 1)
    told = (
        rf'users\.thing do not become {new} by .*op\.change_column\("users", …, using="… thing …"\)'
    )
    with pytest.raises(MigrationFailedError, match=told):
        await migrator.up()
    # As it says.
    migrator = Migrator(db, write_history(tmp_path / "m", *steps(f", using={using!r}")))
    await migrator.up()
    assert await migrator.drift() == []


@pytest.mark.only_on("postgresql")
async def test_another_failure_of_a_change_says_nothing_of_types(
    db: Database, tmp_path: Path
) -> None:
    nullable = """op.add_column("users", column("thing", "integer", nullable=True))"""
    change = """op.change_column("users", column("thing", "integer"))"""
    steps = (USERS, ("thing", nullable, None), ("changed", change, None))
    migrator = Migrator(db, write_history(tmp_path / "m", *steps))
    await migrator.up(to="0001")
    await add_users(db, 1)
    with pytest.raises(MigrationFailedError) as failed:
        await migrator.up()
    assert "using=" not in failed.value.message
