"""Cron expressions: five fields, or six with the seconds first, in a time zone.

======== ======================= ====================================================
field    values                  also
======== ======================= ====================================================
seconds  0-59                    only with six fields
minutes  0-59                    ``*``, lists ``1,2``, ranges ``1-5``, steps ``*/15``
hours    0-23
day      1-31                    ``L``: the last day of the month
month    1-12                    ``jan`` to ``dec``
weekday  0-7, both ends Sunday   ``sun`` to ``sat``; ``fri#2``: the second of the month
======== ======================= ====================================================

As in every cron, a day fits that fits the day or the weekday, if both are restricted. ``@hourly``,
``@daily``, ``@weekly``, ``@monthly`` and ``@yearly`` are known.

**Daylight saving.** An hour that is restricted is meant on the clock on the wall: what falls into the hour
that is left out runs when that hour would have begun, and what falls into the hour that comes twice runs
the first time. Where every hour fits, time goes on: no minute is left out, and none comes twice by itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from oxidite.errors import ConfigError

__all__ = ["Cron"]

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_YEARS = 9  # within which every date that there is comes at least once, the 29th of February too
_PART = re.compile(r"(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]+))?")


@dataclass(frozen=True)
class _Field:
    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()
    base: int = 0

    def read(self, text: str) -> frozenset[int]:
        values: set[int] = set()
        for part in text.split(","):
            values |= self._part(part)
        return frozenset(values)

    def _part(self, part: str) -> set[int]:
        found = _PART.fullmatch(part)
        if found is None:
            raise self.refuse(part, "cannot be read")
        every, low, high, step = found.groups()
        first = self.first if every else self.number(low)
        last = first if high is None else self.number(high)
        if every or (high is None and step is not None):
            last = self.last
        if last < first:
            raise self.refuse(part, "ends before it begins")
        if step is not None and not 0 < int(step) <= self.last - self.first + 1:
            raise self.refuse(
                part, f"has a step that is not from 1 to {self.last - self.first + 1}"
            )
        return set(range(first, last + 1, int(step or 1)))

    def number(self, text: str) -> int:
        if text in self.names:
            return self.names.index(text) + self.base
        value = int(text) if text.isdigit() and len(text) < 4 else -1
        if not self.first <= value <= self.last:
            raise self.refuse(text, f"is not from {self.first} to {self.last}")
        return value

    def refuse(self, part: str, problem: str) -> ConfigError:
        return ConfigError(f"The {self.name} {part!r} of a cron expression {problem}.")


_SECONDS = _Field("seconds", 0, 59)
_FIELDS = (
    _Field("minutes", 0, 59),
    _Field("hours", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS, 1),
    _Field("weekday", 0, 7, _WEEKDAYS),
)


class Cron:
    """A cron expression in a time zone.

    ``zone`` is a name of the IANA database, such as ``Europe/Berlin``.

    Raises:
        ConfigError: a field cannot be read, the zone is not known, or no date ever fits.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self.expression: str = " ".join(expression.split())
        self.zone: str = zone
        self._zone = _zone(zone)
        text = _ALIASES.get(self.expression.lower(), self.expression).lower()
        parts = text.split()
        if len(parts) not in (5, 6):
            known = ", ".join(_ALIASES)
            raise ConfigError(
                f"A cron expression has five fields, or six with seconds, and {expression!r} has "
                f"{len(parts)}. It may also be one of {known}."
            )
        seconds = parts.pop(0) if len(parts) == 6 else "0"
        minutes, hours, day, month, weekday = _FIELDS
        self._seconds = sorted(_SECONDS.read(seconds))
        self._minutes = sorted(minutes.read(parts[0]))
        self._hours = sorted(hours.read(parts[1]))
        self._days = _Days(day, parts[2], weekday, parts[4])
        self._months = month.read(parts[3])
        self._is_hourly = len(self._hours) == 24
        self._changing: tuple[date, list[datetime]] | None = None
        if not any(self._fits(_FIRST + timedelta(days=number)) for number in range(_YEARS * 366)):
            raise ConfigError(f"No date ever fits the cron expression {self.expression!r}.")

    def __repr__(self) -> str:
        return f"Cron({self.expression!r}, {self.zone!r})"

    def next(self, after: datetime) -> datetime:
        """Return the first moment after ``after``, which is aware, in the zone of the expression."""
        return next(self.times(after))

    def times(self, after: datetime) -> Iterator[datetime]:
        """Yield every moment after ``after``, in the zone of the expression, for ever."""
        if after.tzinfo is None:
            raise ConfigError(f"{after} has no time zone, so it is not known when that is.")
        day = after.astimezone(self._zone).date() - timedelta(days=1)
        after = after.astimezone(UTC)
        while True:
            if self._fits(day):
                for moment in self._of(day, after):
                    yield moment.astimezone(self._zone)
            day += timedelta(days=1)

    def _fits(self, day: date) -> bool:
        return day.month in self._months and self._days.fit(day)

    def _of(self, day: date, after: datetime) -> Iterator[datetime]:
        """Yield the moments of a day after ``after``, in UTC and in the order of time."""
        begin = datetime.combine(day, time(), self._zone)
        end = datetime.combine(day + timedelta(days=1), time(fold=1), self._zone)
        if begin.utcoffset() == end.utcoffset():
            yield from self._even(begin.astimezone(UTC), after)
            return
        # On the days of a change the order of time is not that of the wall. They have up to 86,400 moments, and
        # are asked for at each look at a schedule.
        if self._changing is None or self._changing[0] != day:
            self._changing = day, sorted(self._moments(day))
        moments = self._changing[1]
        yield from islice(moments, bisect_right(moments, after), None)

    def _even(self, begin: datetime, after: datetime) -> Iterator[datetime]:
        """Yield the moments of a day without a change: what is over is passed over by the hour and by the minute."""
        gone = (after - begin).total_seconds()
        for hour in self._hours:
            if gone >= (hour + 1) * 3600:
                continue
            for minute in self._minutes:
                since = hour * 3600 + minute * 60
                if gone >= since + 60:
                    continue
                for second in self._seconds:
                    if gone < since + second:
                        yield begin + timedelta(seconds=since + second)

    def _moments(self, day: date) -> set[datetime]:
        return {moment for hour in self._hours for moment in self._within(day, hour)}

    def _within(self, day: date, hour: int) -> Iterator[datetime]:
        for minute in self._minutes:
            for second in self._seconds:
                wall = datetime.combine(day, time(hour, minute, second), self._zone)
                yield from self._real(wall)

    def _real(self, wall: datetime) -> Iterator[datetime]:
        """Yield the moments, in UTC, at which a clock on the wall shows this."""
        first = wall.astimezone(UTC)
        second = wall.replace(fold=1).astimezone(UTC)
        if first == second:
            yield first
        elif first.astimezone(self._zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
            # It comes twice.
            yield first
            if self._is_hourly:
                yield second
        elif not self._is_hourly:
            # It is left out, and what comes then is the first moment after it.
            yield _change(second, first, self._zone)


class _Days:
    """Which days fit: by their number, by their weekday, or by either."""

    def __init__(self, day: _Field, days: str, weekday: _Field, weekdays: str) -> None:
        self._is_last = False
        self._days = self._read_days(day, days)
        self._nth: set[tuple[int, int]] = set()
        self._weekdays = self._read_weekdays(weekday, weekdays)
        # As Vixie's cron has it: a field that begins with a star restricts nothing by itself.
        self._either = not days.startswith("*") and not weekdays.startswith("*")

    def fit(self, day: date) -> bool:
        """Tell whether a day fits."""
        by_number = day.day in self._days or (self._is_last and day.day == _length(day))
        weekday = day.isoweekday() % 7
        by_weekday = weekday in self._weekdays or (weekday, (day.day + 6) // 7) in self._nth
        return by_number or by_weekday if self._either else by_number and by_weekday

    def _read_days(self, field: _Field, text: str) -> frozenset[int]:
        parts = text.split(",")
        self._is_last = "l" in parts
        rest = [part for part in parts if part != "l"]
        return field.read(",".join(rest)) if rest else frozenset()

    def _read_weekdays(self, field: _Field, text: str) -> frozenset[int]:
        rest: list[str] = []
        for part in text.split(","):
            name, sign, nth = part.partition("#")
            if not sign:
                rest.append(part)
                continue
            if nth not in {"1", "2", "3", "4", "5"}:
                raise field.refuse(part, "names one of the first five of a month, as fri#2 does")
            self._nth.add((field.number(name) % 7, int(nth)))
        return frozenset(each % 7 for each in field.read(",".join(rest))) if rest else frozenset()


_FIRST = date(2023, 1, 1)


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"The time zone {name!r} is not known. It is a name such as Europe/Berlin; where the system "
            "has no list of them, install the package tzdata."
        ) from None


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment between two at which the clocks of a zone change."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle <= before:
            break
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
