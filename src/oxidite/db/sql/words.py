"""Indexes of words where there are none over expressions: what SQLite and MariaDB have in their place.

SQLite has a table of its own for each, of FTS5, which triggers keep in step; it holds the words alone and
not the texts. MariaDB has a column that it computes of the texts, and an index over that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from oxidite.db.errors import ModelError
from oxidite.db.expressions.expressions import Call, Expr
from oxidite.db.tables.columns import Column
from oxidite.db.tables.table import SQL, Index, Table
from oxidite.db.values.dialects import ONLY
from oxidite.db.values.exclusions import EXCLUDED
from oxidite.db.values.words import ALL, ANY, PREFIX

__all__ = [
    "WORDS",
    "WordIndex",
    "WordTable",
    "Words",
    "kept_by",
    "number_of",
    "word_index",
    "words_of",
]

WORDS = "ox_words_"
"""How a table of words begins; the name of its index follows."""


class Words(NamedTuple):
    """The words of some columns, taken as one text."""

    columns: tuple[str, ...]
    language: str


class WordIndex(NamedTuple):
    """An index of words."""

    name: str
    columns: tuple[str, ...]
    language: str

    @property
    def table(self) -> str:
        """What holds the words in SQLite."""
        return f"{WORDS}{self.name}"

    @property
    def column(self) -> str:
        """What MariaDB computes the index over."""
        return f"{ONLY}0_{self.name}"[:64]

    @property
    def is_stemmed(self) -> bool:
        """Whether SQLite takes the forms of a word as one; English is the only language that it knows."""
        return self.language == "english"

    @property
    def text(self) -> str:
        """What MariaDB computes: the words, each of a length that its index takes."""
        # As no backslash can be: whether it has to be doubled is said by each session for itself.
        sign = "char(92 using utf8mb4)"
        known = f"'(?:[^', {sign}, 'pL', {sign}, 'pN', {sign}, 'pM]"
        # A sign of more than two bytes is none of a word to InnoDB.
        others = f"concat({known}|[', {sign}, 'x{{10000}}-', {sign}, 'x{{10FFFF}}])+')"
        texts = ", ".join([f"`{each.replace('`', '``')}`" for each in self.columns])
        return (
            f"concat('{ANY} {PREFIX}', "
            f"regexp_replace(lower(concat_ws(' ', {texts})), {others}, ' {PREFIX}'))"
        )


@dataclass(frozen=True, slots=True)
class WordTable:
    """An index of words of one table of SQLite."""

    of: str
    number: str | None
    """The column that has the number of the row; ``None`` where the database has one of its own."""
    index: WordIndex
    is_computed: bool = False
    """Whether the database computes one of its columns: of that, no UPDATE speaks."""

    def create(self, *, guarded: bool = True) -> list[str]:
        """Return what makes it of the rows that are there, if it is not there."""
        here, of, number = (
            _quoted(self.index.table),
            _quoted(self.of),
            _quoted(self.number or "rowid"),
        )
        stem = "porter " if self.index.is_stemmed else ""
        tokens = f"{stem}unicode61 remove_diacritics 0 categories 'L* N* M*'"
        into = f"INSERT INTO {here} (rowid, words, every)"
        fill = (
            f"{into} SELECT {number}, {self._text('')}, '{ALL}' FROM {of} "  # noqa: S608 - names
            f"WHERE NOT EXISTS (SELECT 1 FROM {here})"
        )
        added = f"{into} VALUES (new.{number}, {self._text('new.')}, '{ALL}')"
        gone = (
            f"INSERT INTO {here} ({here}, rowid, words, every) "  # noqa: S608 - names
            f"VALUES ('delete', old.{number}, {self._text('old.')}, '{ALL}')"
        )
        columns = [*self.index.columns, *([] if self.number is None else [self.number])]
        watched = "" if self.is_computed else f" OF {', '.join(map(_quoted, columns))}"
        made = f"USING fts5(words, every, content='', tokenize=\"{tokens}\")"
        return [
            f"CREATE VIRTUAL TABLE IF NOT EXISTS {here} {made}",
            fill,
            self._trigger("added", "INSERT", f"{added};"),
            self._trigger("changed", f"UPDATE{watched}", f"{gone}; {added};"),
            self._trigger("gone", "DELETE", f"{gone};"),
        ]

    def drop(self) -> list[str]:
        """Return what drops it, whether or not its triggers went with their table."""
        triggers = [
            f"DROP TRIGGER IF EXISTS {_quoted(f'{self.index.table}_{each}')}" for each in _TRIGGERS
        ]
        return [*triggers, f"DROP TABLE IF EXISTS {_quoted(self.index.table)}"]

    def _trigger(self, name: str, event: str, body: str) -> str:
        trigger = _quoted(f"{self.index.table}_{name}")
        return (
            f"CREATE TRIGGER IF NOT EXISTS {trigger} AFTER {event} ON {_quoted(self.of)} "
            f"BEGIN {body} END"
        )

    def _text(self, row: str) -> str:
        return " || ' ' || ".join(
            [f"coalesce({row}{_quoted(each)}, '')" for each in self.index.columns]
        )


_TRIGGERS = ("added", "changed", "gone")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def kept_by(trigger: str) -> str | None:
    """Return the name of the index, or of the exclusion, that a trigger keeps; ``None`` if it is none of ours."""
    start = WORDS if trigger.startswith(WORDS) else EXCLUDED
    name, _, what = trigger.removeprefix(start).rpartition("_")
    return name if trigger.startswith(start) and what in _TRIGGERS else None


def number_of(table: Table) -> str | None:
    """Return the column that has the number of each row, if there is one."""
    if len(table.pk) == 1 and table.pk[0].kind.stored.name == "integer":
        return table.pk[0].column_name
    return None


def word_index(table: Table, index: Index) -> WordIndex | None:
    """Return the words that an index is of; ``None`` where it is none of words of columns.

    Raises:
        ModelError: it is to be unique.
    """
    found = _words(table, index)
    if found is not None and index.unique:
        raise ModelError(
            f"{table!r}: the index {index.name} is of words, which many rows have. Leave unique= out."
        )
    return found


def _words(table: Table, index: Index) -> WordIndex | None:
    on = index.on[0] if len(index.on) == 1 else None
    if isinstance(on, SQL):
        said = words_of(on)
        return None if said is None else WordIndex(str(index.name), *said)
    if on is None or isinstance(on, str):
        return None
    made = on if isinstance(on, Expr) else on(table.model)
    if not isinstance(made, Call) or made.name != "search_vector":
        return None
    columns = [each for each in made.args if isinstance(each, Column)]
    if len(columns) < len(made.args):
        return None
    names = tuple(each.column_name for each in columns)
    return WordIndex(str(index.name), names, str(made.options[0]))


def words_of(sql: str) -> Words | None:
    """Return the words that SQL of a migration gives, which is PostgreSQL's; ``None`` if it gives something else."""
    found = _VECTOR.fullmatch(sql)
    return None if found is None else Words(_names(found["texts"]), found["language"])


_TEXT = r"""coalesce\((?:\w+|"(?:[^"]|"")+"), ''\)"""
_VECTOR = re.compile(
    rf"to_tsvector\('(?P<language>\w+)'::regconfig, (?P<texts>{_TEXT}(?: \|\| ' ' \|\| {_TEXT})*)\)",
    re.IGNORECASE,
)
"""As a migration says it, in the words of PostgreSQL."""
_NAME = re.compile(
    r"""coalesce\((?:(?P<plain>\w+)|"(?P<quoted>(?:[^"]|"")+)"), ''\)""", re.IGNORECASE
)


def _names(texts: str) -> tuple[str, ...]:
    parts: Sequence[re.Match[str]] = list(_NAME.finditer(texts))
    return tuple(each["plain"] or each["quoted"].replace('""', '"') for each in parts)
