"""What a job has done already: kept with it, so that its next attempt goes on from there."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar, get_type_hints

from msgspec import Struct

from oxidite.encoding import Codec, DecodeError, MismatchError, codec_for, encode_msgpack
from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore, Ready
from oxidite.queue.errors import JobLostError, JobStepNotFoundError, JobTooLargeError
from oxidite.queue.events import Event
from oxidite.queue.stores.sealed import sealing_of
from oxidite.queue.transactional import open_transaction

__all__ = ["Steps", "names_of", "rewound"]

T = TypeVar("T")

_BEGUN = b""
"""Stands for a sleep, or a wait that is not over: which steps came before, and which after."""
_NOTHING = encode_msgpack(None)
"""What is kept of an event that did not come in time; no event has it for its value."""


class _Kept(Struct, frozen=True, array_like=True):
    """What a store keeps for the next attempt: what the job saved, results of steps, when to wake by name.

    The steps are in the order in which they were done, and ``saved_after`` so many of them it was saved last.
    """

    state: bytes | None = None
    steps: dict[str, bytes] = {}
    wakes: dict[str, float] = {}
    saved_after: int = 0


_codec: Codec[_Kept] = codec_for(_Kept)


class Steps:
    """The steps of a job in one attempt, and what it saves beside them.

    All of it, as msgpack, has at most ``max_size`` bytes.
    """

    def __init__(self, ready: Ready, store: JobStore, max_size: int) -> None:
        self._ready = ready
        self._store = store
        self._max_size = max_size
        before = _decoded(ready.state)
        self.state: bytes | None = before.state
        """What an earlier attempt has saved."""
        self._saved = before.state, before.saved_after
        self._before = before.steps
        self._wakes = dict(before.wakes)
        self._steps = dict(before.steps)
        self._begun: set[str] = set()
        # An event wakes a job that has left its place for that one.
        self._waiting = asyncio.Lock()
        # Each write has all of them: one that overtakes another would undo it.
        self._turn = asyncio.Lock()

    async def save(self, state: bytes) -> bool:
        """Keep what the job says; return whether it counted."""
        transaction = open_transaction()
        if transaction is not None and not self._store.joins(transaction.owner):
            raise ConfigError(
                "The job saves its state inside a transaction that the queue takes no part in: if that is "
                "undone, the next attempt would go on behind what was lost. Save it after the transaction."
            )
        before, self._saved = self._saved, (state, len(self._steps))
        if transaction is not None:
            transaction.on_rollback(partial(self._forget_saved, before))
        return await self._write()

    async def run(
        self,
        name: str,
        function: Callable[..., object],
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        """Return what a step has come to in an earlier attempt, or else run it."""
        codec = _result_codec(function)
        if self._before.get(name):
            return codec.decode_msgpack(self._before[name])
        self._check_name(name)
        transaction = open_transaction()
        if transaction is not None and not self._store.joins(transaction.owner):
            raise ConfigError(
                f"The step {name!r} is inside a transaction that the queue takes no part in: if that is undone, "
                "the step would count as done. Open the transaction inside the step."
            )
        self._begun.add(name)
        try:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
            done = self._steps[name] = encode_msgpack(result)
            if transaction is not None:
                transaction.on_rollback(partial(self._forget, name))
            await self._write_step(name)
        except BaseException:
            self._forget(name)
            raise
        return codec.decode_msgpack(done)

    async def sleep(self, name: str, seconds: float) -> float:
        """Return for how many seconds the job is to sleep still; the first call of a name sets its end."""
        if not 0 <= seconds < math.inf:
            raise ConfigError(f"A job sleeps for a number of seconds from 0, not for {seconds}.")
        if open_transaction() is not None:
            raise ConfigError(
                f"The job would sleep ({name!r}) inside a transaction, which would be undone. Let that end before."
            )
        self._check_name(name)
        self._begun.add(name)
        if name in self._wakes:
            # Who was woken by the store need not ask it for the time.
            return 0.0 if self._is_over(name) else await self._left(name)
        try:
            await self._begin(name, seconds)
        except BaseException:
            self._forget(name)
            raise
        return seconds

    async def wait_for(
        self, event: Event, codec: Codec[T], seconds: float
    ) -> tuple[float, T | None]:
        """Return for how many seconds the job is to wait still; with 0, what has come, or ``None``.

        One event after the other is waited for, whatever tasks the job has.
        """
        name = event.step
        if done := self._before.get(name):
            return 0.0, _value(codec, done)
        if not 0 <= seconds < math.inf:
            raise ConfigError(
                f"A job waits for an event ({name!r}) for a number of seconds from 0, not for {seconds}."
            )
        if open_transaction() is not None:
            raise ConfigError(
                f"The job would wait ({name!r}) inside a transaction, which would be undone. Let that end before."
            )
        self._check_name(name)
        self._begun.add(name)
        await self._waiting.acquire()
        left, value = 0.0, None
        try:
            left, value = await self._wait(event, codec, seconds)
        except BaseException:
            self._forget(name)
            raise
        finally:
            if left <= 0:
                self._waiting.release()
        # Else nothing else is waited for: the job leaves its place.
        return left, value

    async def _wait(self, event: Event, codec: Codec[T], seconds: float) -> tuple[float, T | None]:
        name, ready = event.step, self._ready
        if name not in self._wakes:
            await self._begin(name, seconds)
        left = await self._left(name)
        id = event.ids(sealing_of(self._store))[0]
        said = await self._store.listen(ready.id, ready.attempt, id, encode_msgpack(event), left)
        if said is None and left > 0 and not self._is_over(name):
            return left, None
        # Read before it is kept: what is of another type is not done.
        done = _NOTHING if said is None else said
        try:
            value = _value(codec, done)
        except (DecodeError, MismatchError) as exc:
            exc.add_note(
                f"That is the value of the event {event.name!r}. Signal the right one, and let the job run anew "
                f"from there: await handle.rerun(from_step={name!r})."
            )
            raise
        self._steps[name] = done
        await self._write_step(name)
        return 0.0, value

    async def _begin(self, name: str, seconds: float) -> None:
        """Keep when something is over that begins now."""
        self._wakes[name] = await self._store.now() + seconds
        self._steps[name] = _BEGUN
        try:
            await self._write_step(name)
        except BaseException:
            self._wakes.pop(name, None)
            raise

    def _is_over(self, name: str) -> bool:
        """Tell whether the store has woken the job for its time was over."""
        return self._ready.due_at >= self._wakes[name]

    async def _left(self, name: str) -> float:
        return max(self._wakes[name] - await self._store.now(), 0.0)

    def _check_name(self, name: str) -> None:
        if name in self._begun:
            raise ConfigError(
                f"The job has two steps {name!r}, so it could not be told which is done. Give each a name of "
                "its own, such as f'page {number}'."
            )

    async def _write_step(self, name: str) -> None:
        if not await self._write():
            raise JobLostError(
                f"The job {self._ready.id} runs elsewhere by now, or was ended: the step {name!r} does not "
                "count, and no other begins here."
            )

    def _forget(self, name: str) -> None:
        self._begun.discard(name)
        if name in self._wakes:
            self._steps[name] = _BEGUN
        else:
            self._steps.pop(name, None)

    def _forget_saved(self, before: tuple[bytes | None, int]) -> None:
        self._saved = before

    async def _write(self) -> bool:
        async with self._turn:
            state, saved_after = self._saved
            kept = encode_msgpack(_Kept(state, self._steps, self._wakes, saved_after))
            if len(kept) > self._max_size:
                raise JobTooLargeError(
                    f"What the job {self._ready.id} keeps for its next attempt has {len(kept)} bytes, and a job "
                    f"carries {self._max_size} at most. Store what is large, and keep its key."
                )
            return await self._store.save(self._ready.id, self._ready.attempt, state=kept)


def names_of(saved: bytes | None) -> list[str]:
    """Return the steps that a job has done or begun, the first ones first; sleeps and waits are some."""
    return list(_decoded(saved).steps)


def rewound(saved: bytes | None, step: str) -> bytes:
    """Return what a job has kept as it was before a step: without that one, and those after it.

    What it saved beside them stays if that was before the step.

    Raises:
        JobStepNotFoundError: it has done no such step; the message says which it has.
    """
    kept = _decoded(saved)
    names = list(kept.steps)
    if step not in names:
        done = ", ".join(map(repr, names)) or "none"
        raise JobStepNotFoundError(
            f"The job has not come to a step {step!r}. Its steps are: {done}."
        )
    place = names.index(step)
    left = names[:place]
    is_before = kept.saved_after <= place
    return encode_msgpack(
        _Kept(
            kept.state if is_before else None,
            {name: kept.steps[name] for name in left},
            {name: wake for name, wake in kept.wakes.items() if name in left},
            kept.saved_after if is_before else 0,
        )
    )


def _decoded(saved: bytes | None) -> _Kept:
    return _codec.decode_msgpack(saved) if saved else _Kept()


def _value(codec: Codec[T], done: bytes) -> T | None:
    return None if done == _NOTHING else codec.decode_msgpack(done)


def _result_codec(function: Callable[..., object]) -> Codec[Any]:  # Any: as its annotation says
    try:
        hint = get_type_hints(function).get("return", object)
    except (NameError, TypeError):  # of a partial, or of names that are not there: plain data
        hint = object
    return codec_for(hint)
