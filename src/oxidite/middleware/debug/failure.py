"""An exception with all that led to it: its causes, the exceptions inside a group."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from oxidite.config import Secret
from oxidite.middleware.debug.frames import (
    Frame,
    Gap,
    frames_of,
    is_library,
    open_frames,
    shown_path,
)
from oxidite.middleware.debug.source import Span, source_of
from oxidite.middleware.debug.values import Values
from oxidite.security.redact import Redactor, is_secret_name

__all__ = ["Failure", "Relation", "failure_of", "learn_variables"]

Relation: TypeAlias = Literal["cause", "context"]

_EXCEPTIONS = 12
_FRAMES = 60
_MESSAGE = 4000
_NOTES = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """One exception. ``frames`` are outermost first.

    ``previous`` led to it: as its ``cause`` (raised ``from`` it) or its ``context`` (it was being
    handled). ``members`` are those of a group. ``left_out`` tells that there were more of either.
    """

    module: str
    name: str
    message: str
    notes: tuple[str, ...]
    frames: tuple[Frame | Gap, ...]
    members: tuple[Failure, ...]
    previous: Failure | None
    relation: Relation
    left_out: bool

    @property
    def title(self) -> str:
        """The exception as the last line of a traceback has it."""
        name = f"{self.module}.{self.name}" if self.module else self.name
        return f"{name}: {self.message}" if self.message else name


def failure_of(error: BaseException, redactor: Redactor) -> Failure:
    """Return what an error page shows of ``error``; a bounded part, however much there is."""
    return _Collector(redactor).failure(error)


def learn_variables(error: BaseException, redactor: Redactor) -> None:
    """Remember the secrets among the local variables, so that they are masked in messages too."""
    for each in _related(error):
        for frame in open_frames(each.__traceback__):
            for name, value in frame.f_locals.items():
                if is_secret_name(name) or issubclass(type(value), Secret):
                    redactor.learn(value)


class _Collector:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._values = Values(redactor)
        self._seen: set[int] = set()
        self._frames = _FRAMES

    def failure(self, error: BaseException) -> Failure:
        self._seen.add(id(error))
        frames = frames_of(error.__traceback__, self._values, detailed=self._frames)
        self._frames = max(0, self._frames - len(frames))
        if isinstance(error, SyntaxError):
            frames = (*frames, *_syntax(error, self._redactor))
        previous, relation = _previous(error)
        inside = _members(error)
        members = tuple(self.failure(each) for each in inside if self._has_room(each))
        led = self.failure(previous) if previous and self._has_room(previous) else None
        kind = type(error)
        return Failure(
            "" if kind.__module__ in ("builtins", "__main__") else kind.__module__,
            kind.__qualname__,
            self._text(_message(error)),
            tuple(self._text(note) for note in _notes(error)),
            frames,
            members,
            led,
            relation,
            len(members) < len(inside) or (previous is not None and led is None),
        )

    def _has_room(self, error: BaseException) -> bool:
        return id(error) not in self._seen and len(self._seen) < _EXCEPTIONS

    def _text(self, text: str) -> str:
        text = self._redactor.text(text[: 2 * _MESSAGE])
        return text if len(text) <= _MESSAGE else f"{text[:_MESSAGE]}…"


def _related(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting and len(seen) < _EXCEPTIONS:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            previous, _ = _previous(each)
            waiting += [*_members(each), *([previous] if previous else [])]


def _previous(error: BaseException) -> tuple[BaseException | None, Relation]:
    if error.__cause__ is not None:
        return error.__cause__, "cause"
    return (None if error.__suppress_context__ else error.__context__), "context"


def _members(error: BaseException) -> tuple[BaseException, ...]:
    return error.exceptions if isinstance(error, BaseExceptionGroup) else ()


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as exc:  # noqa: BLE001 - an exception is allowed to be broken
        return f"<its message cannot be had: str() raised {type(exc).__name__}>"


def _notes(error: BaseException) -> Iterator[str]:
    notes = getattr(error, "__notes__", None)
    if isinstance(notes, list):
        yield from (note for note in notes[:_NOTES] if isinstance(note, str))


def _syntax(error: SyntaxError, redactor: Redactor) -> Iterator[Frame]:
    """The place that could not be compiled, which is in no frame."""
    path, line = error.filename, error.lineno
    if not isinstance(path, str) or not isinstance(line, int):
        return
    lines = source_of(path, Span(line, line), redactor, before=5, after=4)
    yield Frame(path, shown_path(path), line, "(not compiled)", is_library(path), lines)
