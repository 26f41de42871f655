"""Locks, semaphores and counters of all processes that share a store. Without the store there are none."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from types import TracebackType

from oxidite import clock
from oxidite.cache.core import Core
from oxidite.cache.keys import stored_key
from oxidite.errors import BackendError, BackendTimeoutError, BackendUnavailableError
from oxidite.instrument import event

__all__ = ["Counter", "Lock", "LockLostError", "LockTimeoutError"]

_SOONEST, _LATEST = 0.01, 0.5  # seconds between two attempts to get a lock


class LockTimeoutError(BackendUnavailableError, BackendTimeoutError):
    """The lock was held by others for as long as was waited for it."""

    code = "lock_timeout"


class LockLostError(BackendUnavailableError):
    """The lock ran out while it was held: another may have it, so what it protects was stopped."""

    code = "lock_lost"


class Lock:
    """One of ``slots`` places under a name, held in the block and prolonged while it is.

    Entering returns the fencing number: larger for each who is granted one after another. Give it to
    what you write to, and let that refuse a smaller one than it has seen: then also a process that was
    stopped for longer than the ``ttl``, and does not know yet, does no harm. If the lock is lost, because
    the store was away for too long, the block is cancelled and ``LockLostError`` raised.
    """

    def _begin(
        self, core: Core, name: str, *, ttl: float, slots: int, timeout: float | None
    ) -> None:
        self._core = core
        self._name = stored_key(name)
        self._shown = name
        self._ttl = ttl
        self._slots = slots
        self._timeout = timeout
        self._owner = ""
        self._is_lost = False
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> int:
        """Wait for a place.

        Raises:
            LockTimeoutError: there was none within ``timeout``.
            BackendError: the store failed.
            ConfigError: the cache is not open.
        """
        if self._renewing is not None:
            raise RuntimeError(
                f"The lock {self._shown!r} is held by this object: make one for each."
            )
        _ = (
            self._core.guard
        )  # a cache that is not open is told at once: there is nothing to be given back
        self._owner = secrets.token_hex(16)
        self._is_lost = False
        try:
            async with asyncio.timeout(self._timeout or None):
                number, granted = await self._granted()
        except TimeoutError:
            self._leave_behind()
            raise self._too_late() from None
        except BaseException:
            self._leave_behind()  # it may have been granted
            raise
        self._task = asyncio.current_task()
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        self._renewing = asyncio.create_task(self._renew(granted), name=f"lock {self._shown}")
        return number

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
        if self._is_lost:
            self._raise_lost(exc)
            return
        core, name, owner = self._core, self._name, self._owner
        try:
            # A store that fails now gives the place to another when it has run out.
            left = await core.attempt(lambda: core.backend.leave(name, owner), True)
        except asyncio.CancelledError:
            self._leave_behind()  # it may not have heard it
            raise
        if not left and kind is None:
            raise self._lost()

    async def _granted(self) -> tuple[int, float]:
        """Return the fencing number, and the moment from which the time of the place counts."""
        core, backend = self._core, self._core.backend
        pause = _SOONEST
        while True:
            asked = clock.perf()
            number = await core.guard.call(
                lambda: backend.acquire(self._name, self._owner, self._slots, self._ttl)
            )
            if number is not None:
                return number, asked
            if self._timeout == 0:
                raise self._too_late()
            await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=pause)
            pause = min(pause * (1.2 + random.random()), _LATEST)

    async def _renew(self, granted: float) -> None:
        """Prolong the place until it is given back; real time, as in the store others wait for it."""
        core, backend = self._core, self._core.backend
        held_until = granted + self._ttl
        wait = self._ttl / 3
        while True:
            await asyncio.wait((asyncio.get_running_loop().create_future(),), timeout=wait)
            asked = clock.perf()
            try:
                is_held = await core.guard.call(
                    lambda: backend.extend(self._name, self._owner, self._ttl)
                )
            except BackendError:
                # Often, while there is time: but it must be over here before it is there.
                wait = self._ttl / 20
                is_held = clock.perf() + 2 * wait < held_until
            else:
                held_until, wait = asked + self._ttl, self._ttl / 3
            if not is_held:
                self._is_lost = True
                event("cache.lock_lost", name=self._shown)
                if self._task is not None:
                    self._task.cancel()
                return

    def _raise_lost(self, exc: BaseException | None) -> None:
        is_ours = self._task is not None and self._task.uncancel() <= self._cancelling
        if exc is None or (is_ours and isinstance(exc, asyncio.CancelledError)):
            raise self._lost() from exc

    def _lost(self) -> LockLostError:
        return LockLostError(
            f"The lock {self._shown!r} was lost while it was held: it could not be prolonged in time."
        )

    def _too_late(self) -> LockTimeoutError:
        return LockTimeoutError(
            f"The lock {self._shown!r} was not free within {self._timeout or 0:g} s."
        )

    def _leave_behind(self) -> None:
        core, name, owner = self._core, self._name, self._owner

        async def leave() -> None:
            await core.attempt(lambda: core.backend.leave(name, owner), False)

        core.background.spawn(leave(), name=f"leave {self._shown}")


class Counter:
    """A whole number that all processes count together."""

    def __init__(
        self,
        key: str,
        add: Callable[[int], Awaitable[int]],
        delete: Callable[[], Awaitable[object]],
    ) -> None:
        self.key: str = key
        self._add = add
        self._delete = delete

    async def incr(self, by: int = 1) -> int:
        """Add to it and return the sum."""
        return await self._add(by)

    async def decr(self, by: int = 1) -> int:
        """Take from it and return what is left."""
        return await self._add(-by)

    async def value(self) -> int:
        """Return the number."""
        return await self._add(0)

    async def reset(self) -> None:
        """Begin at 0 again."""
        await self._delete()
