from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.files.ranges import (
    MOST_RANGES,
    Range,
    RangeNotSatisfiableError,
    length,
    multipart,
    parse_ranges,
)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-4", [(0, 5)]),
        ("bytes=5-", [(5, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-30", [(0, 10)]),
        ("bytes=9-9", [(9, 10)]),
        ("bytes=5-100", [(5, 10)]),
        ("bytes=0-" + "9" * 5000, [(0, 10)]),
        ("bytes=000000000000000000000002-3", [(2, 4)]),
        ("BYTES = 0-4", [(0, 5)]),
        ("bytes=0-1, 4-5", [(0, 2), (4, 6)]),
        ("bytes=4-5,0-1", [(4, 6), (0, 2)]),
        ("bytes=, 0-1 ,,4-5,", [(0, 2), (4, 6)]),
        # What does not exist is left out; what overlaps or touches is merged.
        ("bytes=0-1,50-60", [(0, 2)]),
        ("bytes=0-1,-0", [(0, 2)]),
        ("bytes=0-4,3-6", [(0, 7)]),
        ("bytes=0-1,2-3", [(0, 4)]),
        ("bytes=8-9,0-1,1-2,9-", [(8, 10), (0, 3)]),
        ("bytes=0-9,0-9,0-9", [(0, 10)]),
    ],
)
def test_ranges_are_read(field: str, expected: list[tuple[int, int]]) -> None:
    assert parse_ranges(field, 10) == expected


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1",
        "bytes=3-2",
        "bytes=3-2,0-1",
        "bytes=10000000000000000000000-9",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=1-2;q=1",
        "bytes=0x1-2",
        "bytes=٣-٤",
        "lines=0-4",
        "bytes 0-4",
    ],
)
def test_what_is_no_range_is_ignored(field: str) -> None:
    assert parse_ranges(field, 10) == []


@pytest.mark.parametrize("field", ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99-,50-60"])
def test_what_does_not_exist_is_refused_with_the_size(field: str) -> None:
    with pytest.raises(RangeNotSatisfiableError) as caught:
        parse_ranges(field, 10)

    assert caught.value.status == 416
    assert caught.value.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=-1", "bytes=5-9"])
def test_nothing_has_no_parts(field: str) -> None:
    assert parse_ranges(field, 0) == []


def test_as_many_ranges_as_are_allowed_are_read() -> None:
    field = "bytes=" + ",".join(f"{10 * n}-{10 * n}" for n in range(MOST_RANGES))

    assert len(parse_ranges(field, 1000)) == MOST_RANGES


@pytest.mark.parametrize(
    "specs",
    [
        [f"{n}-" for n in range(10_000)],
        [f"{10_000 - n}-{10_000 - n}" for n in range(10_000)],
        ["0-"] * 10_000,
        ["0-0"] * (MOST_RANGES + 1),
        [""] * 10_000,
    ],
)
def test_a_flood_of_ranges_is_refused_at_once(specs: list[str]) -> None:
    began = time.process_time()
    with pytest.raises(RangeNotSatisfiableError, match="at most 32"):
        parse_ranges("bytes=" + ",".join(specs), 10_001)

    assert time.process_time() - began < 0.1


def naive(specs: list[tuple[int | None, int | None]], size: int) -> set[int]:
    """The bytes that are asked for, one by one."""
    wanted: set[int] = set()
    for first, last in specs:
        if first is None:
            assert last is not None
            wanted |= set(range(max(0, size - last), size))
        else:
            wanted |= set(range(first, size if last is None else min(size, last + 1)))
    return wanted


NUMBERS = st.integers(0, 60)
SPECS = st.one_of(
    st.tuples(NUMBERS, st.none()),
    st.tuples(st.none(), NUMBERS),
    st.tuples(NUMBERS, NUMBERS).map(lambda pair: (min(pair), max(pair))),
)


def written(spec: tuple[int | None, int | None]) -> str:
    return "-".join("" if each is None else str(each) for each in spec)


@given(st.lists(SPECS, min_size=1, max_size=MOST_RANGES), st.integers(1, 50))
def test_exactly_the_bytes_that_were_asked_for_are_sent_and_each_once(
    specs: list[tuple[int | None, int | None]], size: int
) -> None:
    field = "bytes=" + ", ".join(map(written, specs))
    wanted = naive(specs, size)
    if not wanted:
        with pytest.raises(RangeNotSatisfiableError):
            parse_ranges(field, size)
        return

    found = parse_ranges(field, size)

    sent = [position for each in found for position in range(each.start, each.stop)]
    assert len(sent) == len(set(sent))
    assert set(sent) == wanted
    # Nothing touches, and the order is that of the request.
    assert all(a.stop < b.start or b.stop < a.start for a in found for b in found if a != b)
    firsts = [
        min(place for place, spec in enumerate(specs) if naive([spec], size) & set(range(*each)))
        for each in found
    ]
    assert firsts == sorted(firsts)


@given(st.text(alphabet="bytes=0123456789-, \t;*x"), st.integers(0, 20))
def test_no_text_breaks_the_reader(field: str, size: int) -> None:
    try:
        found = parse_ranges(field, size)
    except RangeNotSatisfiableError:
        return
    assert all(0 <= each.start < each.stop <= size for each in found)


def test_several_parts_make_one_body() -> None:
    kind, segments = multipart([Range(0, 2), Range(4, 6)], 10, "text/plain")
    content = b"0123456789"

    body = b"".join(
        each if isinstance(each, bytes) else content[each.start : each.stop] for each in segments
    )

    boundary = kind.removeprefix("multipart/byteranges; boundary=")
    assert body.decode() == (
        f"--{boundary}\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/10\r\n\r\n01"
        f"\r\n--{boundary}\r\ncontent-type: text/plain\r\ncontent-range: bytes 4-5/10\r\n\r\n45"
        f"\r\n--{boundary}--\r\n"
    )
    assert length(segments) == len(body)
    assert kind != multipart([Range(0, 2)], 10, "text/plain")[0]


def test_the_title_of_the_error_is_the_same_on_every_python() -> None:
    assert RangeNotSatisfiableError(10).title == "Range Not Satisfiable"
