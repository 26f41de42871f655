"""Ways into JSON documents: ``User.prefs["theme"] == "dark"``.

The keys and places of a path are bound as one value, so any path has one plan, and no key is ever SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import AnyExpr, Call, Condition, Expr, Value, some
from oxidite.db.values.kinds import BOOLEAN, FLOAT, INTEGER, JSON, PATH, TEXT, is_text

__all__ = ["JsonPath", "json_path"]


class JsonPath(Call[Any, Any]):
    """A part of a JSON document; ``None`` where the document has no such part.

    It is compared by type: ``5`` is not ``"5"``. For anything but comparing say what it is: ``as_text``,
    ``as_int``, ``as_float``, ``as_bool``, which are ``None`` where the part is of another type.
    """

    __slots__ = ("document", "parts")

    def __init__(self, document: AnyExpr, parts: tuple[str | int, ...]) -> None:
        self.document: AnyExpr = document
        self.parts: tuple[str | int, ...] = parts
        super().__init__("json_at", self._args(), JSON)

    def __getitem__(self, part: str | int) -> JsonPath:
        """Go on, by the key of an object or the place in a list; -1 is the last one, where that is known."""
        return JsonPath(self.document, (*self.parts, _checked(part)))

    def _equal(self, other: Any) -> Condition:
        """Whether it is that value; ``None`` is also what is not there."""
        if other is None:
            return self.is_null()
        if isinstance(other, Expr):
            return self._as(other.kind.type) == other
        if isinstance(other, str) and not is_text(other):
            return some(())  # no text is like it
        return self._call_condition("json_eq", other)

    def _unequal(self, other: Any) -> Condition:
        """Whether it is another value; what is not there is none."""
        if other is None:
            return self.not_null()
        if isinstance(other, Expr):
            return self._as(other.kind.type) != other
        if isinstance(other, str) and not is_text(other):
            return self.not_null()
        return self._call_condition("json_ne", other)

    if not TYPE_CHECKING:  # to type checkers they are those of any expression
        __eq__ = _equal
        __ne__ = _unequal

    def __lt__(self, other: str | float | Expr[Any, Any]) -> Condition:
        return self._as_operand(other) < other

    def __le__(self, other: str | float | Expr[Any, Any]) -> Condition:
        return self._as_operand(other) <= other

    def __gt__(self, other: str | float | Expr[Any, Any]) -> Condition:
        return self._as_operand(other) > other

    def __ge__(self, other: str | float | Expr[Any, Any]) -> Condition:
        return self._as_operand(other) >= other

    def __hash__(self) -> int:
        return id(self)

    def is_null(self) -> Condition:
        """Whether it is not there, or is JSON's null."""
        return Condition("json_is_null", self._args())

    def not_null(self) -> Condition:
        """Whether it is there, and not JSON's null."""
        return Condition("json_not_null", self._args())

    def has_key(self, key: str) -> Condition:
        """Whether it is an object with that key."""
        return self[key].exists()

    def contains(self, part: Any) -> Condition:
        """Whether it has all the members of ``part``, at any depth."""
        return Condition("json_contains", (self, Value(part, JSON)))

    def as_text(self) -> Expr[str, str | None]:
        """It as text, if it is text, a number or a truth value."""
        return Call("json_text", self._args(), TEXT)

    def as_int(self) -> Expr[int, int | None]:
        """It as an integer, if it is a number; what is after the point is cut off."""
        return Call("json_int", self._args(), INTEGER)

    def as_float(self) -> Expr[float, float | None]:
        """It as a float, if it is a number."""
        return Call("json_float", self._args(), FLOAT)

    def as_bool(self) -> Expr[bool, bool | None]:
        """It as a truth value, if it is one."""
        return Call("json_bool", self._args(), BOOLEAN)

    def exists(self) -> Condition:
        """Whether it is there; it may be JSON's null."""
        return Condition("json_exists", self._args())

    def _args(self) -> tuple[AnyExpr, AnyExpr]:
        return (self.document, Value(self.parts, PATH))

    def _call_condition(self, name: str, other: object) -> Condition:
        return Condition(name, (*self._args(), Value(other, JSON)), (_type_of(other),))

    def _as_operand(self, other: object) -> AnyExpr:
        return self._as(other.kind.type if isinstance(other, Expr) else type(other))

    def _as(self, type_: object) -> AnyExpr:
        if type_ is bool:
            return self.as_bool()
        if type_ in (int, float):
            return Call("json_number", self._args(), FLOAT)
        if type_ is str:
            return self.as_text()
        raise QueryError(
            f"A part of a JSON document is compared with text, a number or a truth value, not with {type_!r}."
        )


def json_path(document: AnyExpr, part: str | int) -> JsonPath:
    """Return a part of a document.

    Raises:
        QueryError: it is no document, or ``part`` cannot be a key or a place.
    """
    if document.kind.name != "json":
        raise QueryError(
            f"{document!r} is no JSON, so it has no {part!r}. Declare it with col(json=True)."
        )
    return JsonPath(document, (_checked(part),))


_REFUSED = frozenset('"\\')
"""A key with one of these would be written differently in each database."""


def _checked(part: object) -> str | int:
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    if isinstance(part, str):
        if _REFUSED.isdisjoint(part) and part.isprintable() and len(part) <= 255:
            return part
        raise QueryError(
            f'{part[:255]!r} cannot be a key in a JSON path: quotes ("), backslashes and what cannot be '
            "printed are refused, and it has 255 characters at most."
        )
    raise QueryError(f"A part of a JSON path is a key (str) or a place (int), not {part!r}.")


def _type_of(value: object) -> str:
    match value:
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case _:
            raise QueryError(
                f"A part of a JSON document is compared with text, a number or a truth value, not with "
                f"{value!r}. For objects and lists there is contains()."
            )
