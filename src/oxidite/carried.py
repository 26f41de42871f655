"""What a job takes along from where it was pushed: the request and its trace, the tenant, the user, the language.

Each is registered where it is defined, below the queue, which knows none of them. Each is known by a name to whoever registers it, and is text. A job that finds something it does not know
leaves it alone, so versions of an application may differ in this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack

__all__ = ["Capture", "Restore", "captured", "carry", "restored"]

Capture = Callable[[], str | None]
Restore = Callable[[str], AbstractContextManager[object]]

_carried: dict[str, tuple[Capture, Restore]] = {}
_codec: Codec[dict[str, str]] = codec_for(dict[str, str])


def carry(name: str, capture: Capture, restore: Restore) -> None:
    """Let every job take something along, under a name; registering it again replaces it.

    ``capture`` reads it where the job is pushed, and ``restore`` is around the job.
    """
    _carried[name] = (capture, restore)


def captured() -> bytes:
    """Return what is to be taken along from here."""
    found = {
        name: value for name, (capture, _) in _carried.items() if (value := capture()) is not None
    }
    return encode_msgpack(found) if found else b""


@contextlib.contextmanager
def restored(context: bytes) -> Iterator[None]:
    """Have here what was taken along."""
    with ExitStack() as stack:
        try:
            found = _codec.decode_msgpack(context) if context else {}
        except (DecodeError, MismatchError):
            found = {}
        for name, value in found.items():
            if name in _carried:
                stack.enter_context(_carried[name][1](value))
        yield
