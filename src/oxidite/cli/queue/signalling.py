"""``oxidite queue signal``."""

from __future__ import annotations

import click

from oxidite.cli.commands import Command
from oxidite.cli.console import harmless, say, write
from oxidite.cli.options import json_option
from oxidite.cli.queue.filters import jobs
from oxidite.cli.queue.project import queue_options, with_queue
from oxidite.encoding import DecodeError, codec_for, json_text
from oxidite.queue import Queue

__all__ = ["signal"]


@click.command(cls=Command)
@click.argument("name")
@click.option("--key", default="", help="Which of the events of that name, such as an order.")
@click.option("--value", metavar="JSON", default="true", help="What the jobs are given.  [true]")
@click.option(
    "--keep",
    type=click.FloatRange(0),
    default=7 * 86_400.0,
    help="Seconds that it is kept for jobs that wait later.  [a week]",
)
@queue_options
@json_option
def signal(
    name: str,
    key: str,
    value: str,
    keep: float,
    app: str | None,
    which: str | None,
    as_json: bool,
) -> None:
    """Tell that something has happened, and wake the jobs that wait for it.

    Those that wait for it later are given it, too, as long as it is kept.

    Examples:
      oxidite queue signal approved --key 8
      oxidite queue signal paid --key 8 --value '{"cents": 990}'
    """
    try:
        decoded = codec_for(object).decode_json(value.encode("utf-8", "surrogateescape"))
    except DecodeError as exc:
        raise click.UsageError(
            f"--value is no JSON: {exc.message} A text has quotes: '\"…\"'."
        ) from exc

    async def work(queue: Queue) -> int:
        return await queue.signal(name, key=key, value=decoded, keep=keep)

    woken = with_queue(app, which, work)
    if as_json:
        write(json_text({"woken": woken}))
    else:
        said = f"{harmless(name)}, key {harmless(key)}" if key else harmless(name)
        say(f"Signalled: {said}. {jobs(woken)} waited for it.")
