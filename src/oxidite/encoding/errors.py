"""What can be wrong with data: it cannot be read, or it is not what was declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from oxidite.errors import OxiditeError

__all__ = ["DecodeError", "MismatchError", "Problem"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that is not what was declared.

    ``pointer`` is a JSON Pointer (RFC 6901) to the value, ``""`` for the whole; ``code`` is one of
    ``missing``, ``unknown``, ``type``, ``constraint``, ``invalid``.
    """

    pointer: str
    message: str
    code: str = "invalid"


class DecodeError(OxiditeError):
    """The data is malformed."""

    code = "decode"


class MismatchError(OxiditeError):
    """The data is well-formed but not what was declared."""

    code = "mismatch"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("; ".join(f"{p.pointer or '(root)'}: {p.message}" for p in self.problems))
