"""Events that jobs wait for: what they are called, and how a store knows them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeAlias
from uuid import UUID

from msgspec import Struct

from oxidite.encoding import Codec, codec_for, encode_msgpack
from oxidite.errors import ConfigError
from oxidite.queue.base import Signal
from oxidite.queue.errors import JobTooLargeError
from oxidite.queue.sealing import Sealing

__all__ = ["Event", "EventKey", "event_of", "signals"]

EventKey: TypeAlias = str | int | UUID
"""Which of the events of one name is meant. What is the same as text is the same: 7 and "7"."""

_LONGEST = 200  # characters of a name, and of a key
_LONGEST_TIME = 10_000_000_000.0  # seconds, about 300 years


class Event(Struct, frozen=True, array_like=True):
    """What a job waits for: as it is kept with the job, for people."""

    name: str
    key: str

    @classmethod
    def of(cls, name: str, key: EventKey) -> Event:
        """Return an event by its name and its key.

        Raises:
            ConfigError: one of them is too long, or not printable.
        """
        made = cls(name, str(key))
        if not 0 < len(name) <= _LONGEST or not name.isprintable():
            raise ConfigError(
                f"The name of an event is printable, of 1 to {_LONGEST} characters, not {name!r:.250}."
            )
        if len(made.key) > _LONGEST or not made.key.isprintable():
            raise ConfigError(
                f"The key of the event {name!r} is printable, of {_LONGEST} characters at most, "
                f"not {made.key!r:.250}."
            )
        return made

    @property
    def step(self) -> str:
        """The name of the step in which a job waits for it."""
        return f"{self.name}:{self.key}" if self.key else self.name

    def ids(self, sealing: Sealing | None) -> list[bytes]:
        """Return by what a store knows it; by each of the secrets, the newest first, if jobs are encrypted."""
        data = encode_msgpack(["event", self.name, self.key])
        # Of few possible keys anybody could try which have that digest.
        return (
            [blake2b(data, digest_size=16).digest()] if sealing is None else sealing.digests(data)
        )


_codec: Codec[Event] = codec_for(Event)


def event_of(about: bytes) -> Event:
    """Return what a job waits for, of what it said of that."""
    return _codec.decode_msgpack(about)


def signals(
    event: Event, value: object, *, keep: float, max_size: int, sealing: Sealing | None
) -> Sequence[Signal]:
    """Return what a store is told of an event: several, if jobs may know it by several secrets.

    Raises:
        ConfigError: the value is none, or ``keep`` is no time.
        JobTooLargeError: the value has more than ``max_size`` bytes.
    """
    if value is None:
        raise ConfigError(
            f"The event {event.name!r} has no value: a job that waits is given None if no event has come. "
            "Leave value= out for one that only has happened; it is True then."
        )
    if not 0 <= keep <= _LONGEST_TIME:
        raise ConfigError(
            f"keep={keep} of an event is a time in seconds, from 0 to {_LONGEST_TIME:,.0f}."
        )
    data = encode_msgpack(value)
    if len(data) > max_size:
        raise JobTooLargeError(
            f"The value of the event {event.name!r} has {len(data)} bytes, and a job carries {max_size} at most. "
            "Store what is large, and signal its key."
        )
    return [Signal(id, data, keep) for id in event.ids(sealing)]
