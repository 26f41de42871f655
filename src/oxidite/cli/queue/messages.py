"""What the supervisor and its children say to each other: JSON, one message a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from oxidite.servers import Target

__all__ = ["Order", "Report", "Task", "decode_order", "decode_report", "encode"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is for: given when it starts.

    ``control`` is a descriptor. One of the children ``advises``: it says what is to be said once.
    """

    module: str
    attribute: str | None
    directory: str
    file: str | None
    control: int
    queues: dict[str, int]
    concurrency: int
    prefetch: int | None
    lease: float
    grace: float
    drain: float
    poison: int
    max_jobs: int = 0
    max_age: float = 0.0
    max_memory: int = 0
    advises: bool = False

    @property
    def target(self) -> Target:
        """Where the application is."""
        file = None if self.file is None else Path(self.file)
        return Target(self.module, self.attribute, Path(self.directory), file)


class Order(msgspec.Struct, frozen=True):
    """From the supervisor: stop, stop at once, or what the store has said."""

    do: Literal["stop", "end", "hear"]
    cancel: list[str] = []
    lost: bool = False


class Report(msgspec.Struct, frozen=True):
    """From a child.

    ``works``: it has begun under the name ``text``, and its store is at ``address``. ``lives``: its loop
    moves, and may be held up for ``left`` seconds. ``spent``: it has done enough, and ends. ``failed``: it
    could not begin, ``text`` says why.
    """

    event: Literal["works", "lives", "spent", "failed"]
    text: str = ""
    address: str | None = None
    left: float = 0.0


decode_order: Callable[[bytes], Order] = msgspec.json.Decoder(Order).decode
decode_report: Callable[[bytes], Report] = msgspec.json.Decoder(Report).decode


def encode(message: Task | Order | Report) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"
