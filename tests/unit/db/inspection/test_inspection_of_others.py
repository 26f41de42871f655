"""A database that others made: odd names are called otherwise, and what no model says is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oxidite.db import Database, DatabaseError
from oxidite.db.inspection.naming import attribute, class_name
from oxidite.db.inspection.texts import bare, plain, written

from .support import compared, imported, inspected, run, tables_in

LINES = """
CREATE TABLE "line items" (
    order_id INTEGER NOT NULL, no INTEGER NOT NULL, "note""s" VARCHAR(99),
    parent_order INTEGER, parent_no INTEGER, PRIMARY KEY (order_id, no),
    CONSTRAINT of_order FOREIGN KEY (order_id) REFERENCES "order" ("class") ON DELETE CASCADE,
    FOREIGN KEY (parent_order, parent_no) REFERENCES "line items" (order_id, no)
);
CREATE TABLE log (line TEXT);
"""
FOREIGN = {
    "sqlite": f"""
CREATE TABLE "order" (
    "class" INTEGER PRIMARY KEY, "from" TEXT, "Unit Price" DECIMAL(9, 2) DEFAULT 1.5,
    "2nd" VARCHAR(20) DEFAULT 'it''s', made DATETIME DEFAULT CURRENT_TIMESTAMP, data JSON,
    open BOOLEAN NOT NULL DEFAULT 1, save TEXT, "Größe" REAL, CHECK (save <> ''),
    CONSTRAINT positive CHECK ("class" > 0), UNIQUE ("from")
);
{LINES}
CREATE INDEX "by note" ON "line items" ("note""s" COLLATE NOCASE DESC, no);
CREATE TABLE CamelCase (CamelId INTEGER PRIMARY KEY, userName TEXT, user_name TEXT, shape CURVE)
""",
    "postgresql": f"""
CREATE TYPE mood AS ENUM ('good', 'it''s bad');
CREATE TABLE "order" (
    "class" SERIAL PRIMARY KEY, "from" VARCHAR UNIQUE, "Unit Price" NUMERIC(9, 2) DEFAULT 1.5,
    "2nd" VARCHAR(20) DEFAULT 'it''s', made TIMESTAMP DEFAULT now(), data JSON,
    open BOOLEAN NOT NULL DEFAULT true, save CHAR(3), "Größe" REAL, feeling mood, address INET,
    words TSVECTOR, tags TEXT[], CHECK (save <> ''), CONSTRAINT positive CHECK ("class" > 0)
);
{LINES}
CREATE INDEX "by note" ON "line items" ("note""s" DESC, no);
CREATE TABLE "CamelCase" ("CamelId" BIGINT PRIMARY KEY, "userName" TEXT, user_name TEXT, shape POINT)
""",
    "mariadb": f"""
