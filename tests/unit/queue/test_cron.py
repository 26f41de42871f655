"""Cron expressions, against a look at every minute."""

from __future__ import annotations

import tracemalloc
from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oxidite.errors import ConfigError
from oxidite.queue.cron import Cron

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def after(expression: str, moment: str, count: int = 3, zone: str = "UTC") -> list[str]:
    times = islice(Cron(expression, zone).times(utc(moment)), count)
    return [each.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") for each in times]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("* * * * *", "2026-03-05 10:31:00"),
        ("*/15 * * * *", "2026-03-05 10:45:00"),
        ("0 3 * * *", "2026-03-06 03:00:00"),
        ("30 10 * * *", "2026-03-06 10:30:00"),
        ("5,35 8-18/2 * * *", "2026-03-05 10:35:00"),
        ("0 0 1 * *", "2026-04-01 00:00:00"),
        ("0 0 L * *", "2026-03-31 00:00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00:00"),
        ("0 9 * * mon-fri", "2026-03-06 09:00:00"),
        ("0 9 * * 7", "2026-03-08 09:00:00"),
        ("0 9 * * 0", "2026-03-08 09:00:00"),
        ("0 9 * * fri#2", "2026-03-13 09:00:00"),
        ("0 0 13 * fri", "2026-03-06 00:00:00"),
        ("0 0 * JAN *", "2027-01-01 00:00:00"),
        ("*/20 * * * * *", "2026-03-05 10:30:20"),
        ("@hourly", "2026-03-05 11:00:00"),
        ("@daily", "2026-03-06 00:00:00"),
        ("@weekly", "2026-03-08 00:00:00"),
        ("@monthly", "2026-04-01 00:00:00"),
        ("@yearly", "2027-01-01 00:00:00"),
    ],
)
def test_what_comes_next(expression: str, first: str) -> None:
    assert after(expression, "2026-03-05 10:30:00", 1) == [first]


def test_a_time_in_the_hour_that_is_left_out_runs_when_it_would_have_begun() -> None:
    # In Berlin the clocks went from 02:00 to 03:00 on 2026-03-29, which was 01:00 in UTC.
    assert after("30 2 * * *", "2026-03-28 12:00", 2, "Europe/Berlin") == [
        "2026-03-29 01:00:00",
        "2026-03-30 00:30:00",
    ]
    assert after("0,30 2 * * *", "2026-03-28 12:00", 2, "Europe/Berlin") == [
        "2026-03-29 01:00:00",
        "2026-03-30 00:00:00",
    ]


def test_a_time_in_the_hour_that_comes_twice_runs_once() -> None:
    # The clocks went from 03:00 to 02:00 on 2026-10-25, which was 01:00 in UTC.
    assert after("30 2 * * *", "2026-10-24 12:00", 2, "Europe/Berlin") == [
        "2026-10-25 00:30:00",
        "2026-10-26 01:30:00",
    ]


def test_where_every_hour_fits_time_goes_on() -> None:
    spring = after("*/30 * * * *", "2026-03-29 00:00", 4, "Europe/Berlin")
    assert spring == [f"2026-03-29 {each}:00" for each in ("00:30", "01:00", "01:30", "02:00")]
    autumn = after("*/30 * * * *", "2026-10-25 00:00", 4, "Europe/Berlin")
    assert autumn == [f"2026-10-25 {each}:00" for each in ("00:30", "01:00", "01:30", "02:00")]


