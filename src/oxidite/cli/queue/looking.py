"""``oxidite queue list`` and ``show``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, harmless, say, table, write
from oxidite.cli.moments import ago, moment
from oxidite.cli.options import json_option
from oxidite.cli.queue.described import brief, described, error_of
from oxidite.cli.queue.filters import JOB_ID, filter_of, filter_options, first, state_option
from oxidite.cli.queue.project import queue_argument, queue_options, with_queue
from oxidite.encoding import encode_json, json_text
from oxidite.queue import JobState, Queue, StoredJob

__all__ = ["list_", "short", "show"]

_ERROR = 60  # characters of an error in a table


@click.command("list", cls=Command)
@queue_argument
@filter_options
@state_option
@click.option("--limit", type=click.IntRange(1), default=50, help="How many at most.  [50]")
@json_option
def list_(
    app: str | None,
    which: str | None,
    name: str | None,
    task: str | None,
    states: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> None:
    """List jobs, the newest first.

    Examples:
      oxidite queue list
      oxidite queue list --state waiting --state running --queue mail
      oxidite queue list --task send_welcome --json | jq '.[].id'
    """

    async def work(queue: Queue) -> tuple[list[StoredJob], float]:
        filter = await filter_of(queue, name=name, task=task, states=states)
        return await first(queue, filter, limit + 1), await queue.store.now()

    jobs, now = with_queue(app, which, work)
    if as_json:
        write(json_text([brief(job) for job in jobs[:limit]]))
        return
    if not jobs:
        say("There are no such jobs." if name or task or states else "There are no jobs.")
        return
    table(
        ("ID", "STATE", "TASK", "QUEUE", "WHEN", "ATTEMPT", "ERROR"),
        [
            (
                str(job.id),
                job.state.value,
                harmless(job.task),
                harmless(job.queue),
                ago(_when(job), now),
                str(job.attempt or ""),
                short(error_of(job) or ""),
            )
            for job in jobs[:limit]
        ],
    )
    if len(jobs) > limit:
        say(f"There are more: --limit {limit * 10}")


def short(text: str) -> str:
    """Return an error in one line of a table."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= _ERROR else f"{line[: _ERROR - 1]}…"


def _when(job: StoredJob) -> float:
    """Return the time that matters: when it ended, began, or is due."""
    if job.ended_at is not None:
        return job.ended_at
    if job.state is JobState.RUNNING and job.started_at is not None:
        return job.started_at
    return job.due_at


@click.command(cls=Command)
@click.argument("id", type=JOB_ID)
@queue_options
@json_option
def show(id: UUID, app: str | None, which: str | None, as_json: bool) -> None:
    """Show all that is known of a job: its arguments, its errors with their tracebacks, its progress and steps.

    With it is the event that it waits for: see `oxidite queue signal`.
    What looks like a secret is masked. What is encrypted is read with the secret of the application's queue.

    Examples:
      oxidite queue show 019ac0de-7b1e-7000-8000-000000000001
      oxidite queue show 019ac0de-7b1e-7000-8000-000000000001 --json
    """

    async def work(queue: Queue) -> dict[str, object]:
        return described(queue, await queue.get(id))

    job = with_queue(app, which, work)
    if as_json:
        write(json_text(job))
    else:
        _write(job)


def _write(job: Mapping[str, Any]) -> None:
    write(f"{bold(harmless(job['task']))} {job['id']}")
    width = max(map(len, _FIELDS))
    for name in _FIELDS:
        value = job[name]
        if value is None or value is False:
            continue
        if name.endswith("_at"):
            value = moment(datetime.fromisoformat(value))
        write(f"  {name.replace('_', ' '):<{width}}  {harmless(str(value))}")
    if job["progress"] is not None:
        done, note = job["progress"]
        write(f"  {'progress':<{width}}  {done:.0%} {harmless(note)}".rstrip())
    if job["waits_for"] is not None:
        write(f"  {'waits for':<{width}}  {harmless(_event(job['waits_for']))}")
    if job["steps"]:
        steps = ", ".join(map(harmless, job["steps"]))
        write(f"  {'steps':<{width}}  {steps}")
    if job["encrypted"] and job["arguments"] is None:
        write(f"{bold('arguments')} {dim('encrypted with a secret that the queue does not have')}")
    else:
        _write_values("arguments", job["arguments"])
    if job["result"] is not None:
        write(bold("result"))
        write(f"  {_json(job['result'])}")
    _write_errors(job["errors"])


_FIELDS = (
    *("state", "queue", "priority", "attempt", "failures", "crashes", "pushed_at", "due_at"),
    *("started_at", "ended_at", "worker", "group", "batch", "version", "timeout", "cancel_asked"),
)


def _event(awaited: Mapping[str, Any]) -> str:
    """Return what a job waits for in words."""
    name, key = awaited["name"], awaited["key"]
    if name is None:
        return "an event, encrypted with a secret that the queue does not have"
    return f"{name}, key {key}" if key else name


def _write_values(title: str, values: object) -> None:
    write(bold(title) if values else f"{bold(title)} {dim('none')}")
    if not isinstance(values, dict):
        write(f"  {_json(values)}")
        return
    for name, value in values.items():
        write(f"  {harmless(str(name))} = {_json(value)}")


def _write_errors(errors: Iterable[Mapping[str, Any]]) -> None:
    for each in errors:
        write(f"{bold('attempt')} {each['attempt']} {dim(each['at'])} {dim(each['fingerprint'])}")
        told = each["trace"] or f"{each['kind']}: {each['message']}"
        for line in harmless(told.rstrip()).splitlines():
            write(f"  {line}")


def _json(value: object) -> str:
    return harmless(encode_json(value).decode())
