"""What of the checks of a table is said of its columns, and what of the table."""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from oxidite.db.inspection.found import FoundCheck, FoundTable
from oxidite.db.inspection.texts import bare, plain, written
from oxidite.db.inspection.types import RANGE_WORDS, Said
from oxidite.db.values.cuts import width_of
from oxidite.db.values.dialects import Dialect
from oxidite.db.values.vectors import SIZE

__all__ = ["Checked", "checked"]

_RULES = ("ge", "gt", "le", "lt", "min_length", "max_length")
_TEXT = re.compile(r"'((?:[^'\\]|''|\\.)*)'")
_NUMBERS = re.compile(r"(?<![\w.'])-?\d+(?![\w.'])")
_BOUND = re.compile(r"(?:>=|<=|>|<)\s*\(*'?(-?\d+(?:\.\d+)?)'?\)*(?:::[a-z ]+)?\)*")
_SIZE = re.compile(r"length\([`\"]?\w+[`\"]?\)\s*=\s*(\d+)\)*\Z")
_WHOLE = re.compile(r"length\([`\"]?\w+[`\"]?\)\s*=\s*(\d\d+)\D.*\bsubstr\(", re.DOTALL)
_RANGES = {2 * width_of(name) + 2: said for name, said in RANGE_WORDS.items()}
"""The ranges that a text stands for, by its length."""
_JSON = re.compile(r"json_valid\(`?\"?(.+?)`?\"?\)")


@dataclass(slots=True)
class Checked:
    """Checks by what they are about."""

    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    """By column: rules as Python."""
    values: dict[str, list[str | int]] = field(default_factory=dict)
    """By column: the only ones that there are."""
    json: set[str] = field(default_factory=set)
    """Columns that MariaDB keeps JSON in."""
    table: dict[str, str] = field(default_factory=dict)
    """By name: SQL."""
    lost: list[FoundCheck] = field(default_factory=list)
    """Those with a name that no model gives."""


def checked(table: FoundTable, said: MutableMapping[str, Said], dialect: Dialect) -> Checked:
    """Sort the checks of a table; a column of bytes that has those of a vector is said to be one."""
    found = Checked()
    prefix = f"ck_{table.name}_"
    for check in table.checks:
        name = (check.name or "").removeprefix(prefix)
        json = _JSON.fullmatch(check.sql) if dialect.is_mysql else None
        if json is not None:
            found.json.add(json[1])
        elif not (check.name or "").startswith(prefix) or not name:
            found.lost.append(check)
        elif not _is_of_a_column(name, check.sql, found, said, dialect):
            found.table[name] = plain(check.sql) if dialect.is_mysql else bare(check.sql)
    _separate(found, said, table, dialect)
    return found


def _is_of_a_column(
    name: str, sql: str, found: Checked, said: MutableMapping[str, Said], dialect: Dialect
) -> bool:
    """Note a check that is a rule of a column, and return whether it is one."""
    vector = name.removesuffix("_dimensions")
    size = _SIZE.search(sql)
    if size is not None and vector in said and said[vector].type == "bytes":
        said[vector] = Said("Vector", {"dimensions": str(int(size[1]) // SIZE)})
        return True
    ranged, whole = name.removesuffix("_range"), _WHOLE.search(sql)
    if whole is not None and ranged in said and int(whole[1]) in _RANGES:
        said[ranged] = Said(_RANGES[int(whole[1])])
        return True
    if name in said and said[name].type in ("str", "int"):
        values = _values(name, sql, said[name], dialect)
        found.values |= {name: values} if values else {}
        return bool(values)
    for rule in _RULES:
        column = name.removesuffix(f"_{rule}")
        if column != name and column in said:
            bound = _bound(sql, rule, said[column])
            if bound is not None:
                found.rules.setdefault(column, {})[rule] = bound
                return True
    return False


def _values(name: str, sql: str, said: Said, dialect: Dialect) -> list[str | int]:
    """Return the only values that a check allows a column, if it is such a check."""
    empty = _TEXT.sub("''", bare(sql))
    here = rf'[("`\s]*{re.escape(name)}["`)]*(?:::[a-z ]+?\)?)?\s*(?:IN\b|=)(?P<inside>.*)'
    found = re.fullmatch(here, empty, re.IGNORECASE | re.DOTALL)
    if found is None or re.search(r"\b(OR|AND)\b", empty, re.IGNORECASE):
        return []
    if said.type == "int":
        return [int(each) for each in _NUMBERS.findall(found["inside"])]
    texts = [each.replace("''", "'") for each in _TEXT.findall(sql)]
    return [re.sub(r"\\(.)", r"\1", each) if dialect.is_mysql else each for each in texts]


def _bound(sql: str, rule: str, said: Said) -> str | None:
    """Return what a rule compares with, as Python, if it is a number of the column's kind."""
    number = _BOUND.search(sql)
    if number is None:
        return None
    is_length = rule.endswith("_length") and said.type in ("str", "bytes")
    match said.type:
        case "str" | "bytes" if is_length:
            return number[1]
        case "int" if "." not in number[1]:
            return number[1]
        case "float":
            return repr(float(number[1]))
        case "Decimal":
            return f"Decimal({written(number[1])})"
        case _:
            return None


def _separate(
    found: Checked, said: Mapping[str, Said], table: FoundTable, dialect: Dialect
) -> None:
    """Say of the table what cannot be said of a column: there ``check=True`` is about all its rules."""
    for column, rules in list(found.rules.items()):
        own = {each for each in _RULES if each in said[column].rules}
        if own <= set(rules):
            continue
        del found.rules[column]
        for check in table.checks:
            name = (check.name or "").removeprefix(f"ck_{table.name}_")
            if name in {f"{column}_{rule}" for rule in rules}:
                found.table[name] = plain(check.sql) if dialect.is_mysql else bare(check.sql)
