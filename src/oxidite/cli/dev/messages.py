"""What the supervisor and its children say to each other: JSON, one message a line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from oxidite.servers import TLS, Target

__all__ = ["LONGEST", "Order", "Report", "Task", "decode_order", "decode_report", "encode"]

LONGEST = 1 << 20
"""Bytes of the longest line; tracebacks are cut well below."""


class Task(msgspec.Struct, frozen=True):
    """What a child is for: given when it starts. ``control`` and ``listener`` are descriptors."""

    module: str
    attribute: str | None
    directory: str
    file: str | None
    control: int
    listener: int
    certificate: str | None = None
    key: str | None = None

    @property
    def tls(self) -> TLS | None:
        """The certificate to serve with, if there is one."""
        if self.certificate is None or self.key is None:
            return None
        return TLS(certificate=Path(self.certificate), key=Path(self.key))

    @property
    def target(self) -> Target:
        """Where the application is."""
        file = None if self.file is None else Path(self.file)
        return Target(self.module, self.attribute, Path(self.directory), file)


class Order(msgspec.Struct, frozen=True):
    """From the supervisor: import the application, serve it, show ``text`` over its pages."""

    do: Literal["load", "serve", "overlay"]
    text: str = ""


class Report(msgspec.Struct, frozen=True):
    """From a child: how far it has come; ``text`` says why not further."""

    event: Literal["loaded", "serving", "closing", "failed"]
    text: str = ""


decode_order: Callable[[bytes], Order] = msgspec.json.Decoder(Order).decode
decode_report: Callable[[bytes], Report] = msgspec.json.Decoder(Report).decode


def encode(message: Task | Order | Report) -> bytes:
    """Return a message as a line."""
    return msgspec.json.encode(message) + b"\n"
