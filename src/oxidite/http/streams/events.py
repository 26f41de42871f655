"""A server-sent event, and what it looks like on the wire.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

from msgspec import UNSET, UnsetType

from oxidite.encoding import encode_json

__all__ = ["Event", "checked_retry", "encode_event", "retry_field"]

T = TypeVar("T")

_BREAK = re.compile(r"\r\n|\r|\n")


class Event(Generic[T]):
    """One server-sent event.

    ``data`` is sent as it is if it is text, else as JSON. ``event`` is the name under which a
    browser's ``EventSource`` hands it on (``message`` without one), ``id`` what comes back in
    ``Last-Event-ID`` when the client reconnects, and ``retry`` the seconds after which it does. A
    ``comment`` is for people who look at the wire. One without data is handed to nobody: it may set
    ``id`` and ``retry``.

    Raises:
        ValueError: ``event`` or ``id`` holds a line break, which would begin another field; an
            ``id`` NUL, for which clients ignore it; ``retry`` is negative or no number; there is
            nothing in it, or a name without data.
    """

    __slots__ = ("comment", "data", "event", "id", "retry")

    data: T | UnsetType
    event: str | None
    id: str | None
    retry: float | None
    comment: str | None

    def __init__(
        self,
        data: T | UnsetType = UNSET,
        *,
        event: str | None = None,
        id: str | None = None,
        retry: float | None = None,
        comment: str | None = None,
    ) -> None:
        if event is not None:
            _check_line("event", event)
            if data is UNSET:
                raise ValueError(
                    f"An event {event!r} without data is ignored by clients; give it some."
                )
        if id is not None:
            _check_line("id", id)
        if data is UNSET and id is None and retry is None and comment is None:
            raise ValueError("There is nothing in this event. Give it data.")
        self.data = data
        self.event = event
        self.id = id
        self.retry = checked_retry(retry)
        self.comment = comment

    def __repr__(self) -> str:
        given = {name: getattr(self, name) for name in self.__slots__}
        shown = (f"{k}={v!r}" for k, v in given.items() if v is not None and v is not UNSET)
        return f"Event({', '.join(shown)})"


def _check_line(field: str, value: str) -> None:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(
            f"{field}={value!r} has a line break or NUL in it, which cannot be sent. Put it into data."
        )


def checked_retry(retry: float | None) -> float | None:
    """Return the seconds; a ``ValueError`` if they are none."""
    if retry is not None and not 0 <= retry < 1e9:
        raise ValueError(f"retry={retry!r} is not a number of seconds to wait.")
    return retry


def encode_event(item: object) -> bytes:
    """Return an ``Event``, or the data of one, as it goes over the wire."""
    if isinstance(item, Event):
        return _encode(item)
    if isinstance(item, str):
        return _lines("data", item) + b"\n"
    return b"data: " + encode_json(item) + b"\n\n"


def _encode(event: Event[object]) -> bytes:
    parts = []
    if event.comment is not None:
        parts.append(_lines("", event.comment))
    if event.retry is not None:
        parts.append(retry_field(event.retry))
    if event.id is not None:
        parts.append(f"id: {event.id}\n".encode())
    if event.event is not None:
        parts.append(f"event: {event.event}\n".encode())
    if event.data is not UNSET:
        parts.append(encode_event(event.data))
    else:
        parts.append(b"\n")
    return b"".join(parts)


def _lines(field: str, text: str) -> bytes:
    """Return text as one field for each of its lines; what a line ends with is lost."""
    if "\n" in text or "\r" in text:
        return "".join(f"{field}: {line}\n" for line in _BREAK.split(text)).encode()
    return f"{field}: {text}\n".encode()


def retry_field(seconds: float) -> bytes:
    """Return the field that says when to reconnect."""
    return b"retry: %d\n" % round(seconds * 1000)
