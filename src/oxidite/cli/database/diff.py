"""``oxidite db diff``: what changed in the models, as a migration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say, write
from oxidite.cli.database.project import Project, database_options, find_project, run
from oxidite.cli.database.standing import say_findings
from oxidite.db.migrations import Fill, History, MigrationError, QuestionError
from oxidite.db.migrations.difference import Answers, Change, difference
from oxidite.db.migrations.history import after as following
from oxidite.db.migrations.lint import lint as look
from oxidite.db.migrations.models import fills_of, renames_of, schema_of
from oxidite.db.migrations.operations import Schema
from oxidite.db.migrations.splitting import Part, joined, split
from oxidite.db.migrations.sync_operations import is_to_write
from oxidite.db.migrations.writing import describe, file_text, message_of, write_migration

__all__ = ["diff"]

_DIFFERS = 1
_OPEN = "Write SQL where TO_WRITE stands; nothing was tried, as only you know what becomes of the values."


@click.command(cls=Command)
@click.argument("message", required=False)
@database_options
@click.option("--rename", "renames", multiple=True, metavar="OLD:NEW", help="users.name:full_name")
@click.option("--no-renames", is_flag=True, help="What is gone is dropped, without a question.")
@click.option(
    "--fill", "fills", multiple=True, metavar="COLUMN=VALUE", help="users.age=0, for rows there."
)
@click.option("--split", "is_split", is_flag=True, help="In phases: for two versions at a time.")
@click.option("--empty", is_flag=True, help="Write a migration to be filled by hand.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if models have changed.")
@click.option("--dry-run", is_flag=True, help="Show the file instead of writing it.")
def diff(
    message: str | None,
    app: str | None,
    database: str | None,
    renames: Sequence[str],
    no_renames: bool,
    fills: Sequence[str],
    is_split: bool,
    empty: bool,
    check: bool,
    dry_run: bool,
) -> int:
    """Write a migration of what changed in the models since the last one.

    It is tried in a database that is thrown away, forth and back, before it is written. What is gone
    on one side and new on the other is asked about: it may be the same under another name.

    With --split it becomes several migrations, of the phases expand and contract: the version of the
    application that runs can live with the first ones, so they come before the new one is started.

    Examples:
      oxidite db diff "add user age"
      oxidite db diff --rename users.name:full_name
      oxidite db diff --fill users.age=18
      oxidite db diff --split               then: oxidite db up --phase expand
      oxidite db diff --check               in CI: do the migrations say what the models say?
    """
    if is_split and (empty or check):
        raise click.UsageError("--split with --empty or --check: one of them.")
    project = find_project(app, database)
    history = project.history()
    models, schema = schema_of(project.tables, project.database.dialect), history.schema()
    try:
        answers = _answers(
            project, schema, renames, fills, no_renames=no_renames or check, check=check
        )
        change = Change((), ()) if empty else difference(schema, models, answers)
    except QuestionError as exc:
        raise click.UsageError(exc.message) from None
    if not change and not empty:
        say("No changes: the migrations say what the models say.")
        return 0
    if is_split:
        return _split(project, change, message, models, dry_run=dry_run)
    for each in change.forth:
        write(describe(each))
    if check:
        say(f"{len(change.forth)} changes have no migration. Write one: oxidite db diff")
        return _DIFFERS
    if not empty:
        run(_verify(project, history, change, models))
    if dry_run:
        write("")
        last = history.last
        number = f"{int(last.id) + 1:04}" if last else "0001"
        text = file_text(change, message or "Not written yet", number, last.id if last else None)
        write(text)
        return 0
    if empty and message is None:
        raise click.UsageError(
            'An empty migration needs a name: oxidite db diff --empty "copy names"'
        )
    return _written(project, history, change, message, schema, models)


def _split(
    project: Project, change: Change, message: str | None, models: Schema, *, dry_run: bool
) -> int:
    history = project.history()
    schema = history.schema()
    parts = split(schema, models, change)
    _write_parts(parts)
    is_open = any(is_to_write(one) for each in parts for one in each.change.forth)
    if not is_open:
        run(_verify(project, history, joined(parts), models))
    words = [
        f"{message or message_of(change.forth)}{f': {each.word}' * (len(parts) > 1)}"
        for each in parts
    ]
    if dry_run:
        number, last = int(history.last.id) if history.last else 0, history.last
        after = last.id if last else None
        for each, title in zip(parts, words, strict=True):
            number += 1
            write("")
            write(file_text(each.change, title, f"{number:04}", after, phase=each.phase))
            after = f"{number:04}"
        return 0
    for each, title in zip(parts, words, strict=True):
        file = write_migration(project.history(), each.change, title, phase=each.phase)
        say(f"Written: {bold(_shown(file))} {dim(f'({each.phase})')}")
    entries = project.history().entries[len(history) :]
    for entry in entries:
        say_findings(look(entry, schema, models, project.database.dialect.name))
        schema = following(entry, schema)
    say(_next(parts, is_open=is_open))
    return 0


def _write_parts(parts: Sequence[Part]) -> None:
    """Show what is done in each phase."""
    for phase in dict.fromkeys(each.phase for each in parts):
        write(bold(f"{phase}:"))
        for part in parts:
            for each in part.change.forth if part.phase == phase else ():
                write(f"  {describe(each)}")


def _next(parts: Sequence[Part], *, is_open: bool) -> str:
    """Say what to do with the files of several phases."""
    steps = [_OPEN if is_open else "Read them."]
    phases = {each.phase for each in parts}
    if "expand" in phases:
        steps.append("Before the new version is started: oxidite db up --phase expand.")
    if "contract" in phases:
        steps.append("When no old one runs any more: oxidite db up.")
    return " ".join(steps)


def _written(
    project: Project,
    history: History,
    change: Change,
    message: str | None,
    schema: Schema,
    models: Schema,
) -> int:
    file = write_migration(history, change, message)
    say(f"Written: {bold(_shown(file))} {dim('(read it, then: oxidite db up)')}")
    last = History.load(project.folder).last
    if last is not None:
        say_findings(look(last, schema, models, project.database.dialect.name))
    return 0


def _shown(file: Path) -> str:
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


async def _verify(project: Project, history: History, change: Change, models: Schema) -> None:
    # Imported here: it imports SQLAlchemy and Alembic, which `--check` does without.
    from oxidite.db.migrations.shadow import verify

    async with project.database as database:
        await verify(database, history, change, models)


def _answers(
    project: Project,
    schema: Schema,
    renames: Sequence[str],
    fills: Sequence[str],
    *,
    no_renames: bool,
    check: bool,
) -> Answers:
    said = dict(_pair(each, ":", "--rename users.name:full_name") for each in renames)
    values = dict(_pair(each, "=", "--fill users.age=18") for each in fills)
    tables = project.tables
    known: dict[str, Fill] = dict(fills_of(tables))
    known |= {key: _value(text) for key, text in values.items()}
    if check:
        # Nothing is written, so nobody has to be asked.
        known = {f"{t.name}.{c.column_name}": 0 for t in tables for c in t.columns} | known
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    return Answers(
        renames={
            **renames_of(tables, schema),
            **{old: new.rpartition(".")[2] for old, new in said.items()},
        },
        fills=known,
        no_renames=no_renames,
        ask=_Person() if is_terminal else None,
    )


def _pair(said: str, sign: str, example: str) -> tuple[str, str]:
    left, found, right = said.partition(sign)
    if not found or not left or not right:
        raise click.UsageError(f"{said!r} means nothing. Write it as {example}")
    return left.strip(), right.strip()


def _value(text: str) -> Fill:
    """Return what was typed as a value: a number or true and false as JSON has them, else text."""
    try:
        found: object = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return found if isinstance(found, bool | int | float | str) else text


class _Person:
    """Whoever is in front of the terminal."""

    def renamed(self, what: str, old: str, candidates: Sequence[str]) -> str | None:
        say(f"\nThe {what} {bold(old)} is gone, and there is something new. Is it the same?")
        for number, each in enumerate(candidates, 1):
            say(f"  {number}  yes, it is {bold(each)} now: the values are kept")
        say("  0  no: it is dropped, with all that is in it")
        answer: int = click.prompt(
            "Which", type=click.IntRange(0, len(candidates)), err=True, show_choices=False
        )
        return candidates[answer - 1] if answer else None

    def fill(self, column: str, type_: str) -> Fill:
        text: str = click.prompt(
            f"\n{column} ({type_}) may not be empty. The rows that are there get", err=True
        )
        if not text:
            raise MigrationError(f"{column} needs a value for the rows that are there.")
        return _value(text)