CREATE TABLE "order" (
    "class" INTEGER AUTO_INCREMENT PRIMARY KEY, "from" VARCHAR(30) UNIQUE,
    "Unit Price" NUMERIC(9, 2) DEFAULT 1.5, "2nd" VARCHAR(20) DEFAULT 'it''s',
    made TIMESTAMP NULL DEFAULT current_timestamp(), data JSON, open BOOLEAN NOT NULL DEFAULT true,
    save CHAR(3), "Größe" FLOAT, feeling ENUM('good', 'it''s bad'), flags SET('a', 'b'), born YEAR,
    large INTEGER UNSIGNED, small MEDIUMTEXT, CHECK (save <> ''),
    CONSTRAINT positive CHECK (length(save) > 0)
);
{LINES}
CREATE INDEX "by note" ON "line items" ("note""s", no);
CREATE TABLE "CamelCase" ("CamelId" BIGINT PRIMARY KEY, "userName" TEXT, user_name TEXT, shape POINT)
""",
}
SAID = {
    "sqlite": (
        "# SQLite has few types:",
        "# In the database: DECIMAL(9, 2).",
        "# In the database it is not said to be NOT NULL.",
        "# In the database: VARCHAR(20).",
        "# Its default in the database, which models do not make: CURRENT_TIMESTAMP",
        "# The check without a name is in the database only: save <> ''",
        """index(SQL('"note""s" COLLATE NOCASE DESC'), "no", name="by note"),""",
        'unit_price: Col[Decimal | None] = col(name="Unit Price", default=Decimal("1.5"))',
        'on_delete="cascade"',
    ),
    "postgresql": (
        "# The column 'address' is left out: no column of a model holds a value of the type",
        "# The check positive is in the database only: class > 0",
        "# In the database: TIMESTAMP WITHOUT TIME ZONE.",
        "# In the database: CHAR(3).",
        "# In the database: of the type mood.",
        """feeling: Col[Literal["good", "it's bad"] | None] = col(native=True, default=None)""",
        "tags: Col[list[str] | None] = col(array=True, default=None)",
        'index("note_s", "no", name="by note"),',
        """# The index by note is otherwise in the database: note"s desc.""",
        "# The foreign key is called of_order in the database",
        "# The index order_from_key is otherwise in the database: a constraint in the",
        "precision=9,",
    ),
    "mariadb": (
        "# The column 'flags' is left out: no column of a model holds a value of the type",
        "# The column 'shape' is left out: no column of a model holds values of its type.",
        "# The check CONSTRAINT_1 is in the database only: save <> ''",
        "# In the database: MEDIUMTEXT.",
        "# In the database: unsigned.",
        "# In the database: an ENUM.",
        "data: Col[object | None] = col(json=True, default=None)",
        "# The foreign key is called of_order in the database",
        'index("from_", unique=True, name="from"),',
    ),
}
SAID_OF_ALL = (
    "# The table 'log' has no model: it has no primary key.",
    "# A foreign key is left out, (parent_order, parent_no) to line items (order_id, no):",
    """note_s: Col[str | None] = col(""",
    """name='note"s'""",
    """column_2nd: Col[str | None] = col(max_length=20, name="2nd", default="it's")""",
    "open: Col[bool] = col(default=True)",
    'name="userName"',
    'user_name_2: Col[str | None] = col(name="user_name", default=None)',
    'größe: Col[float | None] = col(name="Größe", default=None)',
    "class_: Col[int] = col(pk=True, init=False, ",
    'order: BelongsTo["Order"] = rel(fk="order_id")',
    'line_items: HasMany["LineItem"] = rel(fk="order_id")',
)


@pytest.fixture
async def foreign(db: Database) -> Database:
    await run(db, *FOREIGN[db.dialect.name].split(";"))
    return db


async def test_what_models_say_of_it_and_what_they_do_not(
    foreign: Database, tmp_path: Path
) -> None:
    text = await inspected(foreign)

    missing = [each for each in (*SAID_OF_ALL, *SAID[foreign.dialect.name]) if each not in text]
    assert missing == [], text
    found = await compared(foreign, tables_in(imported(text, tmp_path)))
    # Nothing that a model has is missing, but for what is told to be otherwise.
    lost = [each for each in found if each.endswith("missing")]
    assert all(
        any(word in each for word in ("by note", "from", "of_order", "order_id", "feeling"))
        for each in lost
    ), lost


async def test_rows_of_odd_names_are_read_and_written(foreign: Database, tmp_path: Path) -> None:
    module: Any = imported(await inspected(foreign), tmp_path)

    order = await module.Order.create(from_="a", save_="abc", column_2nd="x", größe=1.5)
    await module.LineItem.create(order_id=order.class_, no=1, note_s="n")
    await module.CamelCase.create(user_name="u", **keys(foreign))

    (item,) = await (await module.Order.get(order.class_)).line_items
    assert (item.note_s, (await item.order).save_) == ("n", "abc")
    camel = await module.CamelCase.where(module.CamelCase.user_name == "u").one()
    assert camel.user_name_2 is None
    assert await run(foreign, 'SELECT "2nd" FROM "order"') == [("x",)]


