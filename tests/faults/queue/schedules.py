"""What the hosts of ``test_schedule_faults`` declare, and which slots that makes, said in another way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.faults.queue import worker_app as app

from oxidite.queue import Queue

__all__ = ["ZONE", "changes_after", "declare", "slots"]

ZONE = ZoneInfo("Europe/Berlin")
_NIGHT = (2, 30)  # in the hour that is left out in spring and comes twice in autumn


def declare(queue: Queue, prefix: str) -> None:
    """Declare three schedules: every ten minutes, every hour, and each night at half past two."""
    settings = {"zone": ZONE.key, "missed": "all"}
    for number, (name, expression) in enumerate(
        {"often": "*/10 * * * *", "hourly": "0 * * * *", "nightly": "30 2 * * *"}.items()
    ):
        queue.cron(expression, app.quick.job(number), name=f"{prefix}-{name}", **settings)  # type: ignore[arg-type]


def slots(begin: datetime, end: datetime) -> dict[int, list[float]]:
    """Return when each of them fires after ``begin`` and until ``end``, minute by minute.

    What is said by the hour goes on in real time; what is said by the day happens once each day, and where
    its time is left out, when it would have been.
    """
    found: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for moment in _minutes(begin, end):
        wall = moment.astimezone(ZONE)
        if wall.minute % 10 == 0:
            found[0].append(moment.timestamp())
        if wall.minute == 0:
            found[1].append(moment.timestamp())
    day = begin.astimezone(ZONE).date()
    while day <= end.astimezone(ZONE).date():
        # Of a time that comes twice this is the first.
        night = datetime(day.year, day.month, day.day, *_NIGHT, tzinfo=ZONE).astimezone(UTC)
        if night.astimezone(ZONE).hour != _NIGHT[0]:
            night = night.replace(minute=0)  # its hour is left out: when that would have begun
        if begin < night <= end:
            found[2].append(night.timestamp())
        day += timedelta(days=1)
    return found


def _minutes(begin: datetime, end: datetime) -> Iterator[datetime]:
    moment = begin.replace(second=0, microsecond=0) + timedelta(minutes=1)
    while moment <= end:
        yield moment
        moment += timedelta(minutes=1)


def changes_after(now: datetime) -> list[datetime]:
    """Return the midnights, in UTC, before the next two changes of the clocks."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[datetime] = []
    while len(found) < 2:
        after = day + timedelta(days=1)
        if day.astimezone(ZONE).utcoffset() != after.astimezone(ZONE).utcoffset():
            found.append(day)
        day = after
    return found
