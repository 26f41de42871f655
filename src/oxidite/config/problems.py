"""What can be wrong with settings, told all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from oxidite.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: what it is about, what was expected, and where the bad value came from.

    ``subject`` is the dotted name of a field, the name of a variable or a file; ``origin`` is
    empty when there is no value. The value of a secret is in none of them.
    """

    subject: str
    message: str
    origin: str = ""

    def __str__(self) -> str:
        return f"{self.subject}: {self.message}" + (f" [{self.origin}]" if self.origin else "")


class SettingsError(ConfigError):
    """The settings cannot be loaded. It carries every problem at once."""

    code = "settings"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        lines = [f"The settings have {count} {'problem' if count == 1 else 'problems'}:"]
        super().__init__("\n  ".join([*lines, *map(str, self.problems)]))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the known name nearest to ``name``, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
