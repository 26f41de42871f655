"""Statements of SQLAlchemy's Core, run by our drivers: the way out when a query says too little.

It imports SQLAlchemy, so it is imported when one is run.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.selectable import SelectBase

from oxidite.db.errors import QueryError
from oxidite.db.raw.binding import bind_value
from oxidite.db.raw.raw import CoreStatement, RawOwner, RawQuery
from oxidite.db.raw.rows import row_reader
from oxidite.db.sql.compiler import DIALECTS

__all__ = ["core_query"]


def core_query(owner: RawOwner, statement: CoreStatement) -> RawQuery[tuple[Any, ...]]:
    """Return a query of a statement; its values are bound by their Python types, as in raw SQL.

    Raises:
        QueryError: it is no statement.
    """
    if not isinstance(statement, ClauseElement):
        raise QueryError(
            f"{statement!r} is no statement of SQLAlchemy's Core, such as select(table)."
        )
    dialect = owner.dialect
    compiled: Any = statement.compile(
        dialect=DIALECTS[dialect.name], compile_kwargs={"render_postcompile": True}
    )
    params = compiled.construct_params()
    values = [bind_value(name, params[name], dialect) for name in compiled.positiontup or ()]
    reads = (
        isinstance(statement, SelectBase) and getattr(statement, "_for_update_arg", None) is None
    )
    return RawQuery(owner, str(compiled), values, not reads, row_reader(None, dialect))
