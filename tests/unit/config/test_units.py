from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.config import parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("90", 90.0),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        (" 2 w ", 1_209_600.0),
        ("1.5d", 129_600.0),
        ("1w1d1h1m1s1ms", 694_861.001),
        ("0.1s", 0.1),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", " ", "m", "5 minutes", "5x", "-5m", "+5", "5m1h", "1h1h", "1e3", "nan", "inf", ".5s",
     "5.", "5,5s", "\u0665m", "5M", "5m\n", "1h\t30m", "9" * 65, "PT5M"],
)  # fmt: skip
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("64kB", 64_000),
        ("64k", 64_000),
        ("64KiB", 65_536),
        ("10MB", 10_000_000),
        ("10 MB", 10_000_000),
        ("10mb", 10_000_000),
        ("1.5GiB", 1_610_612_736),
        ("2T", 2_000_000_000_000),
        ("0.001kB", 1),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_size_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "MB",
        "-1",
        "1.5",
        "0.0001kB",
        "10 XB",
        "10iB",
        "10MBs",
        "1e3",
        "\u0661",
        "10MB\n",
        "9" * 65,
    ],
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a size"):
        parse_size(text)


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(["ms", "s", "m", "h", "d", "w"]))
def test_every_whole_number_of_a_unit_is_exact(number: int, unit: str) -> None:
    milliseconds = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    scale = milliseconds.get(unit, 604_800_000)

    assert parse_duration(f"{number}{unit}") == number * scale / 1000


@pytest.mark.parametrize("text", ["1w" + " " * 60 + "x", "1.1." * 16, "1h " * 21, " " * 62 + "x"])
def test_long_texts_that_almost_fit_are_refused_at_once(text: str) -> None:
    # With two ways to take the white space this would not end.
    with pytest.raises(ValueError, match="Not a duration"):
        parse_duration(text)
    with pytest.raises(ValueError, match="Not a size"):
        parse_size(text)
