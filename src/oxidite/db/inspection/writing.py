"""Writes models of what was found in a database, as a module that a person goes on with."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from oxidite.db.inspection.checks import Checked, checked
from oxidite.db.inspection.found import FoundColumn, FoundIndex, FoundKey, FoundTable
from oxidite.db.inspection.naming import attribute, class_name, free
from oxidite.db.inspection.texts import bare, plain, written
from oxidite.db.inspection.types import Said, said_of
from oxidite.db.inspection.vectors import with_metrics
from oxidite.db.sql.ranges import GIST
from oxidite.db.sql.vectors import HNSW
from oxidite.db.sql.words import words_of
from oxidite.db.tables.table import SQL, short_name
from oxidite.db.values.dialects import Dialect

__all__ = ["models_text"]

_WIDTH = 88
_TYPING = ("Literal",)
_DATETIME = ("date", "datetime", "time", "timedelta")
_OURS = (
    *("SQL", "BelongsTo", "Col", "HasMany", "HasOne", "Model"),
    *("Range", "Vector", "check", "col", "exclude", "index", "rel", "search"),
)
_TAKEN = {*_OURS, "Literal", "Decimal", "UUID"}


def models_text(tables: Sequence[FoundTable], dialect: Dialect) -> str:
    """Return a module with a model for each table; what models do not say stands in it as comments."""
    classes: dict[str, str] = {}
    for table in tables:
        classes[table.name] = class_name(table.name, {*_TAKEN, *classes.values()})
    made = [_ModelText(table, classes[table.name], dialect) for table in tables]
    by_name = {each.table.name: each for each in made}
    for each in made:
        each.relate(by_name)
    body = "\n\n".join(each.text() for each in made) or "# There are no tables.\n"
    title = f'"""Models of a database of {dialect.product}, as oxidite db inspect found it."""'
    note = _comment(_SQLITE, "") if dialect.name == "sqlite" and made else []
    head = "\n".join([title, *([""] if note else []), *note, ""])
    return f"{head}\n{_imports(body)}\n\n\n{body}" if made else f"{head}\n{body}"


_SQLITE = (
    "SQLite has few types: a datetime, a date, a time, a Decimal, JSON and an enum are TEXT there, a UUID is "
    "a BLOB, a timedelta an INTEGER. Where a column holds such values, give it their type; the table "
    "stays as it is."
)


def _imports(body: str) -> str:
    code = "\n".join(line for line in body.splitlines() if not line.lstrip().startswith("#"))
    code = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'", '""', code)
    lines: list[str] = []
    for module, names in (
        ("datetime", _DATETIME),
        ("decimal", ("Decimal",)),
        ("typing", _TYPING),
        ("uuid", ("UUID",)),
    ):
        used = [name for name in names if re.search(rf"[\[( ]{name}\b(?!:)", code)]
        lines += [f"from {module} import {', '.join(used)}"] if used else []
    used = [name for name in _OURS if re.search(rf"\b{name}\b(?:[\[(,)]|(?<=\[{name})[\] ])", code)]
    ours = f"from oxidite.db import {', '.join(used)}"
    if len(ours) > _WIDTH:
        ours = "from oxidite.db import (\n" + "".join(f"    {each},\n" for each in used) + ")"
    return "\n".join([*lines, *([""] if lines else []), ours])


class _ModelText:
    """One model, line by line."""

    def __init__(self, table: FoundTable, name: str, dialect: Dialect) -> None:
        self.table = table
        self.name = name
        self._dialect = dialect
        found = {each.name: said_of(each, table.name, dialect) for each in table.columns}
        self._said: dict[str, Said] = {key: each for key, each in found.items() if each}
        self.table = with_metrics(table, self._said)
        self._checks: Checked = checked(self.table, self._said, dialect)
        self.names: dict[str, str] = {}
        for column in self._said:
            self.names[column] = attribute(column, self.names.values())
        self._relations: list[tuple[str, str, str]] = []
        """Name, type and foreign key of each."""
        self._unsaid: list[FoundKey] = []
        self._lost: list[str] = [
            f"The column {each.name!r} is left out: no column of a model holds {_named(each)}."
            for each in table.columns
            if each.name not in self._said
        ]
        self.is_made: bool = bool(table.pk) and set(table.pk) <= set(self._said)

    # Relations.

    def relate(self, models: dict[str, _ModelText]) -> None:
        """Add the relations that the foreign keys of the table stand for, to both ends."""
        for key in self.table.keys:
            problem = self._problem(key, models)
            if problem is not None:
                self._unsaid.append(key)
                targets = f"{key.table} ({', '.join(key.targets)})"
                self._lost.append(
                    f"A foreign key is left out, ({', '.join(key.columns)}) to {targets}: {problem}."
                )
                continue
            target = models[key.table]
            if self.is_made and target.is_made and target.table.pk == key.targets:
                self._add_relations(key, target)

    def _problem(self, key: FoundKey, models: dict[str, _ModelText]) -> str | None:
        """Return why a foreign key is none of a model."""
        if len(key.columns) != 1 or len(key.targets) != 1:
            return "it is of several columns"
        if key.columns[0] not in self._said:
            return "its column is left out"
        if key.table not in models:
            return "its table is not among the models"
        if not models[key.table].is_made or key.targets[0] not in models[key.table].names:
            return "its table has no model"
        if "." in key.table or "." in key.targets[0]:
            return "there is a point in the name"
        if "set default" in (key.on_delete, key.on_update):
            return "it sets the default"
        return None

    def _add_relations(self, key: FoundKey, target: _ModelText) -> None:
        column = self.names[key.columns[0]]
        is_unique = any(
            each.on == key.columns and each.unique and not each.where for each in self.table.indexes
        )
        options = "" if not self._column(key.columns[0]).nullable else " | None"
        word = column.removesuffix("_id")
        name = attribute(target.name if word == column else word, set())
        name = self.add_relation(name, f'BelongsTo["{target.name}{options}"]', column)
        kind = "HasOne" if is_unique else "HasMany"
        back = attribute(self.table.name, set())
        others = sum(each.table == key.table and len(each.columns) == 1 for each in self.table.keys)
        back = f"{back}_by_{name}" if others > 1 else back
        target.add_relation(back, f'{kind}["{self.name}"]', column)

    def add_relation(self, name: str, type_: str, fk: str) -> str:
        """Add a relation, called otherwise if there is something of that name; return what it is called."""
        taken = {*self.names.values(), *(each for each, _, _ in self._relations)}
        name = free(name, taken)
        self._relations.append((name, type_, fk))
        return name

    def _column(self, name: str) -> FoundColumn:
        return next(each for each in self.table.columns if each.name == name)

    # Text.

    def text(self) -> str:
        """Return the class."""
        if not self.is_made:
            why = "its primary key cannot be said" if self.table.pk else "it has no primary key"
            lines = _comment(f"The table {self.table.name!r} has no model: {why}.", "")
            return "\n".join([*lines, *self._comments("")]) + "\n"
        indexes, columns = self._indexes(), list(self._columns())
        arguments = [
            *([f"indexes={_listed(indexes)}"] if indexes else []),
            *([f"checks={_listed(self._table_checks())}"] if self._checks.table else []),
        ]
        table = f"table={written(self.table.name)}"
        head = f"class {self.name}(Model, {table}):"
        if arguments:
            inside = "".join(f"    {each},\n" for each in ("Model", table, *arguments))
            head = f"class {self.name}(\n{inside}):"
        relations = [
            _line(f"{name}: {type_}", "rel", [f"fk={written(fk)}"])
            for name, type_, fk in self._relations
        ]
        return "\n".join([head, *self._comments("    "), *columns, *relations]) + "\n"

    def _comments(self, indent: str) -> list[str]:
        lost = [
            *self._lost,
            *(
                f"The check {each.name or 'without a name'} is in the database only: {self._sql(each.sql)}"
                for each in self._checks.lost
            ),
            *(
                f"The index {each.name} is otherwise in the database: {each.lost}."
                for each in self.table.indexes
                if each.lost
            ),
            *(
                f"The index {each.name} is left out: it is over a column that is."
                for each in self.table.indexes
                if not self._is_sayable(each)
            ),
        ]
        return [line for each in lost for line in _comment(each, indent)]

    def _sql(self, sql: str) -> str:
        return plain(sql) if self._dialect.is_mysql else bare(sql)

    def _is_sayable(self, index: FoundIndex) -> bool:
        return all(isinstance(each, SQL) or each in self.names for each in index.on)

    def _of_one(self, index: FoundIndex) -> bool:
        """Whether an index is said by a column: unique=True or index=True."""
        name = f"{'uq' if index.unique else 'ix'}_{self.table.name}_{index.on[0]}"
        said = self._said.get(str(index.on[0]))
        is_vector = said is not None and said.type == "Vector"
        is_range = said is not None and said.type.startswith("Range[") and not index.unique
        usual: tuple[str | None, ...] = (HNSW,) if is_vector else (None, "btree")
        if is_range and self._dialect.name == "postgresql":
            usual = (GIST,)
        is_plain = index.where is None and index.using in usual
        return len(index.on) == 1 and is_plain and index.name == name

    def _indexes(self) -> list[str]:
        found: list[str] = []
        for each in self.table.indexes:
            if self._of_one(each) or not self._is_sayable(each):
                continue
            if each.exclude:
                found.append(_call("exclude", _excluded(each, self.names)))
                continue
            words = [_on(one, self.names) for one in each.on]
            words += ["unique=True"] if each.unique else []
            words += [f"where={written(each.where)}"] if each.where is not None else []
            words += [f"using={written(each.using)}"] if each.using not in (None, "btree") else []
            found.append(_call("index", [*words, f"name={written(each.name)}"]))
        return found

    def _table_checks(self) -> list[str]:
        return [
            _call("check", [written(sql), f"name={written(name)}"])
            for name, sql in sorted(self._checks.table.items())
        ]

    def _columns(self) -> Iterable[str]:
        for column in self.table.columns:
            said = self._said.get(column.name)
            if said is None:
                continue
            type_, rules, lost = self._rules(column, said)
            yield from (line for each in lost for line in _comment(each, "    "))
            options = " | None" if column.nullable and column.name not in self.table.pk else ""
            name = self.names[column.name]
            yield _line(f"{name}: Col[{type_}{options}]", "col", rules)

    def _rules(self, column: FoundColumn, said: Said) -> tuple[str, list[str], list[str]]:
        """Return the type of a column, what ``col`` is told, and what cannot be said."""
        type_, rules = said.type, dict(said.rules)
        other = said.lost
        values = self._checks.values.get(column.name)
        if column.name in self._checks.json:
            type_, rules, other = "object", {"json": "True"}, None
        elif values:
            if type_ == "str":
                longest = max(len(str(each)) for each in values)
                is_ours = rules.pop("max_length", None) == str(longest)
                other = None if is_ours else str(column.type)
            type_ = f"Literal[{', '.join(map(written, values))}]"
        lost = [f"In the database: {other}."] if other else []
        if column.nullable and column.name in self.table.pk:
            lost.append("In the database it is not said to be NOT NULL.")
        checks = self._checks.rules.get(column.name, {})
        rules |= {**checks, "check": "True"} if checks else {}
        first = ["pk=True"] if column.name in self.table.pk else []
        if column.counts:
            first.append("init=False")
        words = [*first, *(f"{name}={value}" for name, value in rules.items())]
        words += [
            "unique=True" if each.unique else "index=True"
            for each in self.table.indexes
            if each.on == (column.name,) and self._of_one(each)
        ]
        words += self._reference(column, lost)
        if column.name != self.names[column.name]:
            words.append(f"name={written(column.name)}")
        if column.computed is not None:
            words += ["init=False", f"computed={written(self._sql(column.computed))}"]
        if column.comment:
            words.append(f"comment={written(column.comment)}")
        return type_, [*words, *self._default(column, type_, lost)], lost

    def _reference(self, column: FoundColumn, lost: list[str]) -> list[str]:
        said = [each for each in self.table.keys if each not in self._unsaid]
        keys = [each for each in said if each.columns == (column.name,)]
        if not keys:
            return []
        key = keys[0]
        name = short_name(f"fk_{self.table.name}_{column.name}")
        if key.name is not None and key.name != name:
            lost.append(f"The foreign key is called {key.name} in the database, and here {name}.")
        if key.lost:
            lost.append(f"The foreign key is {key.lost} in the database.")
        words = [f"references={written(f'{key.table}.{key.targets[0]}')}"]
        # MariaDB takes one for the other.
        usual = {"restrict", *({"", "no action"} if self._dialect.is_mysql else ())}
        if key.on_delete not in usual:
            words.append(f"on_delete={written(key.on_delete or 'no action')}")
        if key.on_update not in {"", "no action", *(usual if self._dialect.is_mysql else ())}:
            words.append(f"on_key_update={written(key.on_update)}")
        return words

    def _default(self, column: FoundColumn, type_: str, lost: list[str]) -> list[str]:
        """Return the value that new rows get, where it is one; the database's own is told."""
        if column.computed is not None or column.counts:
            return []
        if column.default is not None:
            lost.append(f"Its default in the database, which models do not make: {column.default}")
            value = _value(column.default, type_)
            if value is not None:
                return [f"default={value}"]
        is_optional = column.nullable and column.name not in self.table.pk
        return ["default=None"] if is_optional else []


