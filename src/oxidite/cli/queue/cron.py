"""``oxidite cron list``, ``next``, ``run``, ``enable`` and ``disable``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, table, write
from oxidite.cli.moments import moment
from oxidite.cli.options import json_option
from oxidite.cli.queue.project import queue_argument, queue_options, with_queue
from oxidite.encoding import json_text
from oxidite.queue import Planned, Queue

__all__ = ["disable", "enable", "list_", "next_", "run"]


@click.command("list", cls=Command)
@queue_argument
@json_option
def list_(app: str | None, which: str | None, as_json: bool) -> None:
    """List the schedules, with the slot that was fired last and the one that comes next.

    Examples:
      oxidite cron list
      oxidite cron list --json | jq '.[] | select(.enabled | not).name'
    """
    found = with_queue(app, which, lambda queue: queue.schedules.all())
    if as_json:
        write(json_text(found))
    elif not found:
        say('There are no schedules. One: queue.cron("0 3 * * *", nightly.job())')
    else:
        table(
            ("NAME", "WHEN", "ZONE", "TASK", "LAST", "NEXT", "FROM"),
            [
                (
                    harmless(each.name),
                    each.expression,
                    each.zone,
                    harmless(each.task),
                    _local(each.last, each.zone),
                    _local(each.next, each.zone) if each.enabled else "(disabled)",
                    "program" if each.origin == "code" else "run time",
                )
                for each in found
            ],
        )


@click.command("next", cls=Command)
@click.argument("name", required=False)
@queue_options
@click.option("--count", type=click.IntRange(1, 1000), default=10, help="How many.  [10]")
@json_option
def next_(name: str | None, app: str | None, which: str | None, count: int, as_json: bool) -> None:
    """Show the next slots, of one schedule or of all that are enabled.

    Examples:
      oxidite cron next
      oxidite cron next nightly --count 3
    """

    async def work(queue: Queue) -> list[tuple[datetime, Planned]]:
        slots = [
            (slot, each)
            for each in await queue.schedules.all()
            if (each.enabled if name is None else each.name == name)
            for slot in await queue.schedules.upcoming(each.name, count)
        ]
        if name is not None and not slots:
            await queue.schedules.upcoming(name)  # which says what there is instead
        return sorted(slots, key=lambda each: each[0])[:count]

    slots = with_queue(app, which, work)
    if as_json:
        write(json_text([{"at": slot, "name": each.name} for slot, each in slots]))
    elif not slots:
        say("No schedule is enabled.")
    else:
        _write_slots(slots)


def _write_slots(slots: Sequence[tuple[datetime, Planned]]) -> None:
    table(
        ("AT", "UTC", "NAME", "TASK"),
        [
            (
                _local(slot, each.zone),
                f"{slot.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
                harmless(each.name),
                harmless(each.task),
            )
            for slot, each in slots
        ],
    )


def _local(slot: datetime | None, zone: str) -> str:
    return moment(None if slot is None else slot.astimezone(ZoneInfo(zone)))


@click.command("run", cls=Command)
@click.argument("name")
@queue_options
@json_option
def run(name: str, app: str | None, which: str | None, as_json: bool) -> None:
    """Push the job of a schedule now, beside its slots, and write its id.

    Examples:
      oxidite queue show $(oxidite cron run nightly)
    """
    id = with_queue(app, which, lambda queue: queue.schedules.run(name))
    write(json_text({"id": id}) if as_json else str(id))


@click.command("enable", cls=Command)
@click.argument("name")
@queue_options
def enable(name: str, app: str | None, which: str | None) -> None:
    """Let a schedule fire again, from now on.

    Examples:
      oxidite cron enable nightly
    """
    with_queue(app, which, lambda queue: queue.schedules.enable(name))
    say(f"{harmless(name)} is enabled.")


@click.command("disable", cls=Command)
@click.argument("name")
@queue_options
def disable(name: str, app: str | None, which: str | None) -> None:
    """Let a schedule rest until it is enabled; what it misses is not made up for.

    Examples:
      oxidite cron disable nightly
    """
    with_queue(app, which, lambda queue: queue.schedules.enable(name, enabled=False))
    say(f"{harmless(name)} is disabled.")
