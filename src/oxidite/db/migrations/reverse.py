"""The way back of an operation."""

from __future__ import annotations

from oxidite.db.migrations.operations import (
    AddColumn,
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
    Fill,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    Schema,
)
from oxidite.db.migrations.specs import NOW, ColumnSpec
from oxidite.db.migrations.sync_operations import CreateSync, DropSync
from oxidite.db.values.kinds import RANGES

__all__ = ["reversed_operation"]


def reversed_operation(operation: Operation, before: Schema) -> list[Operation]:
    """Return what undoes an operation that is done to the schema ``before``.

    What is gone stays gone: a column that comes back, and may not be empty, is filled with nothing
    of its kind.
    """
    match operation:
        case CreateTable():
            return [DropTable(operation.table.name)]
        case DropTable():
            return [CreateTable(before[operation.name])]
        case CreateHistory():
            return [DropHistory(operation.table)]
        case DropHistory():
            return [CreateHistory(operation.table)]
        case RenameTable():
            return [RenameTable(operation.new, operation.name)]
        case RenameColumn():
            return [RenameColumn(operation.table, operation.new, operation.name)]
        case AddColumn():
            return [DropColumn(operation.table, operation.column.name)]
        case DropColumn() | ChangeColumn():
            return _column(operation, before)
        case ChangeKey():
            was = [each.name for each in before[operation.table].columns if each.primary_key]
            return [ChangeKey(operation.table, tuple(was))]
        case _:
            return _index(operation, before)


def _column(operation: DropColumn | ChangeColumn, before: Schema) -> list[Operation]:
    name = operation.name if isinstance(operation, DropColumn) else operation.column.name
    was = before[operation.table].find(name)
    assert was is not None  # noqa: S101 - the operation is possible
    if isinstance(operation, DropColumn):
        back: list[Operation] = [AddColumn(operation.table, was, nothing(was))]
        gone = [each for each in before[operation.table].indexes if name in each.columns]
        return [*back, *(CreateIndex(operation.table, each) for each in gone)]
    is_needed = operation.column.nullable and not was.nullable
    return [ChangeColumn(operation.table, was, fill=nothing(was) if is_needed else None)]


def _index(operation: Operation, before: Schema) -> list[Operation]:
    match operation:
        case CreateIndex():
            return [DropIndex(operation.table, operation.index.name, operation.concurrently)]
        case DropIndex():
            index = before[operation.table].find_index(operation.name)
            assert index is not None  # noqa: S101 - the operation is possible
            return [CreateIndex(operation.table, index, operation.concurrently)]
        case RenameIndex():
            return [RenameIndex(operation.table, operation.new, operation.name)]
        case CreateCheck():
            return [DropCheck(operation.table, operation.check.name)]
        case DropCheck():
            check = before[operation.table].find_check(operation.name)
            assert check is not None  # noqa: S101 - the operation is possible
            return [CreateCheck(operation.table, check)]
        case _:
            return _sync(operation, before)


def _sync(operation: Operation, before: Schema) -> list[Operation]:
    match operation:
        case CreateSync():
            return [DropSync(operation.table, operation.sync.name)]
        case DropSync():
            sync = before[operation.table].find_sync(operation.name)
            assert sync is not None  # noqa: S101 - the operation is possible
            return [CreateSync(operation.table, sync)]
        case _:
            return []


_NOTHING: dict[str, Fill] = {
    "integer": 0,
    "text": "",
    "boolean": False,
    "float": 0.0,
    "decimal": "0",
    "datetime": NOW,
    "date": "1970-01-01",
    "time": "00:00:00",
    "json": "null",
    "array": "[]",
    "interval": 0,
    "bytes": "",
    "vector": 0,
    **dict.fromkeys(RANGES, "empty"),
}


def nothing(column: ColumnSpec) -> Fill:
    """Return the value that stands for none, of a column that may not be empty."""
    if column.nullable or column.computed is not None:
        return None
    return column.values[0] if column.values else _NOTHING.get(column.type_name)
