from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.errors import PayloadTooLargeError
from oxidite.http.streams import JSONLines
from oxidite.http.streams.lines import split_lines


class Tick(Struct):
    number: int


async def chunked(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def lines(*chunks: bytes, limit: int = 100) -> list[tuple[int, bytes]]:
    return [line async for line in split_lines(chunked(*chunks), limit)]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([b""], []),
        ([b"1"], [(1, b"1")]),
        ([b"1\n"], [(1, b"1")]),
        ([b"1\n2"], [(1, b"1"), (2, b"2")]),
        ([b"1\n", b"\n", b" \r\n2"], [(1, b"1"), (4, b"2")]),
        ([b"1", b"2", b"\n", b"3"], [(1, b"12"), (2, b"3")]),
        ([b"1\r\n2\r\n"], [(1, b"1\r"), (2, b"2\r")]),
        (["\u2028\x0b\x85".encode()], [(1, "\u2028\x0b\x85".encode())]),
    ],
)
async def test_lines_are_numbered_and_blank_ones_left_out(
    chunks: list[bytes], expected: list[tuple[int, bytes]]
) -> None:
    assert await lines(*chunks) == expected


@given(st.lists(st.binary(min_size=1)), st.data())
async def test_where_the_chunks_end_makes_no_difference(
    wanted: list[bytes], data: st.DataObject
) -> None:
    body = b"\n".join(wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)))))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]

    assert await lines(*chunks, limit=10_000) == [
        (number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()
    ]


@pytest.mark.parametrize(
    "chunks", [[b"1\n12345678901\n"], [b"1\n123456", b"78901"], [b"1\n", *[b"x"] * 11]]
)
async def test_a_line_beyond_the_limit_is_refused_by_its_number(chunks: list[bytes]) -> None:
    with pytest.raises(PayloadTooLargeError) as caught:
        await lines(*chunks, limit=10)
    assert caught.value.message == "Line 2 is longer than the 10 bytes allowed for one line."


async def test_no_more_is_read_than_shows_that_a_line_is_too_long() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x"

    with pytest.raises(PayloadTooLargeError):
        await anext(split_lines(endless(), 1000))
    assert read == 1001


async def test_values_go_out_one_on_each_line() -> None:
    response = JSONLines(
        [Tick(1), {"a": "b\nc"}, None], 201, download="a.jsonl", headers={"x": "1"}
    )

    assert response.status == 201
    assert response.headers["x"] == "1"
    assert response.content_type == "application/jsonl"
    assert response.headers["content-disposition"] == 'attachment; filename="a.jsonl"'
    body = b"".join([chunk async for chunk in response.content if isinstance(chunk, bytes)])
    assert body == b'{"number":1}\n{"a":"b\\nc"}\nnull\n'
