from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.errors import BadRequestError, HTTPError, PayloadTooLargeError
from oxidite.http.body import ClientDisconnectError, content_length, limited, read_all

GARBAGE = [
    "",
    " ",
    "-1",
    "+5",
    "5_0",
    " 5",
    "5 ",
    "5,5",
    "5, 5",
    "5, 6",
    "0x10",
    "5.0",
    "1e3",
    "five",
    "\u0665",  # an Arabic digit five
    "\xb2",  # superscript two: a digit to str.isdigit
    "5\x00",
    "5\r\n",
    "9" * 20,
    "9" * 100_000,
]


class Chunks:
    """Yields chunks and remembers how many were asked for."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.taken += 1
            yield chunk


class TestContentLength:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [(None, None), ("0", 0), ("5", 5), ("007", 7), ("9" * 19, int("9" * 19))],
    )
    def test_a_decimal_number_is_read(self, value: str | None, expected: int | None) -> None:
        assert content_length(value) == expected

    @pytest.mark.parametrize("value", GARBAGE)
    def test_anything_else_is_a_bad_request(self, value: str) -> None:
        with pytest.raises(BadRequestError, match="not a number") as caught:
            content_length(value)
        assert len(caught.value.message) < 300

    @given(st.text(max_size=30))
    def test_any_text_is_a_number_or_a_bad_request(self, value: str) -> None:
        try:
            size = content_length(value)
        except BadRequestError:
            return
        assert size == int(value)
        assert value.strip("0123456789") == ""


class TestLimit:
    async def test_up_to_the_limit_everything_passes(self) -> None:
        chunks = limited(aiter(Chunks(b"ab", b"", b"c")), 3)
        assert [chunk async for chunk in chunks] == [b"ab", b"", b"c"]

    async def test_the_chunk_that_passes_it_is_not_handed_out_and_none_is_read_after(self) -> None:
        source = Chunks(b"ab", b"cd", b"ef")
        chunks = limited(aiter(source), 3)
        assert await anext(chunks) == b"ab"
        with pytest.raises(PayloadTooLargeError) as caught:
            await anext(chunks)
        assert source.taken == 2
        assert caught.value.limit == 3
        assert caught.value.status == 413

    async def test_a_limit_of_zero_lets_an_empty_body_pass(self) -> None:
        assert await read_all(limited(aiter(Chunks()), 0)) == b""
        assert await read_all(limited(aiter(Chunks(b"", b"")), 0)) == b""
        with pytest.raises(PayloadTooLargeError):
            await read_all(limited(aiter(Chunks(b"x")), 0))

    async def test_chunks_are_joined_in_order(self) -> None:
        assert await read_all(aiter(Chunks(b"a", b"", b"b" * 1000, b"c"))) == b"a" + b"b" * 1000 + (
            b"c"
        )
        assert await read_all(aiter(Chunks())) == b""


def test_a_disconnect_is_an_error_of_the_client_with_a_code() -> None:
    error = ClientDisconnectError()
    assert isinstance(error, HTTPError)
    assert (error.code, error.status) == ("client_disconnect", 400)
