"""Writes a migration as a file that a person reads, and changes where they know better."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from oxidite.db.migrations.difference import Change
from oxidite.db.migrations.errors import MigrationError
from oxidite.db.migrations.history import HEAD, History
from oxidite.db.migrations.migration import Phase
from oxidite.db.migrations.operations import (
    AddColumn,
    Backfill,
    ChangeColumn,
    ChangeKey,
    CreateCheck,
    CreateHistory,
    CreateIndex,
    CreateTable,
    DropCheck,
    DropColumn,
    DropHistory,
    DropIndex,
    DropTable,
    Execute,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
)
from oxidite.db.migrations.specs import NOW, code, sql_code
from oxidite.db.migrations.sync_operations import CreateSync, DropSync

__all__ = ["describe", "file_text", "message_of", "slug_of", "write_migration"]

_WIDTH = 100
_NAMES = ("NOW", "TO_WRITE", "Migration", "Ops", "check", "column", "index")


def write_migration(
    history: History, change: Change, message: str | None, *, phase: Phase | None = None
) -> Path:
    """Write the next migration of a history, and what ``HEAD`` says; return its file.

    Raises:
        MigrationError: it cannot be written, or has a name that is none.
    """
    number = f"{int(history.last.id) + 1:04}" if history.last else "0001"
    words = message or message_of(change.forth)
    file = history.folder / f"{number}_{slug_of(words)}.py"
    try:
        history.folder.mkdir(parents=True, exist_ok=True)
        last = history.last.id if history.last else None
        text = file_text(change, words, number, last, phase=phase)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
        (history.folder / HEAD).write_text(f"{file.stem}\n", encoding="utf-8")
    except OSError as exc:
        raise MigrationError(f"{file} cannot be written: {exc.strerror}.") from None
    return file


def slug_of(words: str) -> str:
    """Return words as they stand in the name of a file.

    Raises:
        MigrationError: nothing is left of them.
    """
    slug = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")[:60]
    if not slug:
        raise MigrationError(f"{words!r} makes no name of a file: say it with Latin letters.")
    return slug


def file_text(
    change: Change,
    message: str,
    number: str,
    after: str | None,
    *,
    replaces: Mapping[str, str] | None = None,
    phase: Phase | None = None,
) -> str:
    """Return the text of the file of a migration."""
    forth, back = _calls(change.forth), _calls(change.back)
    used = [name for name in _NAMES if name in ("Migration", "Ops") or _uses(forth + back, name)]
    sql = "from oxidite.db import SQL\n" if _uses(forth + back, "SQL") else ""
    title = message.strip().rstrip(".").replace("\\", "/").replace('"', "'")
    return f'''"""{title[:1].upper()}{title[1:]}."""

{sql}from oxidite.db.migrations import {", ".join(used)}

migration = Migration({_options(number, after, replaces, phase)})


@migration.up
def up(op: Ops) -> None:
{forth}

@migration.down
def down(op: Ops) -> None:
{back}'''


def _options(
    number: str, after: str | None, replaces: Mapping[str, str] | None, phase: Phase | None
) -> str:
    said = ", ".join([f"id={code(number)}", f"after={code(after)}", *_option("phase", phase)])
    if not replaces:
        return said
    lines = "".join(f"        {code(name)}: {code(sum_)},\n" for name, sum_ in replaces.items())
    return f"\n    {said},\n    replaces={{\n{lines}    }},\n"


def _uses(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w.\"]){name}\b(?![\"=])", text) is not None


def _calls(operations: Sequence[Operation]) -> str:
    return "".join(map(_call, operations)) or "    pass\n"


def _call(operation: Operation) -> str:
    name, arguments = _written(operation)
    line = f"    op.{name}({', '.join(arguments)})"
    if len(line) <= _WIDTH and "column(" not in "".join(arguments[2:]):
        return f"{line}\n"
    inside = "".join(f"        {each},\n" for each in arguments)
    return f"    op.{name}(\n{inside}    )\n"


def _written(operation: Operation) -> tuple[str, list[str]]:
    match operation:
        case CreateTable(table):
            parts = [repr(each) for each in (*table.columns, *table.indexes, *table.checks)]
            return "create_table", [code(table.name), *parts]
        case DropTable(name):
            return "drop_table", [code(name)]
        case RenameTable(name, new):
            return "rename_table", [code(name), code(new)]
        case AddColumn(table, column, fill):
            return "add_column", [code(table), repr(column), *_option("fill", fill)]
        case DropColumn(table, name):
            return "drop_column", [code(table), code(name)]
        case RenameColumn(table, name, new):
            return "rename_column", [code(table), code(name), code(new)]
        case ChangeColumn(table, column, using, fill):
            options = [*_option("using", using), *_option("fill", fill)]
            return "change_column", [code(table), repr(column), *options]
        case ChangeKey(table, columns):
            return "change_key", [code(table), code(list(columns))]
        case _:
            return _written_index(operation)


def _written_index(operation: Operation) -> tuple[str, list[str]]:
    match operation:
        case CreateIndex(table, index, concurrently):
            words = [code(index.name), code(table), index.arguments()]
            return "create_index", [*words, *_option("concurrently", concurrently or None)]
        case DropIndex(table, name, concurrently):
            words = [code(name), code(table)]
            return "drop_index", [*words, *_option("concurrently", concurrently or None)]
        case RenameIndex(table, name, new):
            return "rename_index", [code(name), code(table), code(new)]
        case CreateCheck(table, check):
            return "create_check", [code(check.name), code(table), code(check.sql)]
        case DropCheck(table, name):
            return "drop_check", [code(name), code(table)]
        case CreateHistory(table):
            return "create_history", [code(table)]
        case DropHistory(table):
            return "drop_history", [code(table)]
        case _:
            return _written_rows(operation)


def _written_rows(operation: Operation) -> tuple[str, list[str]]:
    match operation:
        case CreateSync(table, sync):
            return "create_sync", [code(sync.name), code(table), *sync.arguments()]
        case DropSync(table, name):
            return "drop_sync", [code(name), code(table)]
        case Backfill(table, values, where, batch, pause):
            pairs = ", ".join(f"{code(name)}: {sql_code(sql)}" for name, sql in values.items())
            usual = Backfill(table)
            options = _option("where", where)
            options += _option("batch", None if batch == usual.batch else batch)
            options += _option("pause", None if pause == usual.pause else pause)
            return "backfill", [code(table), f"{{{pairs}}}", *options]
        case Execute(sql, only, transactional):
            options = [] if transactional else ["transactional=False"]
            return "execute", [code(sql), *_option("only", only), *options]
        case _:
            raise MigrationError(f"{operation!r} is not written by itself.")


def _option(name: str, value: object) -> list[str]:
    if value is None:
        return []
    return [f"{name}={'NOW' if name == 'fill' and value == NOW else code(value)}"]


def describe(operation: Operation) -> str:
    """Return an operation in a few words, with a sign in front: + for new, - for gone, ~ for other."""
    match operation:
        case CreateTable(table):
            return f"+ table {table.name} ({', '.join(each.name for each in table.columns)})"
        case DropTable(name):
            return f"- table {name}"
        case RenameTable(name, new):
            return f"~ table {name} is {new}"
        case AddColumn(table, column, _):
            return f"+ column {table}.{column.name} ({column.type_name})"
        case DropColumn(table, name):
            return f"- column {table}.{name}"
        case RenameColumn(table, name, new):
            return f"~ column {table}.{name} is {new}"
        case ChangeColumn(table, column, _, _):
            return f"~ column {table}.{column.name} ({column.type_name})"
        case ChangeKey(table, columns):
            return f"~ primary key of {table} is ({', '.join(columns)})"
        case _:
            return _describe_index(operation)


def _describe_index(operation: Operation) -> str:
    match operation:
        case CreateIndex(table, index, _):
            return f"+ index {index.name} of {table}"
        case DropIndex(table, name, _):
            return f"- index {name} of {table}"
        case RenameIndex(table, name, new):
            return f"~ index {name} of {table} is {new}"
        case CreateCheck(table, check):
            return f"+ check {check.name} of {table}"
        case DropCheck(table, name):
            return f"- check {name} of {table}"
        case CreateHistory(table):
            return f"+ history of {table}"
        case DropHistory(table):
            return f"- history of {table}"
        case _:
            return _describe_rows(operation)


def _describe_rows(operation: Operation) -> str:
    match operation:
        case CreateSync(table, sync):
            return f"+ in step: {', '.join(sync.columns)} of {table}"
        case DropSync(table, name):
            return f"- in step: {name} of {table}"
        case Backfill(table, values):
            return f"~ rows of {table}: {', '.join(values)}"
        case _:
            return f"~ {operation!r}"


def message_of(operations: Sequence[Operation]) -> str:
    """Return a name for a migration that was given none."""
    words = re.sub(r"\(.*\)", "", describe(operations[0])) if operations else "empty"
    signs = {"+": "add", "-": "drop", "~": "change"}
    return " ".join(signs.get(word, word) for word in words.split())
