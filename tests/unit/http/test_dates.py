from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.dates import format_date, format_timestamp, parse_date

SECONDS = st.integers(0, int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()))


@given(SECONDS)
def test_what_is_written_is_read_back(seconds: int) -> None:
    text = format_timestamp(seconds)

    assert text == formatdate(seconds, usegmt=True)
    assert parse_date(text) == seconds
    assert int(parsedate_to_datetime(text).timestamp()) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_all_three_forms_are_read(text: str) -> None:
    assert parse_date(text) == 784111777


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT" * 1000,
    ],
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert parse_date(text) is None or isinstance(parse_date(text), int)


def test_a_year_of_two_digits_is_in_this_century_or_the_last() -> None:
    assert parse_date("Sunday, 06-Nov-94 08:49:37 GMT") == 784111777
    later = parse_date("Tuesday, 06-Nov-29 08:49:37 GMT")
    assert later is not None
    assert datetime.fromtimestamp(later, UTC).year == 2029


def test_a_date_of_another_zone_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))

    assert format_date(moment) == "Wed, 31 Dec 2025 23:30:00 GMT"


def test_a_date_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        format_date(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the mistake