_CAST = re.compile(r"\(?(.*?)\)?(?:::[a-z_ ]+(?:\(\d+\))?)?", re.DOTALL)


def _value(sql: str, type_: str) -> str | None:
    """Return a default of a database as Python, if it is a number, a text or a truth."""
    found = _CAST.fullmatch(sql.strip())
    text = found[1] if found else sql
    inside = text[1:-1].replace("''", "'") if re.fullmatch(r"'(?:[^']|'')*'", text) else None
    match type_:
        case "bool" if text.lower() in ("true", "false", "0", "1"):
            return str(text.lower() in ("true", "1"))
        case "int" if re.fullmatch(r"-?\d+", inside or text):
            return repr(int(inside or text))
        case "float" if re.fullmatch(r"-?\d+(\.\d+)?", inside or text):
            return repr(float(inside or text))
        case "Decimal" if re.fullmatch(r"-?\d+(\.\d+)?", inside or text):
            return f"Decimal({written(inside or text)})"
        case "str" if inside is not None:
            return written(inside)
        case _ if type_.startswith("Literal") and inside is not None:
            return written(inside) if f"{written(inside)}" in type_ else None
        case _:
            return None


def _named(column: FoundColumn) -> str:
    is_known = not isinstance(column.type, sa.types.NullType)
    return f"a value of the type {column.type}" if is_known else "values of its type"


