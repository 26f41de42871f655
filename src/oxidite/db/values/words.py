"""What people type into a search, as SQLite and MariaDB ask for it.

It is read as PostgreSQL's ``websearch_to_tsquery`` reads it, and what comes out is made of letters, digits
and our own signs alone: nothing that was typed is ever a sign of a database's own language.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias
from unicodedata import category

__all__ = ["ALL", "ANY", "LONGEST", "PREFIX", "boolean_mode", "fts5", "not_made", "websearch"]

ALL = "x"
"""What each row has in the second column of SQLite's table of words: what is not there is looked for among all."""
ANY = "yyy"
"""The word that each row of MariaDB has, for the same. None that was typed is like it: they begin otherwise."""
PREFIX = "xx"
"""How each word begins that MariaDB has: so none is too short for its index, or one that it leaves out."""
LONGEST = 84 - len(PREFIX)
"""Characters of a word that MariaDB keeps in an index (``innodb_ft_max_token_size``)."""


def not_made(index: str) -> str:
    """Return what is said of a search by an index that the database has not."""
    return (
        f"The index {index} is not in the database, and words are looked for by it. Make it: oxidite db "
        "diff and oxidite db up, or oxidite db push while there are no migrations."
    )


class _Term(NamedTuple):
    """Words next to each other: to be there, or not."""

    words: Sequence[str]
    negated: bool


_Group: TypeAlias = list[_Term]
"""What all has to hold."""

# In the order in which they are looked for. A quote that does not end goes on to the end.
_PARTS = re.compile(
    r'(?P<space>[\s!&|()<]+)|(?P<minus>-)|"(?P<quoted>[^"]*)"?|'
    r'(?P<word>:*[^\s"!&|()<:]+|:+)'
)
_WIDEST = "\uffff"
"""The last sign that may be one of a word to InnoDB."""
_OR = re.compile(r"or(?=[^\w-]\s*\S)", re.IGNORECASE)


_MANY = re.compile(r"(?:-[\s!&|()<]*){20,}")


def websearch(text: str, *, english: bool = False) -> str:
    """Write what was typed for PostgreSQL, which reads all of it but for more than thirty signs in a row."""
    del english  # it is told the language beside it
    return _MANY.sub(lambda found: "-" * (2 - found[0].count("-") % 2), text)


def fts5(text: str, *, english: bool = False) -> str:
    """Write what was typed as SQLite's FTS5 reads it."""
    groups = [_fts5_group(each) for each in _groups(text, english=english)]
    return " OR ".join([f"({each})" for each in groups]) or f'every : "no{ALL}"'


def _fts5_group(group: _Group) -> str:
    wanted, refused = (
        [f'words : "{" ".join(each.words)}"' for each in group if each.negated is negated]
        for negated in (False, True)
    )
    found = " AND ".join(wanted) or f'every : "{ALL}"'
    return f"({found}) NOT ({' OR '.join(refused)})" if refused else found


def boolean_mode(text: str, *, english: bool = False) -> str:
    """Write what was typed as MariaDB reads it ``IN BOOLEAN MODE``."""
    groups = [_boolean_group(each) for each in _groups(text, english=english, widest=_WIDEST)]
    found = [each for each in groups if each is not None]
    return found[0] if len(found) == 1 else " ".join([f"({each})" for each in found])


def _boolean_group(group: _Group) -> str | None:
    parts: list[str] = []
    for each in group:
        if any(len(word) > LONGEST for word in each.words):
            if each.negated:
                continue  # it is in no index
            return None
        words = " ".join([f"{PREFIX}{word}" for word in each.words])
        sign = "-" if each.negated else "+"
        parts.append(f'{sign}"{words}"' if len(each.words) > 1 else f"{sign}{words}")
    if not any(each.startswith("+") for each in parts):
        parts.insert(0, f"+{ANY}")
    return " ".join(parts)


def _groups(text: str, *, english: bool, widest: str = chr(sys.maxunicode)) -> list[_Group]:
    """Return what was typed: groups, one of which has to hold."""
    groups: list[_Group] = [[]]
    place, negated, after = 0, False, False
    while place < len(text):
        either = _OR.match(text, place) if after else None
        if either:
            groups.append([])
            place, after = either.end(), False
            continue
        found = _PARTS.match(text, place)
        if found is None:
            break
        place = found.end()
        match found.lastgroup:
            case "space":
                continue
            case "minus":
                negated, after = not negated, False
                continue
            case _:
                words = _words(found["word"] or found["quoted"] or "", widest)
        if words and not (english and ENGLISH.issuperset(map(str.lower, words))):
            groups[-1].append(_Term(words, negated))
        negated, after = False, True
    return [each for each in groups if each]


def _words(text: str, widest: str) -> list[str]:
    """Return the words of a text: letters, digits and what is written over them, no sign beyond ``widest``."""
    kept = [each if category(each)[0] in "LNM" and each <= widest else " " for each in text]
    return [each for each in "".join(kept).split() if any(category(one)[0] in "LN" for one in each)]


_LEFT_OUT = (
    "i me my myself we our ours ourselves you your yours yourself yourselves he him his "
    "himself she her hers herself it its itself they them their theirs themselves what which "
    "who whom this that these those am is are was were be been being have has had having do "
    "does did doing a an the and but if or because as until while of at by for with about "
    "against between into through during before after above below to from up down in out on "
    "off over under again further then once here there when where why how all any both each "
    "few more most other some such no nor not only own same so than too very s t can will "
    "just don should now"
)
ENGLISH = frozenset(_LEFT_OUT.split(" "))
"""The words that PostgreSQL leaves out of English."""
