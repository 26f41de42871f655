"""The commands ``oxidite queue`` and ``oxidite cron``, and what is below them."""

from __future__ import annotations

import click

from oxidite.cli.commands import Lazy, LazyGroup

__all__ = ["cron", "queue"]

_HOME = "oxidite.cli.queue"

QUEUE = {
    "work": Lazy(f"{_HOME}.work:work", "Run jobs."),
    "list": Lazy(f"{_HOME}.looking:list_", "List jobs, the newest first."),
    "show": Lazy(f"{_HOME}.looking:show", "Show all that is known of a job."),
    "stats": Lazy(f"{_HOME}.statistics:stats", "Show queues, tasks and workers."),
    "health": Lazy(f"{_HOME}.health:health", "Tell whether jobs wait too long, or fail too often."),
    "dlq": Lazy(f"{_HOME}.letters:dlq", "Show dead letters, by what they died of."),
    "retry": Lazy(f"{_HOME}.changing:retry", "Let dead letters run again."),
    "edit": Lazy(f"{_HOME}.changing:edit", "Let a job run again with other arguments."),
    "signal": Lazy(f"{_HOME}.signalling:signal", "Wake the jobs that wait for an event."),
    "cancel": Lazy(f"{_HOME}.changing:cancel", "Cancel jobs that wait or run."),
    "clear": Lazy(f"{_HOME}.changing:clear", "Forget jobs."),
    "pause": Lazy(f"{_HOME}.pausing:pause", "Let no job of a queue begin."),
    "resume": Lazy(f"{_HOME}.pausing:resume", "Let jobs of a queue begin again."),
    "drain": Lazy(f"{_HOME}.pausing:drain", "Pause a queue, and wait until none of it runs."),
}

CRON = {
    "list": Lazy(f"{_HOME}.cron:list_", "List the schedules, and when each comes next."),
    "next": Lazy(f"{_HOME}.cron:next_", "Show the next slots."),
    "run": Lazy(f"{_HOME}.cron:run", "Push the job of a schedule now."),
    "enable": Lazy(f"{_HOME}.cron:enable", "Let a schedule fire again."),
    "disable": Lazy(f"{_HOME}.cron:disable", "Let a schedule rest."),
}


@click.group(cls=LazyGroup, lazy=QUEUE)
def queue() -> None:
    """Run the jobs of the application, look at them, and change what is to become of them.

    Examples:
      oxidite queue work                       run what is in the queue "default"
      oxidite queue stats                      how much waits, how fast it goes
      oxidite queue list --state running       what runs just now
      oxidite queue dlq                        what has failed, grouped by error
      oxidite queue retry --task send_welcome  run its dead letters again
    """


@click.group(cls=LazyGroup, lazy=CRON)
def cron() -> None:
    """Look at the schedules of the application, run one now, or let one rest.

    They are declared by the program, as queue.cron("0 3 * * *", nightly.job()), or added at run time.

    Examples:
      oxidite cron list          what there is, and when it comes next
      oxidite cron run nightly   not at three, but now
    """
