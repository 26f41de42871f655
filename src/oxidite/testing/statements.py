"""How many statements a piece of a test may run, and that none of them repeats itself.

All that run in this process meanwhile are counted, those of an application that is called included.
The database is imported when statements are counted: a test of an application without one does not pay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from oxidite.db.statements.watch import Watched

__all__ = ["QueryAssertion", "assert_no_repeats", "assert_queries"]


class QueryAssertion:
    """The statements that ran inside; use it as a context, plain or async."""

    def __init__(self, *, number: int | None = None, repeats: int | None = None) -> None:
        self.number: int | None = number
        self.repeats: int | None = repeats
        self.statements: list[str] = []
        """The SQL of each, with the place that it was run from."""
        self._shapes: Counter[Hashable] = Counter()
        self._first: dict[Hashable, str] = {}

    def __enter__(self) -> Self:
        from oxidite.db.statements.watch import watchers

        watchers.append(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        from oxidite.db.statements.watch import watchers

        watchers.remove(self._note)
        if exc is None:
            self._check()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, tb)

    def _note(self, statement: Watched, sql: str) -> None:
        from oxidite.db.connections.callers import caller

        shown = f"{caller()}: {' '.join(sql.split())}"
        self.statements.append(shown)
        key = statement.key()
        self._shapes[key] += 1
        self._first.setdefault(key, shown)

    def _check(self) -> None:
        listed = "".join(f"\n  {each}" for each in self.statements)
        if self.number is not None and len(self.statements) != self.number:
            raise AssertionError(
                f"{len(self.statements)} statements ran, and {self.number} were expected:{listed}"
            )
        if self.repeats is None:
            return
        for key, times in self._shapes.items():
            if times > self.repeats:
                raise AssertionError(
                    f"The same statement ran {times} times, with other values at most. Load what it "
                    f"reads for all rows at once, with .with_() or in_():\n  {self._first[key]}"
                )


def assert_queries(number: int) -> QueryAssertion:
    """Fail unless exactly that many statements run in the block that it begins.

    BEGIN and COMMIT are not counted.
    """
    return QueryAssertion(number=number)


def assert_no_repeats(*, at_most: int = 1) -> QueryAssertion:
    """Fail if the same statement runs more than ``at_most`` times inside, whatever its values are."""
    return QueryAssertion(repeats=at_most)
