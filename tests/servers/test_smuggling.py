"""Two readings of one request: refused, or read in the one way that the RFC allows.

In each a second request is hidden, which a proxy in front would have taken for a body, or the other
way round. It must never be answered. RFC 9112 sections 2.2, 5, 6 and 11.2.
"""

from __future__ import annotations

from typing import Protocol

import httpx2
import pytest

HIDDEN = b"GET /posts/99 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


class Running(Protocol):
    """What the fixture ``server`` is."""

    kind: str

    def exchange(self, data: bytes, *, half_close: bool = False) -> bytes: ...


def post(*fields: bytes, body: bytes = b"", version: bytes = b"HTTP/1.1") -> bytes:
    head = (b"POST /size " + version, b"host: x", *fields)
    return b"\r\n".join((*head, b"", body))


def chunked(body: bytes, field: bytes = b"transfer-encoding: chunked") -> bytes:
    return post(field, body=body)


REFUSED = {
    "two lengths": post(b"content-length: 4", b"content-length: 5", body=b"1234" + HIDDEN),
    "two lengths in one field": post(b"content-length: 4, 5", body=b"1234" + HIDDEN),
    "a length with a sign": post(b"content-length: +4", body=b"1234" + HIDDEN),
    "a negative length": post(b"content-length: -4", body=b"1234" + HIDDEN),
    "a length with a space inside": post(b"content-length: 1 0", body=b"1234" + HIDDEN),
    "a hexadecimal length": post(b"content-length: 0x4", body=b"1234" + HIDDEN),
    "an underscore in a length": post(b"content-length: 1_0", body=b"1234" + HIDDEN),
    "an empty length": post(b"content-length: ", body=HIDDEN),
    "a length beyond all bounds": post(b"content-length: " + b"9" * 40, body=HIDDEN),
    "a space before the colon": post(b"content-length : 4", body=b"1234" + HIDDEN),
    "a space before the colon of te": chunked(
        b"0\r\n\r\n" + HIDDEN, b"transfer-encoding : chunked"
    ),
    "a tab before the colon": post(b"content-length\t: 4", body=b"1234" + HIDDEN),
    "no name": post(b": 4", body=HIDDEN),
    "nul in a value": post(b"x: a\0b", body=HIDDEN),
    "nul in a name": post(b"x\0: b", body=HIDDEN),
    "cr in a value": post(b"x: a\rcontent-length: 4", body=b"1234" + HIDDEN),
    "te that is not chunked": chunked(b"0\r\n\r\n" + HIDDEN, b"transfer-encoding: xchunked"),
    "te with chunked not last": chunked(b"0\r\n\r\n" + HIDDEN, b"transfer-encoding: chunked, gzip"),
    "te with a vertical tab": chunked(b"0\r\n\r\n" + HIDDEN, b"transfer-encoding: \x0bchunked"),
    "a chunk size with 0x": chunked(b"0x4\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with a sign": chunked(b"+4\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with an underscore": chunked(b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size with a space before": chunked(b" 4\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "an empty chunk size": chunked(b"\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a chunk size beyond all bounds": chunked(b"f" * 17 + b"\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a chunk without its end": chunked(b"4\r\n1234XX0\r\n\r\n" + HIDDEN),
    "a chunk that is longer than said": chunked(b"4\r\n12345\r\n0\r\n\r\n" + HIDDEN),
    "a chunk with a lone lf after its size": chunked(b"4\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a lone cr after a chunk size": chunked(b"4\rX\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a lone lf in a chunk extension": chunked(b"4;a\nb\r\n1234\r\n0\r\n\r\n" + HIDDEN),
    "a folded first field": b"POST /size HTTP/1.1\r\n host: x\r\ncontent-length: 4\r\n\r\n1234"
    + HIDDEN,
    "a version that does not exist": b"GET /names/a HTTP/1.32\r\nhost: x\r\n\r\n" + HIDDEN,
    "a space in the target": b"GET /names/a b HTTP/1.1\r\nhost: x\r\n\r\n" + HIDDEN,
}
"""By what is wrong with it."""

HARMLESS = {
    "te chunked twice": chunked(b"0\r\n\r\n" + HIDDEN, b"transfer-encoding: chunked, chunked"),
    "te in http/1.0": post(
        b"transfer-encoding: chunked", body=b"0\r\n\r\n" + HIDDEN, version=b"HTTP/1.0"
    ),
    "a folded field": post(b"x: a\r\n content-length: 4", body=b"1234" + HIDDEN),
    "length, then chunks": post(
        b"content-length: 4", b"transfer-encoding: chunked", body=b"0\r\n\r\n" + HIDDEN
    ),
    "chunks, then length": post(
        b"transfer-encoding: chunked", b"content-length: 4", body=b"0\r\n\r\n" + HIDDEN
    ),
}


HOSTS = {
    "two hosts": b"GET /names/a HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n" + HIDDEN,
    "no host": b"GET /names/a HTTP/1.1\r\n\r\n" + HIDDEN,
}
"""RFC 9112 section 3.2."""
STRICT_ABOUT_HOSTS = ("uvicorn-h11", "hypercorn")


def assert_refused(raw: bytes) -> None:
    assert b'"id":99' not in raw
    assert raw == b"" or raw.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501 ")), raw[:200]


@pytest.mark.parametrize("shape", list(REFUSED))
def test_what_could_be_read_in_two_ways_is_refused(
    server: Running, client: httpx2.Client, shape: str
) -> None:
    assert_refused(server.exchange(REFUSED[shape], half_close=True))
    assert client.get("/").text == "hello"


@pytest.mark.parametrize("half_close", [True, False])
@pytest.mark.parametrize("shape", list(HARMLESS))
def test_what_is_read_in_one_way_hides_nothing(
    server: Running, shape: str, *, half_close: bool
) -> None:
    if shape == "te chunked twice" and server.kind.startswith("granian"):
        # To hyper that is chunks once, and what follows is a request of its own; whether that is still
        # read when the client has closed its half is a matter of chance.
        found = server.exchange(HARMLESS[shape], half_close=half_close)
        assert half_close or b'"id":99' in found
        return
    # Chunks go before a length, and then the connection ends: RFC 9112 section 6.3.
    assert b'"id":99' not in server.exchange(HARMLESS[shape], half_close=half_close)


@pytest.mark.parametrize("shape", list(HOSTS))
def test_hosts_are_counted_where_the_server_does(server: Running, shape: str) -> None:
    raw = server.exchange(HOSTS[shape], half_close=True)

    assert raw.startswith(b"HTTP/1.1 400") == (server.kind in STRICT_ABOUT_HOSTS)
