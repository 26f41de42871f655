"""``oxidite db status``, ``plan``, ``lint`` and ``show``: they change nothing."""

from __future__ import annotations

from collections.abc import Sequence

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say, table, write
from oxidite.cli.database.project import database_options, find_project, phase_option, run
from oxidite.db.migrations import Phase
from oxidite.db.migrations.history import after
from oxidite.db.migrations.lint import Finding
from oxidite.db.migrations.lint import lint as look
from oxidite.db.migrations.migrator import Line, Migrator, Planned
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.operations import Schema
from oxidite.encoding import json_text

__all__ = ["lint", "plan", "say_findings", "show", "status", "write_plan"]

_WRONG = 1


@click.command(cls=Command)
@database_options
@click.option("--check", is_flag=True, help="End with 1 if anything is pending, too.")
@click.option("--drift", is_flag=True, help="Compare the database with what its migrations make.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def status(app: str | None, database: str | None, check: bool, drift: bool, as_json: bool) -> int:
    """Show what is applied and what is pending.

    Ends with 1 if an applied migration was changed since, has no file, or was stopped half-way, and
    with --drift if the database has something else than its migrations make.

    Examples:
      oxidite db status
      oxidite db status --check --drift       before a deployment
      oxidite db status --json | jq '.migrations[].state'
    """
    project = find_project(app, database)

    async def work() -> tuple[list[Line], list[str]]:
        async with project.database:
            made = Migrator(project.database, project.history())
            return await made.status(), await made.drift() if drift else []

    lines, drifted = run(work())
    if as_json:
        write(json_text({"migrations": lines, "drift": drifted if drift else None}))
    else:
        _write_status(lines, drifted, drift=drift)
    wrong = {"changed", "missing", "unfinished"} | ({"pending"} if check else set())
    return _WRONG if drifted or any(each.state in wrong for each in lines) else 0


def _write_status(lines: Sequence[Line], drifted: Sequence[str], *, drift: bool) -> None:
    if not lines:
        say("There are no migrations yet. The first: oxidite db diff")
    else:
        # Most histories have no phases.
        with_phases = any(each.phase for each in lines)
        table(
            (
                "MIGRATION",
                *(("PHASE",) if with_phases else ()),
                "STATE",
                "BATCH",
                "APPLIED",
                "TOOK",
            ),
            [
                (
                    each.name,
                    *((each.phase or "",) if with_phases else ()),
                    each.state,
                    "" if each.batch is None else str(each.batch),
                    each.applied_at or "",
                    "" if each.took_ms is None else f"{each.took_ms} ms",
                )
                for each in lines
            ],
        )
        counts = [
            f"{sum(each.state == state for each in lines)} {state}"
            for state in ("applied", "pending", "changed", "missing", "unfinished")
            if any(each.state == state for each in lines)
        ]
        say(f"{', '.join(counts)}.")
    if drift:
        say("The database is what its migrations make." if not drifted else "Drift:")
        for each in drifted:
            write(f"  {each}")


@click.command(cls=Command)
@database_options
@click.option("--to", metavar="ID", help="Up to and with this one.")
@phase_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def plan(
    app: str | None, database: str | None, to: str | None, phase: Phase | None, as_json: bool
) -> int:
    """Show the SQL that `up` would run.

    Examples:
      oxidite db plan
      oxidite db plan --to 0007 > review.sql
    """
    project = find_project(app, database)

    async def work() -> list[Planned]:
        async with project.database:
            return await Migrator(project.database, project.history()).plan(to=to, phase=phase)

    planned = run(work())
    if as_json:
        write(json_text(planned))
    else:
        write_plan(planned)
    return 0


def write_plan(planned: Sequence[Planned]) -> None:
    """Write SQL, each migration under its name."""
    if not planned:
        say("Nothing is pending.")
    for place, each in enumerate(planned):
        write(("\n" if place else "") + f"-- {each.name}{f' ({each.phase})' if each.phase else ''}")
        for sql in each.statements:
            write(sql if sql.startswith("--") else f"{sql};")


@click.command(cls=Command)
@database_options
@click.option("--all", "every", is_flag=True, help="Those that are applied, too.")
@click.option(
    "--for",
    "dialect",
    type=click.Choice(["sqlite", "postgresql"]),
    help="Which database it is for.  [the application's]",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def lint(
    app: str | None, database: str | None, every: bool, dialect: str | None, as_json: bool
) -> int:
    """Find what in pending migrations would lock a table, lose data or break what runs.

    Ends with 1 if something is an error. What is meant is allowed by a comment in the file:
    # lint: allow index-locks

    Examples:
      oxidite db lint
      oxidite db lint --for postgresql --all
    """
    project = find_project(app, database)
    history, models = project.history(), schema_of(project.tables, project.database.dialect)

    async def work() -> set[str]:
        async with project.database:
            return {each.id for each in await Migrator(project.database, history).pending()}

    pending = {each.id for each in history.entries} if every else run(work())
    name = project.database.dialect.name if dialect is None else "postgresql"
    if dialect == "sqlite":
        name = "sqlite"
    found: list[Finding] = []
    schema: Schema = {}
    for entry in history.entries:
        if entry.id in pending:
            found += look(entry, schema, models, name)
        schema = after(entry, schema)
    if as_json:
        write(json_text(found))
    else:
        say_findings(found)
        if not found:
            count = len(pending)
            text = f"Nothing found in {count} migration{'s' if count != 1 else ''}."
            say(text if count else "Nothing is pending.")
    return _WRONG if any(each.severity == "error" for each in found) else 0


def say_findings(findings: Sequence[Finding]) -> None:
    """Tell what was found."""
    for each in findings:
        colour = "red" if each.severity == "error" else "yellow"
        label = click.style(f"{each.severity}:", fg=colour, bold=True)
        say(f"\n{label} {each.migration}: {each.message} {dim(f'[{each.rule}]')}")
        say(f"  {bold('Instead:')} {each.instead}")


@click.command(cls=Command)
@database_options
@click.option("--to", metavar="ID", help="As it is after this one.")
@click.option("--sql", is_flag=True, help="As SQL of the application's database.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def show(app: str | None, database: str | None, to: str | None, sql: bool, as_json: bool) -> int:
    """Show the schema that the migrations make.

    Examples:
      oxidite db show
      oxidite db show --to 0007 --sql
    """
    project = find_project(app, database)
    history = project.history()
    last = None if to is None else history.find(to)
    schema: Schema = {}
    for entry in history.entries:
        schema = after(entry, schema)
        if entry is last:
            break
    if as_json:
        write(json_text(list(schema.values())))
    elif sql:
        # Imported here: it imports SQLAlchemy.
        from oxidite.db.sql.schema import create_statements

        tables = [each.table() for each in schema.values()]
        for each in create_statements(tables, project.database.dialect):
            write(f"{each.strip()};\n")
    else:
        for made in schema.values():
            write(bold(made.name))
            for part in (*made.columns, *made.indexes, *made.checks, *made.syncs):
                write(f"  {part!r}")
    return 0
