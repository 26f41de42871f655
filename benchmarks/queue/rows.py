"""What is compared: each peer on each store it has, set as its manual recommends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PEERS", "ROWS", "STORES", "Row"]

STORES = {
    "redis": "Redis, appendonly yes, appendfsync everysec",
    "postgresql": "PostgreSQL, fsync on, synchronous_commit on",
    "sqlite": "SQLite, WAL, synchronous NORMAL",
    "sqlite-full": "SQLite, WAL, synchronous FULL: an fsync for each commit",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A peer on a store. ``is_durable``: it is set to survive ``kill -9``, by its manual, and that decides;
    the probe tries it, and what it found is told."""

    peer: str
    store: str
    is_durable: bool
    settings: str
    manual: str
    variant: str = ""

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.peer} {self.variant}".strip()

    @property
    def key(self) -> str:
        """What it is chosen by."""
        return "-".join(part for part in (self.peer, self.variant, self.store) if part)


_OURS = "the lease of a worker, 30 s; one process, and the one that supervises it"
_OURS_MANUAL = "docs/guides/jobs.md, Workers"
_SAQ = "`retries=3`, so that a sweep gives a job again once its timeout is over"
_SAQ_MANUAL = "`Job.retries`, `Worker(timers={'sweep': …})`"
ROWS = (
    Row("oxidite", "redis", True, _OURS, _OURS_MANUAL),
    Row("saq", "redis", True, _SAQ, _SAQ_MANUAL),
    Row(
        "arq",
        "redis",
        True,
        "as it is: a job stays in Redis until it has ended",
        "Usage, Pessimistic execution",
    ),
    Row(
        "taskiq",
        "redis",
        True,
        "`RedisStreamBroker`, `consumer_id='0'`, `unacknowledged_lock_timeout`",
        "taskiq-redis, README, Brokers",
        variant="stream",
    ),
    Row(
        "celery",
        "redis",
        True,
        "`task_acks_late`, `task_reject_on_worker_lost`, `visibility_timeout`; prefork, at 100 gevent",
        "Using Redis, Visibility timeout",
        variant="late",
    ),
    Row(
        "dramatiq",
        "redis",
        True,
        "as it is; one process, threads",
        "`RedisBroker(heartbeat_timeout=…)`",
    ),
    Row("oxidite", "postgresql", True, _OURS, _OURS_MANUAL),
    Row("saq", "postgresql", True, _SAQ, _SAQ_MANUAL),
    Row(
        "procrastinate",
        "postgresql",
        True,
        "a periodic task that retries stalled jobs",
        "How-to, Retry stalled jobs",
    ),
    Row("oxidite", "sqlite", True, _OURS, _OURS_MANUAL),
    Row("oxidite", "sqlite-full", True, _OURS, _OURS_MANUAL),
    Row(
        "taskiq",
        "redis",
        False,
        "`ListQueueBroker`: what was taken is gone",
        "taskiq-redis, README, Brokers",
        variant="list",
    ),
    Row(
        "celery",
        "redis",
        False,
        "as it is: acknowledged before it begins; prefork, at 100 gevent",
        "`task_acks_late`",
    ),
)
PEERS = tuple(dict.fromkeys(row.peer for row in ROWS))

Command = Callable[[Path, int], Sequence[str]]


def _celery(bin: Path, places: int) -> Sequence[str]:
    # Its manual has processes for what computes, and greenlets for what waits; a hundred of the former
    # would not fit the machine.
    pool = "gevent" if places > 10 else "prefork"
    options = ("--pool", pool, "--concurrency", str(places), "--loglevel", "WARNING")
    return (str(bin / "celery"), "-A", "peer", "worker", *options)


WORKERS: dict[str, Command] = {
    "oxidite": lambda bin, places: (
        *(str(bin / "oxidite"), "queue", "work", "peer:app", "--concurrency", str(places)),
    ),
    "saq": lambda bin, _: (str(bin / "saq"), "peer.settings"),
    "arq": lambda bin, _: (
        *(str(bin / "arq"), "peer.WorkerSettings", "--custom-log-dict", "peer.LOGGING"),
    ),
    "taskiq": lambda bin, places: (
        *(str(bin / "taskiq"), "worker", "peer:broker", "--workers", "1"),
        *("--max-async-tasks", str(places), "--log-level", "WARNING"),
    ),
    "celery": _celery,
    "dramatiq": lambda bin, places: (
        *(str(bin / "dramatiq"), "peer", "--processes", "1", "--threads", str(places)),
    ),
    "procrastinate": lambda bin, places: (
        *(str(bin / "procrastinate"), "--app", "peer.app", "--log-level", "warning"),
        *("worker", "--concurrency", str(places)),
    ),
}
"""How a worker of each is started, by the folder of its programs and how many jobs run at once."""
HASTY: dict[str, Sequence[str]] = {"oxidite": ("--lease", "4")}
"""What is added so that the probe need not wait for long."""