def _on(part: str | SQL, names: dict[str, str]) -> str:
    if not isinstance(part, SQL):
        return written(names[part])
    words = words_of(part)
    if words is not None and all(each in names for each in words.columns):
        said = [f"row.{names[each]}" for each in words.columns]
        said += [] if words.language == "simple" else [f"language={written(words.language)}"]
        return f"lambda row: search({', '.join(said)}).vector"
    typed = "" if part.type is None else f", type={written(part.type)}"
    return f"SQL({written(str(part))}{typed})"


def _excluded(index: FoundIndex, names: dict[str, str]) -> list[str]:
    """Return what ``exclude`` is told; names that it has for something else stand in a mapping."""
    columns = {names[str(on)]: how for on, how in zip(index.on, index.exclude, strict=True)}
    if columns.keys() & {"name", "where"}:
        pairs = ", ".join([f"{written(each)}: {written(how)}" for each, how in columns.items()])
        words = [f"{{{pairs}}}"]
    else:
        words = [f"{each}={written(how)}" for each, how in columns.items()]
    words += [f"where={written(bare(index.where))}"] if index.where is not None else []
    return [*words, f"name={written(index.name)}"]


def _line(what: str, function: str, arguments: Sequence[str]) -> str:
    if not arguments:
        return f"    {what}"
    line = f"    {what} = {function}({', '.join(arguments)})"
    if len(line) <= _WIDTH:
        return line
    inside = "".join(f"        {each},\n" for each in arguments)
    return f"    {what} = {function}(\n{inside}    )"


def _call(function: str, arguments: Sequence[str]) -> str:
    """Return a call as it stands in a list of a class."""
    line = f"{function}({', '.join(arguments)})"
    if len(line) + len("        ,") <= _WIDTH:
        return line
    inside = "".join(f"            {each},\n" for each in arguments)
    return f"{function}(\n{inside}        )"


def _listed(items: Sequence[str]) -> str:
    inside = "".join(f"        {each},\n" for each in items)
    return f"[\n{inside}    ]"


def _comment(text: str, indent: str) -> list[str]:
    width = _WIDTH - len(indent) - 2
    lines = textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)
    return [f"{indent}# {line}" for line in lines]