def keys(db: Database) -> dict[str, int]:
    """Return the key of a new row, where the database makes none."""
    return {} if db.dialect.name == "sqlite" else {"camel_id": 7}


@pytest.mark.only_on("memory")
async def test_columns_called_like_types_and_functions_do_not_hide_them(
    db: Database, tmp_path: Path
) -> None:
    await run(
        db,
        "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, date DATE, due DATE, col TEXT, rel TEXT, "
        "str TEXT, count INTEGER DEFAULT 007, save_id INTEGER REFERENCES t)",
    )

    module: Any = imported(await inspected(db), tmp_path)

    row = await module.T.create(col_="a")
    assert (row.count_, row.str_, row.due, await row.save_) == (7, None, None, None)


async def test_only_the_tables_that_are_named_are_written(
    foreign: Database, tmp_path: Path
) -> None:
    text = await inspected(foreign, "line items")

    assert "class LineItem(" in text
    assert "class Order" not in text
    assert "(order_id) to order (class): its table is" in text
    imported(text, tmp_path)


async def test_a_table_that_is_not_there_is_an_error(foreign: Database) -> None:
    with pytest.raises(DatabaseError, match=r"no table 'orders' in this database. There is: .*log"):
        await inspected(foreign, "orders")


async def test_a_database_without_tables_says_so(db: Database) -> None:
    assert (await inspected(db)).endswith("# There are no tables.\n")


async def test_names_cannot_break_out_of_the_models(db: Database, tmp_path: Path) -> None:
    name = 'x"]; import os; raise SystemExit("'
    quoted = '"' + name.replace('"', '""') + '"'
    line = "id INTEGER PRIMARY KEY, " + quoted + " INTEGER DEFAULT 3"
    await run(db, f"CREATE TABLE {quoted} ({line})", "CREATE TABLE t (\n" + line + ")")

    module = imported(await inspected(db), tmp_path)

    assert {each.name for each in tables_in(module)} == {name, "t"}
    assert all(each.columns[1].column_name == name for each in tables_in(module))


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("users", "User"),
        ("user_roles", "UserRole"),
        ("categories", "Category"),
        ("boxes", "Box"),
        ("addresses", "Address"),
        ("status", "Status"),
        ("CamelCase", "CamelCase"),
        ("line items", "LineItem"),
        ("2024", "Table2024"),
        ("___", "Table"),
        ("models", "ModelRow"),
        ("exceptions", "ExceptionRow"),
    ],
)
def test_a_class_is_called_after_its_table(table: str, name: str) -> None:
    assert class_name(table, {"Model"}) == name


def test_no_two_are_called_the_same() -> None:
    assert class_name("user", {"User"}) == "UserRow"
    assert class_name("user", {"User", "UserRow"}) == "UserRow_2"
    assert attribute("user-name", {"user_name"}) == "user_name_2"


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("class", "class_"),
        ("save", "save_"),
        ("_secret", "secret"),
        ("date", "date_"),
        ("col", "col_"),
        ("2nd", "column_2nd"),
        ("-", "column_"),
        ("HTTPCode", "httpcode"),
        ("userName", "user_name"),
        ("__struct_fields__", "struct_fields"),
    ],
)
def test_a_column_is_called_what_python_allows(column: str, name: str) -> None:
    assert attribute(column, ()) == name


def test_sql_is_written_as_others_read_it() -> None:
    assert (
        plain("(`a` > 1 and lcase(`Odd`) = 'it\\'s (')") == """a > 1 and lower("Odd") = 'it''s ('"""
    )
    assert bare("((a) + (b))") == "(a) + (b)"
    assert bare("(a) + (b)") == "(a) + (b)"
    assert written("it's") == '"it\'s"'
    assert written('say "it"') == "'say \"it\"'"
    assert written("plain") == '"plain"'
