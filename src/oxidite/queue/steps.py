"""What a job has done already: kept with it, so that its next attempt goes on from there."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints

from msgspec import Struct

from oxidite.encoding import Codec, codec_for, encode_msgpack
from oxidite.errors import ConfigError
from oxidite.queue.base import JobStore, Ready
from oxidite.queue.errors import JobLostError, JobTooLargeError
from oxidite.queue.transactional import open_transaction

__all__ = ["Steps"]


class _Kept(Struct, frozen=True, array_like=True):
    """What a store keeps for the next attempt: what the job saved, results of steps, when to wake by name."""

    state: bytes | None = None
    steps: dict[str, bytes] = {}
    wakes: dict[str, float] = {}


_codec: Codec[_Kept] = codec_for(_Kept)


class Steps:
    """The steps of a job in one attempt, and what it saves beside them.

    All of it, as msgpack, has at most ``max_size`` bytes.
    """

    def __init__(self, ready: Ready, store: JobStore, max_size: int) -> None:
        self._ready = ready
        self._store = store
        self._max_size = max_size
        before = _codec.decode_msgpack(ready.state) if ready.state else _Kept()
        self.state: bytes | None = before.state
        """What an earlier attempt has saved."""
        self._saved = before.state
        self._before = before.steps
        self._wakes = dict(before.wakes)
        self._done: dict[str, bytes] = {}
        self._begun: set[str] = set()
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
        before, self._saved = self._saved, state
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
        if name in self._before:
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
            self._done[name] = encode_msgpack(result)
            if transaction is not None:
                transaction.on_rollback(partial(self._forget, name))
            await self._write_step(name)
        except BaseException:
            self._forget(name)
            raise
        return codec.decode_msgpack(self._done[name])

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
            wake = self._wakes[name]
            # Who was woken by the store need not ask it for the time.
            is_over = self._ready.due_at >= wake
            return 0.0 if is_over else max(wake - await self._store.now(), 0.0)
        try:
            self._wakes[name] = await self._store.now() + seconds
            await self._write_step(name)
        except BaseException:
            self._begun.discard(name)
            self._wakes.pop(name, None)
            raise
        return seconds

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
        self._done.pop(name, None)

    def _forget_saved(self, before: bytes | None) -> None:
        self._saved = before

    async def _write(self) -> bool:
        async with self._turn:
            steps = {**self._before, **self._done}
            kept = encode_msgpack(_Kept(self._saved, steps, self._wakes))
            if len(kept) > self._max_size:
                raise JobTooLargeError(
                    f"What the job {self._ready.id} keeps for its next attempt has {len(kept)} bytes, and a job "
                    f"carries {self._max_size} at most. Store what is large, and keep its key."
                )
            return await self._store.save(self._ready.id, self._ready.attempt, state=kept)


def _result_codec(function: Callable[..., object]) -> Codec[Any]:  # Any: as its annotation says
    try:
        hint = get_type_hints(function).get("return", object)
    except (NameError, TypeError):  # of a partial, or of names that are not there: plain data
        hint = object
    return codec_for(hint)