def test_the_next_second_is_found_without_those_of_the_whole_day() -> None:
    schedule = Cron("* * * * * *", "Europe/Berlin")
    tracemalloc.start()
    try:
        first, second = islice(schedule.times(utc("2026-11-26 22:30:30")), 2)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (first.second, second.second) == (31, 32)
    assert most < 50_000  # bytes; the moments of a day have six million


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "expression", ["7 * * * *", "30 2 * * *", "15 0,23 * * *", "*/20 */2 * * *"]
)
def test_whenever_it_is_asked_the_same_moments_come(zone: str, expression: str) -> None:
    schedule = Cron(expression, zone)
    begin, end = utc("2018-01-01 00:00"), utc("2019-01-01 00:00")
    times = [
        each.astimezone(UTC) for each in takewhile(lambda each: each < end, schedule.times(begin))
    ]
    assert all(one < other for one, other in pairwise(times))
    asked = [each - timedelta(seconds=1) for each in times] + times
    for moment in asked[:: len(asked) // 400 or 1]:
        place = bisect_right(times, moment)
        if place < len(times):
            assert schedule.next(moment).astimezone(UTC) == times[place]


def test_a_change_of_half_an_hour() -> None:
    # On Lord Howe Island the clocks go from 02:00 to 02:30, on 2026-10-04 at 15:30 in UTC the day before.
    assert after("15 2 * * *", "2026-10-03 00:00", 2, "Australia/Lord_Howe") == [
        "2026-10-03 15:30:00",
        "2026-10-04 15:15:00",
    ]


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("60 * * * *", "minutes '60'"),
        ("* 24 * * *", "hours '24'"),
        ("* * 0 * *", "day '0'"),
        ("* * * 13 *", "month '13'"),
        ("* * * * 8", "weekday '8'"),
        ("5-1 * * * *", "ends before it begins"),
        ("*/0 * * * *", "step"),
        ("*/61 * * * *", "step"),
        ("a * * * *", "minutes 'a'"),
        ("1,,2 * * * *", "minutes ''"),
        ("* * * * fri#6", "fri#6"),
        ("-1 * * * *", "minutes '-1'"),
        ("0 0 30 2 *", "No date"),
        ("@sometimes", "five fields"),
    ],
)
def test_what_cannot_be_read_is_refused(expression: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Cron(expression)


def test_a_zone_that_is_not_known_is_refused() -> None:
    for zone in ("Europe/Nowhere", "", "../etc/passwd"):
        with pytest.raises(ConfigError, match="time zone"):
            Cron("* * * * *", zone)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="time zone"):
        Cron("* * * * *").next(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake


MINUTES = st.sampled_from(["*", "0", "*/7", "30", "0,59", "15-45/10"])
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]


@settings(max_examples=60)
@given(
    minutes=MINUTES,
    weekday=st.sampled_from(["*", "1-5", "sun", "2,4"]),
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 700 * 24 * 60),
)
def test_where_every_hour_fits_it_is_what_each_minute_says(
    minutes: str, weekday: str, zone: str, minute: int
) -> None:
    """A look at every minute of two days, the clock on the wall beside it."""
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    expression = f"{minutes} * * * {weekday}"
    wanted = set(_read(minutes, 60))
    days = {"*": range(7), "1-5": range(5), "sun": (6,), "2,4": (1, 3)}[weekday]
    expected = []
    for number in range(1, 2 * 24 * 60 + 1):
        moment = begin + timedelta(minutes=number)
        wall = moment.astimezone(ZoneInfo(zone))
        if wall.minute in wanted and wall.weekday() in days:
            expected.append(moment)
    times = Cron(expression, zone).times(begin)
    assert list(islice(times, len(expected))) == expected


@settings(max_examples=60)
@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    zone=st.sampled_from(ZONES),
    year=st.integers(2026, 2035),
)
def test_a_time_of_the_day_comes_once_each_day(
    hour: int, minute: int, zone: str, year: int
) -> None:
    """Over a whole year with both of its changes, in order, and never more than 25 hours apart."""
    begin = datetime(year, 1, 1, tzinfo=ZoneInfo(zone))
    times = list(islice(Cron(f"{minute} {hour} * * *", zone).times(begin.astimezone(UTC)), 365))
    assert times == sorted(set(times))
    days = [each.date() for each in times]
    assert len(set(days)) == len(days)
    gaps = {later.astimezone(UTC) - sooner.astimezone(UTC) for sooner, later in pairwise(times)}
    assert min(gaps) >= timedelta(hours=22, minutes=59)
    assert max(gaps) <= timedelta(hours=25)


def _read(text: str, count: int) -> list[int]:
    if text == "*":
        return list(range(count))
    if text.startswith("*/"):
        return list(range(0, count, int(text[2:])))
    if "/" in text:
        span, step = text.split("/")
        low, high = span.split("-")
        return list(range(int(low), int(high) + 1, int(step)))
    return [int(each) for each in text.split(",")]
