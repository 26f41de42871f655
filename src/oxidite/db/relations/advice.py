"""Says which relation would have loaded what a query asks for."""

from __future__ import annotations

from oxidite.db.errors import ModelError
from oxidite.db.relations.definition import Definition
from oxidite.db.relations.naming import all_models
from oxidite.db.statements.statements import SelectStatement
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import AnyColumn

__all__ = ["advice"]


def advice(statement: SelectStatement) -> str | None:
    """Return ``.with_(Post.author)`` for a query that asks for rows by the key of a relation."""
    asked = [
        condition.args[0]
        for condition in statement.where
        if condition.name in ("eq", "in") and isinstance(condition.args[0], Column)
    ]
    if not asked:
        return None
    for model in all_models():
        for definition in model.__table__.relations.values():
            if any(_leads_to(definition, column) for column in asked):
                return f".with_({definition.short})"
    return None


def _leads_to(definition: Definition, column: AnyColumn) -> bool:
    try:
        pairs = definition.link.first.pairs
    except ModelError:
        return False  # of a model that nobody can use
    return any(own is column for _, own in pairs)
