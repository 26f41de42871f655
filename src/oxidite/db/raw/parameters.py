"""Named parameters in SQL that a person wrote: ``:age`` becomes what the database calls a parameter.

Text, names in quotes, comments, PostgreSQL's ``$$…$$`` and ``::type`` are passed over. ``IN :ids`` becomes
the form in which the database takes a list as one parameter, so any number of values is one statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from oxidite.db.errors import QueryError
from oxidite.db.values.dialects import Dialect

__all__ = ["ParsedSQL", "check_names", "parse_sql"]


@dataclass(frozen=True, slots=True)
class ParsedSQL:
    """SQL as the driver takes it, and the name of each parameter, in order."""

    sql: str
    names: tuple[str, ...]
    lists: frozenset[str]
    """The names that stand for lists: ``IN :ids``."""
    writes: bool
    """Whether it may change something: whatever does not begin as a query, or names what does."""


_COMMON = r"""
    (?P<comment> --[^\n]* | /\* )
  | (?P<text> '(?:[^']|'')*' )
  | (?P<quoted> "(?:[^"]|"")*" )
  | (?P<cast> :: | := )
  | (?P<name> (?<![\w:]) :(?P<parameter>[A-Za-z_]\w*) )
  | (?P<word> [A-Za-z_]\w* )
"""
_POSTGRESQL = r"""
    (?P<escaped> \b[Ee]'(?:[^'\\]|\\.|'')*' )
  | (?P<dollar> (?<!\w)\$(?P<tag>(?:[A-Za-z_]\w*)?)\$ .*? \$(?P=tag)\$ )
  |"""
_SQLITE = r"""
    (?P<bracket> \[[^\]]*\] | `[^`]*` )
  |"""
_OTHERS = r"""
    (?P<backticks> `[^`]*` )
  | (?P<hash> \#[^\n]* )
  |"""
_FLAGS = re.VERBOSE | re.DOTALL
_TOKENS = {
    "postgresql": re.compile(_POSTGRESQL + _COMMON, _FLAGS),
    "sqlite": re.compile(_SQLITE + _COMMON, _FLAGS),
}
_OTHER_TOKENS = re.compile(_OTHERS + _COMMON, _FLAGS)
_NESTED = re.compile(r"/\*|\*/")
_IN = re.compile(r"(?:(?P<is_not>\bNOT)\s+)?\bIN\s*$", re.IGNORECASE)
_READS = frozenset(("select", "with", "values", "explain", "pragma", "show", "table"))
_WRITES = frozenset(("insert", "update", "delete", "merge", "replace", "nextval", "setval"))


@lru_cache(maxsize=500)
def parse_sql(text: str, dialect: Dialect) -> ParsedSQL:
    """Replace the named parameters of SQL.

    Raises:
        QueryError: a text, a name or a comment does not end.
    """
    tokens = _TOKENS.get(dialect.name, _OTHER_TOKENS)
    parser = _Parser(dialect)
    place = 0
    while True:
        found = tokens.search(text, place)
        if found is None:
            break
        parser.plain(text[place : found.start()])
        place = found.end()
        if found.lastgroup == "comment" and found.group() == "/*":
            place = _end_of_comment(text, place, nested=dialect.name == "postgresql")
            parser.skipped(text[found.start() : place])
        elif found["parameter"] is not None:
            parser.parameter(found["parameter"])
        elif found["word"] is not None:
            parser.word(found["word"])
        else:
            parser.skipped(found.group())
    parser.plain(text[place:])
    return parser.result()


def check_names(parsed: ParsedSQL, values: Mapping[str, object]) -> None:
    """Refuse values that the SQL does not name, and names without a value.

    Raises:
        QueryError: it says which.
    """
    known = set(parsed.names)
    if missing := sorted(known - values.keys()):
        raise QueryError(f"The SQL has {_listed(missing)}, and no value was given for it.")
    if unknown := sorted(values.keys() - known):
        close = get_close_matches(unknown[0], known, n=1)
        hint = f"; did you mean :{close[0]}?" if close else "."
        raise QueryError(f"The SQL has no {_listed(unknown)}{hint}")


def _listed(names: list[str]) -> str:
    return ", ".join(f":{name}" for name in names)


def _end_of_comment(text: str, place: int, *, nested: bool) -> int:
    depth = 1
    while depth:
        found = _NESTED.search(text, place)
        if found is None:
            raise QueryError("A comment of the SQL does not end: */ is missing.")
        place = found.end()
        if found.group() == "*/":
            depth -= 1
        elif nested:
            depth += 1
    return place


class _Parser:
    """Puts the SQL together again."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._parts: list[str] = []
        self._names: list[str] = []
        self._lists: set[str] = set()
        self._first: str | None = None
        self._writes = False

    def plain(self, text: str) -> None:
        """Take what is no text and no name; a quote here has no other one."""
        for quote in ("'", '"'):
            if quote in text:
                raise QueryError(f"A text or a name of the SQL does not end: {quote} is missing.")
        self.skipped(text)

    def skipped(self, text: str) -> None:
        """Take something as it is."""
        if text:
            self._parts.append(text)

    def word(self, word: str) -> None:
        """Take a word, and see whether it is one of those that change something."""
        lower = word.lower()
        if self._first is None:
            self._first = lower
        self._writes = self._writes or lower in _WRITES
        self._parts.append(word)

    def parameter(self, name: str) -> None:
        """Take a parameter."""
        before = "".join(self._parts[-4:])  # NOT, a space, IN, a space
        found = _IN.search(before)
        if found is None:
            self._parts.append(self._placeholder(name))
            return
        self._lists.add(name)
        self._parts[-4:] = [before[: found.start()]]
        self._parts.append(self._list(name, is_not=found["is_not"] is not None))

    def result(self) -> ParsedSQL:
        """Return what came out."""
        writes = self._writes or self._first not in _READS
        return ParsedSQL("".join(self._parts), tuple(self._names), frozenset(self._lists), writes)

    def _placeholder(self, name: str) -> str:
        if self._dialect.placeholders == "qmark":
            self._names.append(name)
            return "?"
        # One number for each name, so that the database knows one type of it.
        if name not in self._names:
            self._names.append(name)
        return f"${self._names.index(name) + 1}"

    def _list(self, name: str, *, is_not: bool) -> str:
        word = "NOT IN" if is_not else "IN"
        mark = self._placeholder(name)
        if self._dialect.unnests:
            return f"{'<> ALL' if is_not else '= ANY'}({mark})"
        if self._dialect.name == "sqlite":
            return f"{word} (SELECT value FROM json_each({mark}))"  # noqa: S608 - it is "?"
        return f"{word} {mark}"  # the driver writes the parentheses
