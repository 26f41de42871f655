"""Dates as header fields write them (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

__all__ = ["format_date", "parse_date"]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_NAMES = "|".join(_MONTHS)
_FIXDATE = rf"[A-Z][a-z]{{2}}, (?P<d>\d\d) (?P<b>{_NAMES}) (?P<Y>\d{{4}}) (?P<t>\d\d:\d\d:\d\d) GMT"
_RFC850 = rf"[A-Z][a-z]{{5,8}}, (?P<d>\d\d)-(?P<b>{_NAMES})-(?P<y>\d\d) (?P<t>\d\d:\d\d:\d\d) GMT"
_ASCTIME = rf"[A-Z][a-z]{{2}} (?P<b>{_NAMES}) (?P<d>[ \d]\d) (?P<t>\d\d:\d\d:\d\d) (?P<Y>\d{{4}})"
_FORMS = tuple(re.compile(form, re.ASCII) for form in (_FIXDATE, _RFC850, _ASCTIME))


def format_date(moment: datetime) -> str:
    """Write an aware datetime.

    Raises:
        ValueError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("the date has no time zone: use datetime(..., tzinfo=UTC)")
    utc = moment.astimezone(UTC)
    # strftime would write the names of days and months in the language of the process.
    day, month = _DAYS[utc.weekday()], _MONTHS[utc.month - 1]
    return f"{day}, {utc.day:02d} {month} {utc.year:04d} {utc:%H:%M:%S} GMT"


@lru_cache(maxsize=256)
def format_timestamp(seconds: int) -> str:
    """Write seconds since 1970."""
    return format_date(datetime.fromtimestamp(seconds, UTC))


def parse_date(text: str) -> int | None:
    """Return the seconds since 1970 of a date in one of the three forms there are, else ``None``.

    A year of two digits is the one that is less than 50 years ahead of 2000.
    """
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            return _seconds(match.groupdict())
    return None


def _seconds(parts: dict[str, str]) -> int | None:
    year = int(parts["Y"]) if "Y" in parts else 2000 + int(parts["y"])
    if "y" in parts and year >= 2050:
        year -= 100
    hour, minute, second = map(int, parts["t"].split(":"))
    try:
        # A leap second is told as 60, and no clock of ours has one.
        moment = datetime(
            year,
            _MONTHS.index(parts["b"]) + 1,
            int(parts["d"]),
            hour,
            minute,
            min(second, 59),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(moment.timestamp())
