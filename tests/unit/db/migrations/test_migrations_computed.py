"""What MariaDB computes for indexes that it has not, and what it cannot."""

from __future__ import annotations

import pytest

from oxidite.db import SQL, Col, Database, Index, Model, ModelError, col, index
from oxidite.db.migrations.models import schema_of
from oxidite.db.migrations.push import push_tables
from oxidite.db.sql.schema import create_statements
from oxidite.db.tables.table import Table
from oxidite.db.values.dialects import MARIADB, MYSQL, SQLITE


def table(*indexes: Index, computed: str = "size + 1") -> Table:
    class Thing(Model, table="things", indexes=indexes):
        id: Col[int] = col(pk=True, init=False)
        size: Col[int]
        next_size: Col[int | None] = col(init=False, computed=computed)

    return Thing.__table__


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (table(index(SQL("id * 2", type="integer"), name="twice")), "the index twice"),
        (table(index(lambda one: one.id + one.size, name="sums")), "the index sums"),
        (table(index("size", where="id > 5", unique=True, name="few")), "the index few"),
        (table(computed='"id" + 1'), "the column next_size"),
        (table(computed="`id` + 1"), "the column next_size"),
    ],
)
def test_nothing_is_computed_of_a_column_that_counts_up(made: Table, what: str) -> None:
    for dialect in (MARIADB, MYSQL):
        with pytest.raises(ModelError, match=f"{what} is computed of id, and .* counts up itself"):
            create_statements([made], dialect)

    assert create_statements([made], SQLITE)


@pytest.mark.only_on("mariadb")
async def test_the_push_of_a_model_says_so_too(db: Database) -> None:
    made = table(index(SQL("id * 2", type="integer"), name="twice"))

    with pytest.raises(ModelError, match="the index twice is computed of id"):
        await push_tables(db, [made])
    assert schema_of([made], db.dialect)["things"].find_index("twice")


async def test_a_plain_index_over_such_a_column_is_one(db: Database) -> None:
    made = table(index("size", "id"), index(lambda one: one.size + 1, name="next"))

    assert (await push_tables(db, [made])).left == ()
