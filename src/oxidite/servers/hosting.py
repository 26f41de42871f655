"""Workers of jobs inside the processes that serve."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oxidite.app import Oxidite
from oxidite.config import environment
from oxidite.errors import ConfigError

if TYPE_CHECKING:
    from oxidite.queue import Queue

__all__ = ["WorkerPlan", "check_is_shared", "host_worker", "queues_of"]

_logger = logging.getLogger("oxidite.queue")


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """How a worker inside the processes that serve is to work.

    ``queues`` are names with weights, all there are without. Of ``processes`` one hosts it. Its jobs have
    ``drain`` seconds at the end, which is within what servers leave for closing.
    """

    queues: tuple[tuple[str, int], ...] = ()
    concurrency: int = 10
    processes: int = 1
    drain: float = 3.0


def host_worker(app: object, plan: WorkerPlan) -> bool:
    """Add a worker for each queue of an application; return whether there is any.

    Raises:
        ConfigError: several processes serve, and each would have a queue of its own.
    """
    queues = queues_of(app)
    if not isinstance(app, Oxidite) or not queues:
        return False
    from oxidite.queue import Worker
    from oxidite.queue.hosted import HostedWorker

    if any(isinstance(each, Worker) for each in app.lifespan.resources):
        return True  # it brings its own
    for queue in queues:
        if plan.processes > 1:
            check_is_shared(queue)

        def make(queue: Queue = queue) -> Worker:
            return Worker(
                queue,
                queues=dict(plan.queues) or None,
                concurrency=plan.concurrency,
                drain=plan.drain,
            )

        app.lifespan.add(HostedWorker(queue, make))
    return True


def queues_of(app: object) -> list[Queue]:
    """Return the queues among the resources of an application."""
    # PERF: who has a queue has imported it, and nobody else pays for it; benchmark `start`.
    if not isinstance(app, Oxidite) or "oxidite.queue.queue" not in sys.modules:
        return []
    from oxidite.queue import Queue

    return [each for each in app.lifespan.resources if isinstance(each, Queue)]


def check_is_shared(queue: Queue) -> None:
    """Refuse a queue of one process where several work; in development only warn of it.

    Raises:
        ConfigError: the queue is in memory, and this is not development.
    """
    if queue.store.is_shared:
        return
    message = (
        "The queue is in the memory of one process, and others see nothing of it. Use db, sqlite://, "
        "postgresql:// or redis://, or one process that serves with a worker inside."
    )
    if environment() != "development":
        raise ConfigError(message)
    _logger.warning("%s", message)
