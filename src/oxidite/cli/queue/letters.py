"""``oxidite queue dlq``."""

from __future__ import annotations

from uuid import UUID

import click
from msgspec import Struct

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, table, write
from oxidite.cli.moments import ago, iso
from oxidite.cli.options import json_option
from oxidite.cli.queue.described import error_of
from oxidite.cli.queue.filters import DEAD, filter_of, filter_options, jobs
from oxidite.cli.queue.looking import short
from oxidite.cli.queue.project import queue_argument, with_queue
from oxidite.encoding import json_text
from oxidite.queue import Queue, StoredJob, last_failure

__all__ = ["dlq"]


class _Group(Struct):
    """Dead letters of one task with one error, and the newest of them."""

    fingerprint: str
    task: str
    count: int = 0
    error: str = ""
    last: float = 0.0
    id: UUID | None = None

    def add(self, job: StoredJob) -> None:
        """Add a job; the error shown is that of the one that died last."""
        self.count += 1
        ended = job.ended_at or job.due_at
        if ended > self.last:
            self.last, self.id, self.error = ended, job.id, error_of(job) or ""


@click.command(cls=Command)
@queue_argument
@filter_options
@click.option("--limit", type=click.IntRange(1), default=50, help="How many groups.  [50]")
@json_option
def dlq(
    app: str | None,
    which: str | None,
    name: str | None,
    task: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the dead letters: jobs that failed for good, grouped by task and error, the most first.

    Errors of one kind at one place have one fingerprint, by which they are retried or cleared.

    Examples:
      oxidite queue dlq
      oxidite queue show ID                  arguments and traceback of one
      oxidite queue retry --fingerprint F    run all of a group again
      oxidite queue clear --fingerprint F    forget all of a group
    """

    async def work(queue: Queue) -> tuple[list[_Group], float]:
        filter = await filter_of(queue, name=name, task=task, states=DEAD)
        groups: dict[tuple[str, str], _Group] = {}
        async for job in queue.find(filter):
            mark = last_failure(job).fingerprint
            group = groups.setdefault((job.task, mark), _Group(mark, job.task))
            group.add(job)
        found = sorted(groups.values(), key=lambda each: (-each.count, -each.last))
        return found, await queue.store.now()

    groups, now = with_queue(app, which, work)
    if as_json:
        write(
            json_text(
                [
                    {
                        "fingerprint": each.fingerprint,
                        "task": each.task,
                        "count": each.count,
                        "error": each.error,
                        "last_at": iso(each.last),
                        "last_id": each.id,
                    }
                    for each in groups[:limit]
                ]
            )
        )
        return
    if not groups:
        say("There are no dead letters.")
        return
    table(
        ("JOBS", "TASK", "ERROR", "LAST", "LAST ID", "FINGERPRINT"),
        [
            (
                str(each.count),
                harmless(each.task),
                short(each.error),
                ago(each.last, now),
                str(each.id),
                each.fingerprint,
            )
            for each in groups[:limit]
        ],
    )
    total = sum(each.count for each in groups)
    say(f"{jobs(total)} in {len(groups)} group{'s' if len(groups) != 1 else ''}.")
