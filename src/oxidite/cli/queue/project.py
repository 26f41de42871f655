"""What the commands of ``oxidite queue`` work with: the application's queue, open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

from oxidite.app import Oxidite
from oxidite.cli.options import app_anyhow, app_option, load_app
from oxidite.errors import ConfigError
from oxidite.lifespan import Lifespan
from oxidite.queue import Queue, Worker

__all__ = ["queue_argument", "queue_options", "with_queue"]

C = TypeVar("C", bound=Callable[..., object])
T = TypeVar("T")


def queue_options(command: C) -> C:
    """Give a command that takes other arguments the options --app and --which."""
    return app_option(_which(command))


def queue_argument(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command the argument APP, which --app says as well, and the option --which."""
    return app_anyhow(_which(command))


_which = click.option(
    "--which", metavar="CLASS", help="Which queue resource, by its class.  [the only one]"
)


def with_queue(app: str | None, which: str | None, work: Callable[[Queue], Awaitable[T]]) -> T:
    """Open the queue of the application, and what stands before it, and do some work with it.

    Raises:
        ConfigError: the application has no such queue, or one that no command can see into.
    """
    found = load_app(app)
    if not isinstance(found, Oxidite):
        raise ConfigError(
            f"This is a {type(found).__name__}: only an Oxidite application has queues."
        )
    resources = found.lifespan.resources
    queue = _chosen([each for each in resources if isinstance(each, Queue)], which)
    # The database of the queue is among them; a worker must not begin because somebody looks.
    before = resources[: resources.index(queue)]
    lifespan = Lifespan([*(each for each in before if not isinstance(each, Worker)), queue])

    async def inside() -> T:
        async with lifespan:
            if not queue.store.is_shared:
                raise ConfigError(
                    "The queue keeps its jobs in the memory of the process that pushes them, where no command "
                    "sees them. Give it a store that is shared: Queue.from_url('db')."
                )
            return await work(queue)

    return asyncio.run(inside())


def _chosen(found: Sequence[Queue], which: str | None) -> Queue:
    fit = [each for each in found if which is None or type(each).__name__ == which]
    if len(fit) == 1:
        return fit[0]
    if not found:
        raise ConfigError("The application has no queue: Oxidite(resources=[Queue.from_url(…)]).")
    names = ", ".join(type(each).__name__ for each in found)
    if fit:
        raise ConfigError(f"The application has several queues: --which with one of {names}.")
    raise ConfigError(f"The application has no queue of the class {which}. It has: {names}.")
