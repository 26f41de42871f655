"""Spans and events: what the framework tells about itself while it works.

They do nothing, at nearly no cost, until somebody listens; observability is one such listener.
Names and attributes are plain data. Nothing here measures, stores or sends.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol

__all__ = ["Listener", "Span", "current_span", "event", "is_listening", "listen", "span"]

_logger = logging.getLogger("oxidite.instrument")


class Span:
    """A piece of work with a beginning and an end, inside the span it was started in.

    Made by ``span``. ``parent`` is the span around it, ``None`` at the top; it is let go when
    this span ends, so that work started by work started by work does not keep its whole past
    in memory. Spans compare by identity and can be keys of a dict.
    """

    __slots__ = ("__weakref__", "_heard_by", "attributes", "name", "parent")

    name: str
    attributes: dict[str, object]
    parent: Span | None

    def __init__(self, name: str, attributes: dict[str, object]) -> None:
        self.name = name
        self.attributes = attributes
        self.parent = None
        self._heard_by: tuple[_Ear, ...] = ()

    def set(self, key: str, value: object) -> None:
        """Add an attribute that was not known at the start; listeners see it at the end."""
        self.attributes[key] = value

    def __enter__(self) -> Span:
        self.parent = _span.get()
        # Who heard the start hears the end, whoever stops or begins to listen in between.
        self._heard_by = _ears
        _span.set(self)
        for ear in self._heard_by:
            ear.span_started(self)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Not by a token: a generator may be closed in another context than it began in. There,
        # the current span is somebody else's and stays.
        if _span.get() is self:
            _span.set(self.parent)
        for ear in reversed(self._heard_by):
            ear.span_ended(self, error)
        self.parent = None


class _Silence(Span):
    """The span nobody hears: one for all, it keeps nothing."""

    __slots__ = ()

    def set(self, key: str, value: object) -> None:
        """Do nothing."""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


class Listener(Protocol):
    """What hears spans and events. It is called in the task that works, so it must not block.

    A listener that raises is logged, the first time, and otherwise ignored: telling about work
    never breaks the work.
    """

    def span_started(self, span: Span) -> None:
        """Hear that ``span`` began; ``span.parent`` is set."""
        ...

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        """Hear that ``span`` ended, with the error that left it, a cancellation included."""
        ...

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        """Hear that something happened, inside ``current_span()``."""
        ...


class _Ear:
    """One listener, kept from breaking the program."""

    __slots__ = ("_complained", "_listener")

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._complained = False

    def span_started(self, span: Span) -> None:
        try:
            self._listener.span_started(span)
        except Exception as exc:  # noqa: BLE001 - logged by _complain
            self._complain("span_started", exc)

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        try:
            self._listener.span_ended(span, error)
        except Exception as exc:  # noqa: BLE001 - logged by _complain
            self._complain("span_ended", exc)

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        try:
            self._listener.event(name, attributes)
        except Exception as exc:  # noqa: BLE001 - logged by _complain
            self._complain("event", exc)

    def _complain(self, method: str, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            _logger.error(
                "%s.%s failed; further failures of this listener are not logged.",
                type(self._listener).__qualname__,
                method,
                exc_info=error,
            )


_span: ContextVar[Span | None] = ContextVar("oxidite_span", default=None)
_ears: tuple[_Ear, ...] = ()
_is_heard = False  # whether there are any, for those who ask in each hit of a cache
_silence = _Silence("", {})


def span(name: str, /, **attributes: object) -> Span:
    """Start a piece of work, which lasts until the end of the ``with`` block.

    ::

        with span("db.query", table="users") as query:
            ...
            query.set("rows", len(rows))

    Tasks started inside are inside it too.
    """
    if not _ears:
        return _silence
    return Span(name, attributes)


def event(name: str, /, **attributes: object) -> None:
    """Tell that something happened."""
    for ear in _ears:
        ear.event(name, attributes)


def current_span() -> Span | None:
    """Return the span this code runs in; ``None`` at the top or when nobody listens."""
    return _span.get()


def is_listening() -> bool:
    """Tell whether anybody listens, for a caller whose attributes are costly to make."""
    return _is_heard


@contextlib.contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Let ``listener`` hear everything in the process until the end of the block.

    Listeners do not disturb each other, and may stop in any order.
    """
    ear = _Ear(listener)
    _hear((*_ears, ear))
    try:
        yield
    finally:
        _hear(tuple(other for other in _ears if other is not ear))


def _hear(ears: tuple[_Ear, ...]) -> None:
    global _ears, _is_heard
    _ears, _is_heard = ears, bool(ears)
