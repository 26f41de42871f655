"""What middleware does to requests and responses is the same on every server."""

from __future__ import annotations

import gzip

import httpx2
import pytest

ORIGIN = {"origin": "https://example.com"}


def test_a_preflight_of_a_group_is_answered(client: httpx2.Client) -> None:
    response = client.options(
        "/protected/size", headers={**ORIGIN, "access-control-request-method": "POST"}
    )

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == "https://example.com"
    assert response.headers["access-control-allow-methods"] == "POST"


def test_a_body_is_compressed_and_head_says_the_same(client: httpx2.Client) -> None:
    headers = {"accept-encoding": "gzip", **ORIGIN}
    get = client.get("/protected/text", headers=headers)
    head = client.head("/protected/text", headers=headers)

    assert get.text == "again and again " * 1000
    assert get.headers["content-encoding"] == "gzip"
    assert int(get.headers["content-length"]) < 1000
    # One origin is named to everybody, so the answer is the same for all of them.
    assert get.headers["vary"] == "accept-encoding"
    for name in ("content-encoding", "content-length", "vary", "access-control-allow-origin"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize(
    "server", ["uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn"], indirect=True
)
def test_a_stream_is_compressed(client: httpx2.Client) -> None:
    response = client.get("/protected/stream", headers={"accept-encoding": "zstd;q=0, gzip"})

    assert response.text == "again and again " * 1000
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.num_bytes_downloaded) < 2000


def test_a_compressed_body_is_read_and_a_bomb_is_refused(client: httpx2.Client) -> None:
    def send(size: int) -> httpx2.Response:
        body = gzip.compress(b"x" * size)
        return client.post("/protected/size", content=body, headers={"content-encoding": "gzip"})

    assert send(100_000).text == "100000"
    assert send(100_001).status_code == 413


def test_the_same_key_gets_the_same_answer(client: httpx2.Client) -> None:
    headers = {"idempotency-key": "one"}
    first = client.post("/protected/size", content=b"body", headers=headers)
    again = client.post("/protected/size", content=b"body", headers=headers)
    other = client.post("/protected/size", content=b"other", headers=headers)

    assert first.text == again.text == "4"
    assert again.headers["idempotent-replayed"] == "true"
    assert other.status_code == 422


def test_too_many_are_told_when_to_come_again(client: httpx2.Client) -> None:
    assert client.get("/protected/once").text == "once"
    refused = client.get("/protected/once", headers=ORIGIN)

    assert refused.status_code == 429
    assert 3590 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["ratelimit"].endswith(f";r=0;t={refused.headers['retry-after']}")
    assert refused.headers["access-control-expose-headers"] == "ratelimit"
