"""Values as text: short, without secrets, whatever their ``repr`` does."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from itertools import islice
from types import NoneType
from typing import TypeVar, cast

from oxidite.clock import perf
from oxidite.config import Secret
from oxidite.security.redact import MASK, Redactor, is_sensitive

__all__ = ["LONGEST", "Values"]

LONGEST = 500
"""Characters of a value that are shown."""

_READ = 4 * LONGEST  # masked before it is cut, so that no half of a secret stays
_ITEMS = 20
_DEPTH = 4
_NODES = 60
_BITS = 4096  # turning a longer int into digits is slow, and Python refuses it sooner or later

_Item = TypeVar("_Item")

_PLAIN = frozenset((bool, float, complex, NoneType))
_MAPPINGS: frozenset[object] = frozenset(
    {dict.__repr__, OrderedDict.__repr__, defaultdict.__repr__}
)
_SEQUENCES: dict[object, str] = {
    list.__repr__: "[]",
    tuple.__repr__: "()",
    set.__repr__: "{}",
    frozenset.__repr__: "{}",
    deque.__repr__: "[]",
}


class Values:
    """Describes the values of one report.

    Containers are looked into, so that what a name in them marks as secret is masked; anything else
    is asked for its ``repr`` once, however often it appears. After ``seconds`` spent in all, no
    further ``repr`` is called: one that asks a database must not hold up the page for good. After
    ``characters`` in all, values are left out.
    """

    def __init__(
        self, redactor: Redactor, *, seconds: float = 1.0, characters: int = 40_000
    ) -> None:
        self.redactor = redactor
        self._until = perf() + seconds
        # With the object itself, so that its id stays its own.
        self._known: dict[int, tuple[object, str]] = {}
        self._nodes = 0
        self._room = characters

    def named(self, name: object, value: object) -> str:
        """Return the text of a value, or of the mask if its name is sensitive."""
        return MASK if _is_secret(name, value) else self.of(value)

    def of(self, value: object) -> str:
        """Return the text of a value; never raises, calls nothing twice."""
        if self._room <= 0:
            return "…"
        self._nodes = _NODES
        text = self.redactor.text(self._describe(value, _DEPTH)[:_READ], names=is_sensitive)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}…"
        self._room -= len(text)
        return text

    def _describe(self, value: object, depth: int) -> str:
        self._nodes -= 1
        if self._nodes < 0:
            return "…"
        try:
            return self._by_kind(value, depth)
        except Exception as exc:  # noqa: BLE001 - a value is allowed to be broken: that may be the bug
            return f"<{_kind(value)}: its repr raised {type(exc).__name__}>"

    def _by_kind(self, value: object, depth: int) -> str:
        # By type() throughout: isinstance asks __class__, and a lazy proxy answers that with work.
        kind = type(value)
        if kind in _PLAIN:
            return repr(value)
        shape: object = kind.__repr__
        if shape is str.__repr__ or shape is bytes.__repr__:
            return _cut_repr(cast("str | bytes", value))
        if shape is int.__repr__:
            bits = cast("int", value).bit_length()
            return repr(value) if bits <= _BITS else f"<an int of {bits} bits>"
        if shape in _MAPPINGS:
            return self._mapping(cast("dict[object, object]", value), depth)
        if shape in _SEQUENCES:
            return self._sequence(cast("list[object]", value), _SEQUENCES[shape], depth)
        if issubclass(kind, Secret):
            return MASK
        return self._ask(value)

    def _mapping(self, value: dict[object, object], depth: int) -> str:
        def entry(pair: tuple[object, object]) -> str:
            key, item = pair
            shown = MASK if _is_secret(key, item) else self._describe(item, depth - 1)
            return f"{self._describe(key, 0)}: {shown}"

        return _wrapped(value, "{}", self._items(dict.items(value), len(value), depth, entry))

    def _sequence(self, value: list[object], brackets: str, depth: int) -> str:
        # A header field, or any other pair of a name and a value.
        if len(value) == 2 and brackets != "{}" and _is_secret(value[0], value[1]):
            return _wrapped(value, brackets, f"{self._describe(value[0], 0)}, {MASK}")
        inner = self._items(value, len(value), depth, lambda item: self._describe(item, depth - 1))
        return _wrapped(value, brackets, inner)

    def _items(
        self,
        items: Iterable[_Item],
        count: int,
        depth: int,
        describe: Callable[[_Item], str],
    ) -> str:
        if depth <= 0:
            return "…" if count else ""
        shown: list[str] = []
        for item in islice(items, _ITEMS):
            if self._nodes <= 0:
                break
            shown.append(describe(item))
        if count > len(shown):
            shown.append(f"… {count - len(shown)} more")
        return ", ".join(shown)

    def _ask(self, value: object) -> str:
        known = self._known.get(id(value))
        if known is not None:
            return known[1]
        if perf() > self._until:
            return f"<{_kind(value)}: not asked, the others took too long>"
        try:
            text = repr(value)[:_READ]
        except Exception as exc:  # noqa: BLE001 - as above, and it is not to be asked again
            text = f"<{_kind(value)}: its repr raised {type(exc).__name__}>"
        self._known[id(value)] = (value, text)
        return text


def _is_secret(name: object, value: object) -> bool:
    """Tell whether a value is masked because of its name; that it is missing is no secret."""
    if value is None or type(value) is bool or (type(value) in (str, bytes) and not value):
        return False
    return is_sensitive(name)


def _cut_repr(value: str | bytes) -> str:
    return repr(value[:_READ])


def _wrapped(value: object, brackets: str, inner: str) -> str:
    kind = _kind(value)
    if kind in ("dict", "list", "tuple", "set"):
        if kind == "set" and not inner:
            return "set()"
        comma = "," if kind == "tuple" and len(cast("tuple[object]", value)) == 1 else ""
        return f"{brackets[0]}{inner}{comma}{brackets[1]}"
    return f"{kind}({brackets[0]}{inner}{brackets[1]})"


def _kind(value: object) -> str:
    return type(value).__name__
