"""The lifespan of a mounted ASGI application, as a resource of the one it is mounted in."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Self

from oxidite.errors import ConfigError, OxiditeError
from oxidite.http.response import ASGIApp

__all__ = ["MountedLifespan"]


class MountedLifespan:
    """Runs the lifespan protocol of ``app``; what it leaves in ``state`` reaches its requests.

    An application that does not know the protocol, and says so by raising, runs without.
    """

    def __init__(self, app: ASGIApp, state: dict[str, object]) -> None:
        self.app = app
        self.state = state
        self._to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._to_app, self._from_app = asyncio.Queue(), asyncio.Queue()
        task = self._task = asyncio.get_running_loop().create_task(self._run())
        try:
            answer = await self._ask(task, "lifespan.startup")
            if answer is not None and answer["type"] == "lifespan.startup.failed":
                raise ConfigError(f"{self._name} did not start: {answer.get('message')}")
        except BaseException:
            await self._abandon(task)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None and not task.done():
            answer = await self._ask(task, "lifespan.shutdown")
            await task
            if answer is not None and answer["type"] == "lifespan.shutdown.failed":
                raise OxiditeError(f"{self._name} did not stop: {answer.get('message')}")
        self.state.clear()

    @property
    def _name(self) -> str:
        return f"The mounted application {getattr(self.app, '__name__', type(self.app).__name__)}"

    async def _abandon(self, task: asyncio.Task[None]) -> None:
        """End an application that did not start; what it raises now says nothing new."""
        self._task = None
        task.cancel()
        await asyncio.wait((task,))
        if not task.cancelled():
            task.exception()
        self.state.clear()

    async def _run(self) -> None:
        scope: MutableMapping[str, Any] = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        await self.app(scope, self._to_app.get, self._from_app.put)

    async def _ask(
        self, task: asyncio.Task[None], question: str
    ) -> MutableMapping[str, Any] | None:
        """Send a message; return the answer, or ``None`` if the application ended without one."""
        await self._to_app.put({"type": question})
        answer = asyncio.get_running_loop().create_task(self._from_app.get())
        await asyncio.wait((answer, task), return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        task.exception()  # looked at, so that nobody complains: it does not know the protocol
        return None
