"""Remembers why an application did not start: the lifespan protocol carries only a sentence."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from oxidite.http.response import ASGIApp

__all__ = ["StartupRecorder"]

Message: TypeAlias = MutableMapping[str, Any]  # the formats of ASGI are open dictionaries


class StartupRecorder:
    """An ASGI application around another; ``error`` is what its startup raised, ``message`` what it said."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.error: BaseException | None = None
        self.message = ""

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """ASGI."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return

        async def remember(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                # Applications say it while they handle the exception, which is therefore current.
                self.error = sys.exc_info()[1]
                self.message = str(message.get("message", ""))
            await send(message)

        await self.app(scope, receive, remember)
