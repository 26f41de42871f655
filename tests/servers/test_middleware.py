"""What proxies tell, and the middleware that cares for the outside, is the same on every server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.servers.conftest import KINDS, Running, running

STREAMING = [kind for kind in KINDS if kind != "granian-rsgi"]


@pytest.fixture(scope="module", params=KINDS)
def protected(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    library, _, parser = request.param.partition("-")
    pytest.importorskip(library)
    pytest.importorskip(parser if parser in ("h11", "httptools") else library)
    with running(request.param, tmp_path_factory.mktemp("protected"), "protected") as found:
        yield found


@pytest.fixture
def client(protected: Running) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=protected.url, trust_env=False, timeout=5) as found:
        yield found


def entries(protected: Running) -> list[dict[str, Any]]:
    path = protected.log.with_name("access.log")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for_entry(
    protected: Running,
    eventually: Callable[[Callable[[], bool]], None],
    **wanted: object,
) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [each for each in entries(protected) if wanted.items() <= each.items()]

    eventually(lambda: bool(found()))
    return found()[-1]


def test_a_proxy_is_believed_and_a_client_is_not(client: httpx2.Client) -> None:
    headers = {
        "x-forwarded-for": "6.6.6.6, 1.2.3.4",
        "x-forwarded-proto": "http, https",
        "x-forwarded-host": "evil.example, example.com",
        "x-forwarded-prefix": "/shop",
    }

    found = client.get("/seen?x=1", headers=headers).json()

    assert found["client"] == "1.2.3.4"
    assert found["url"] == "https://example.com/shop/seen?x=1"
    assert found["proxies"] == 1


def test_an_address_of_version_6_stays_whole(client: httpx2.Client) -> None:
    headers = {"x-forwarded-for": "[2001:db8::1]:4711", "x-forwarded-proto": "https"}

    assert client.get("/seen", headers=headers).json()["client"] == "2001:db8::1"


def test_what_a_proxy_says_and_cannot_be_read_is_refused(client: httpx2.Client) -> None:
    response = client.get("/plain/seen", headers={"x-forwarded-for": "<script>"})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_forwarded")


def test_plain_http_is_sent_to_https_on_our_host_only(client: httpx2.Client) -> None:
    ours = client.get("/seen?x=1", headers={"host": "example.com"})
    theirs = client.get("/seen?x=1", headers={"host": "evil.example"})

    assert (ours.status_code, ours.headers["location"]) == (308, "https://example.com/seen?x=1")
    assert "strict-transport-security" not in ours.headers
    assert theirs.status_code == 421


@pytest.mark.parametrize(
    "fields", [b"host: example.com\r\nhost: 127.0.0.1\r\n", b"", b"host: \r\n", b"host: a b\r\n"]
)
def test_a_request_for_no_host_or_for_two_is_refused(protected: Running, fields: bytes) -> None:
    answer = protected.exchange(
        b"GET /plain/seen HTTP/1.1\r\n" + fields + b"connection: close\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("protected", ["granian-asgi", "granian-rsgi", "hypercorn"], indirect=True)
def test_over_http_2_the_host_is_the_authority(protected: Running) -> None:
    pytest.importorskip("h2")
    with httpx2.Client(base_url=protected.url, http1=False, http2=True, trust_env=False) as client:
        ours = client.get("/plain/seen", headers={"host": "example.com:81"})
        theirs = client.get("/plain/seen", headers={"host": "evil.example"})

    assert ours.http_version == "HTTP/2"
    assert ours.json()["url"] == "http://example.com:81/plain/seen"
    assert theirs.status_code == 421


def test_browsers_are_told_over_https(client: httpx2.Client) -> None:
    response = client.get("/seen", headers={"x-forwarded-proto": "https"})

    assert response.headers["strict-transport-security"] == "max-age=31536000"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_request_that_has_an_id_is_in_the_log_with_it(
    client: httpx2.Client,
    protected: Running,
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    headers = {"x-request-id": "from-the-proxy", "x-forwarded-for": "1.2.3.4"}

    response = client.get("/plain/seen?token=secret&a=1", headers=headers)

    assert response.headers["x-request-id"] == response.json()["id"] == "from-the-proxy"
    entry = wait_for_entry(protected, eventually, request_id="from-the-proxy")
    assert (entry["client"], entry["status"], entry["route"]) == ("1.2.3.4", 200, "/plain/seen")
    assert entry["query"] == "token=[redacted]&a=1"
    assert entry["bytes"] == int(response.headers["content-length"])


def test_what_takes_too_long_is_answered_with_504_and_the_connection_goes_on(
    client: httpx2.Client,
    protected: Running,
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    assert client.get("/plain/slow").status_code == 504
    assert client.get("/plain/seen").status_code == 200
    wait_for_entry(protected, eventually, path="/plain/slow", status=504)


@pytest.mark.parametrize("protected", STREAMING, indirect=True)
def test_a_stream_whose_reader_leaves_is_in_the_log_when_it_has_ended(
    client: httpx2.Client,
    protected: Running,
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    with client.stream("GET", "/plain/stream") as response:
        parts = response.iter_bytes()
        # Longer than the time limit: that is for the beginning.
        received = sum(len(next(parts)) for _ in range(15))

    entry = wait_for_entry(protected, eventually, path="/plain/stream")
    assert (entry["status"], entry["outcome"]) == (200, "cut")
    assert entry["bytes"] >= received


def test_a_body_over_the_limit_is_refused_before_it_is_read(protected: Running) -> None:
    head = b"POST /plain/size HTTP/1.1\r\nhost: example.com\r\ncontent-length: 9999999999\r\n\r\n"

    answer = protected.exchange(head + b"only the beginning")

    assert answer.startswith(b"HTTP/1.1 413")


def test_the_last_lines_are_written_when_the_server_stops(tmp_path: Path) -> None:
    with running("uvicorn-h11", tmp_path, "protected") as found:
        for number in range(50):
            httpx2.get(f"{found.url}/plain/seen?n={number}", trust_env=False)

    assert [entry["query"] for entry in entries(found)] == [f"n={number}" for number in range(50)]


@pytest.mark.parametrize("kind", KINDS)
def test_who_comes_by_a_unix_socket_is_believed_where_that_is_said(
    kind: str, tmp_path: Path
) -> None:
    pytest.importorskip(kind.partition("-")[0])
    path = tmp_path / "socket"
    with running(kind, tmp_path, "protected", path):
        transport = httpx2.HTTPTransport(uds=str(path))
        with httpx2.Client(transport=transport, base_url="http://example.com") as client:
            headers = {"x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https"}
            found = client.get("/seen", headers=headers).json()

    assert (found["client"], found["url"]) == ("1.2.3.4", "https://example.com/seen")
