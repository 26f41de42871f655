"""What a job takes along from where it was pushed: the request and its trace, the tenant, the user, the locale.

Each is registered where it is defined, below the queue, which knows none of them. Each is known by a name to whoever registers it, and is text. A job that finds something it does not know
leaves it alone, so versions of an application may differ in this.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from contextvars import ContextVar

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack

__all__ = [
    "Capture",
    "Carried",
    "Restore",
    "captured",
    "carry",
    "locale",
    "restored",
    "together",
    "user",
]

Capture = Callable[[], str | None]
Restore = Callable[[str], AbstractContextManager[object]]

_carried: dict[str, tuple[Capture, Restore]] = {}
_apart: set[str] = set()
_codec: Codec[dict[str, str]] = codec_for(dict[str, str])


def carry(name: str, capture: Capture, restore: Restore, *, apart: bool = False) -> None:
    """Let every job take something along, under a name; registering it again replaces it.

    ``capture`` reads it where the job is pushed, and ``restore`` is around the job. Jobs that differ in it are
    never run in one chunk if it keeps them ``apart``, as a tenant does; a chunk has nothing of the rest.
    """
    _carried[name] = (capture, restore)
    _apart.discard(name)
    if apart:
        _apart.add(name)


class Carried:
    """A text of the moment, such as a language, that jobs take along from where they are pushed.

    ::

        language = Carried("language")

        with language.of("de"):
            await queue.enqueue(send_welcome, 7)  # language.get() is "de" there, too

    What it is outside of any block is ``None``. For ``apart`` see ``carry``.
    """

    def __init__(self, name: str, *, apart: bool = False) -> None:
        self.name: str = name
        self._current: ContextVar[str | None] = ContextVar(f"oxidite.carried.{name}", default=None)
        carry(name, self.get, self.of, apart=apart)

    def get(self) -> str | None:
        """Return what it is here."""
        return self._current.get()

    @contextlib.contextmanager
    def of(self, value: str) -> Iterator[str]:
        """Let it be ``value`` inside the block, and in the tasks and threads that begin in it."""
        before = self._current.get()
        self._current.set(value)
        try:
            yield value
        finally:
            # Not by a token: a generator may be closed in another context than it began in.
            self._current.set(before)


user: Carried = Carried("user")
"""The id of the user whose request it is, for whoever knows users: a middleware sets it."""
locale: Carried = Carried("locale")
"""The locale in which the request is answered, such as ``de-AT``; a middleware sets it."""


def captured() -> bytes:
    """Return what is to be taken along from here."""
    found = {
        name: value for name, (capture, _) in _carried.items() if (value := capture()) is not None
    }
    return encode_msgpack(found) if found else b""


def together(context: bytes) -> bytes:
    """Return what a chunk takes along of what one of its jobs does: the same from all of them."""
    found = {name: value for name, value in _decoded(context).items() if name in _apart}
    return encode_msgpack(dict(sorted(found.items()))) if found else b""


@contextlib.contextmanager
def restored(context: bytes) -> Iterator[None]:
    """Have here what was taken along."""
    if not context:
        yield
        return
    with ExitStack() as stack:
        for name, value in _decoded(context).items():
            if name in _carried:
                stack.enter_context(_carried[name][1](value))
        yield


def _decoded(context: bytes) -> dict[str, str]:
    if not context:
        return {}
    try:
        return _codec.decode_msgpack(context)
    except (DecodeError, MismatchError):
        return {}
