"""What tables and columns are called in Python."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection

import msgspec

from oxidite.db.models.declaration import RESERVED

__all__ = ["attribute", "class_name", "free"]

_USED = {"bool", "bytes", "col", "date", "datetime", "float", "int", "list", "object", "rel", "str"}
_USED |= {"time", "timedelta"}
"""What the body of a class speaks of: a column of that name would be meant by those after it."""


def class_name(table: str, taken: Collection[str]) -> str:
    """Return the name of the class of a table: ``user_roles`` is ``UserRole``."""
    words = [each for each in re.split(r"[\W_]+", _snake(table)) if each]
    if words:
        words[-1] = _singular(words[-1])
    name = "".join(each[:1].upper() + each[1:] for each in words)
    name = name if name.isidentifier() else f"Table{name}"
    return free(f"{name}Row" if name in taken or hasattr(builtins, name) else name, taken)


def attribute(name: str, taken: Collection[str]) -> str:
    """Return what a column is called on its class."""
    found = re.sub(r"\W+", "_", _snake(name)).strip("_").lower()
    if not found.isidentifier():
        found = f"column_{found}"
    is_taken = keyword.iskeyword(found) or found in _USED or found in RESERVED
    if is_taken or hasattr(msgspec.Struct, found):
        found = f"{found}_"
    return free(found, taken)


def free(name: str, taken: Collection[str]) -> str:
    """Return a name that nothing has yet: with a number, if need be."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name.rstrip('_')}_{number}"
    return found


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _singular(word: str) -> str:
    if re.search(r"(?i)[^aeiou]ies$", word):
        return f"{word[:-3]}y"
    if re.search(r"(?i)(ss|x|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if re.search(r"(?i)[^su i]s$", word) else word
