"""What an application does is the same on every server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.servers.conftest import Running

streams = pytest.mark.parametrize(
    "server", ["uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn"], indirect=True
)
"""Over RSGI nothing is streamed; test_rsgi.py says what is answered instead."""


def problem(response: httpx2.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    return found


def test_text_is_answered_with_its_length(client: httpx2.Client) -> None:
    response = client.get("/")

    assert (response.status_code, response.text) == (200, "hello")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["content-length"] == "5"


def test_a_connection_serves_several_requests(client: httpx2.Client) -> None:
    assert [client.get("/").text for _ in range(3)] == ["hello"] * 3


def test_a_body_becomes_a_struct_and_a_struct_a_body(client: httpx2.Client) -> None:
    response = client.post("/posts", json={"title": "first", "tags": ["a"]})

    assert response.status_code == 201
    assert response.json() == {"id": 1, "title": "first", "tags": ["a"]}


def test_every_mistake_in_a_body_is_told_at_once(client: httpx2.Client) -> None:
    response = client.post("/posts", json={"title": "", "tags": [1]})

    assert response.status_code == 422
    assert {each["pointer"] for each in problem(response)["errors"]} == {"#/title", "#/tags/0"}


def test_broken_json_is_refused(client: httpx2.Client) -> None:
    response = client.post("/posts", content="{", headers={"content-type": "application/json"})

    assert response.status_code == 400
    assert problem(response)["code"] == "invalid_json"


def test_query_parameters_are_typed(client: httpx2.Client) -> None:
    assert client.get("/posts?limit=5&after=x%20y").json() == {"after": "x y", "limit": 5}
    assert client.get("/posts?limit=1000").status_code == 422


def test_a_large_body_arrives_whole(client: httpx2.Client) -> None:
    assert client.post("/size", content=b"x" * 99_999).json() == 99_999


@streams
def test_a_chunked_body_arrives_whole(client: httpx2.Client) -> None:
    response = client.post("/echo", content=iter([b"one ", b"two ", b"three"]))

    assert response.content == b"one two three"


def test_a_body_over_the_limit_is_refused(client: httpx2.Client) -> None:
    response = client.post("/size", content=b"x" * 100_001)

    assert response.status_code == 413
    assert problem(response)["code"] == "payload_too_large"


def test_a_chunked_body_over_the_limit_is_refused(client: httpx2.Client) -> None:
    # JSON, because over RSGI anything else needs a length.
    response = client.post(
        "/size",
        content=iter([b"x" * 60_000, b"x" * 60_000]),
        headers={"content-type": "application/json"},
    )

    assert response.status_code == 413
    assert problem(response)["code"] == "payload_too_large"


def test_nothing_is_204_without_a_body(client: httpx2.Client) -> None:
    response = client.get("/empty")

    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


def test_head_is_get_without_the_body(client: httpx2.Client) -> None:
    response = client.head("/")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == "5"
    assert client.get("/").text == "hello"  # on the same connection


def test_head_of_a_stream_has_no_body(client: httpx2.Client) -> None:
    assert client.head("/stream").content == b""
    assert client.get("/").text == "hello"


def test_options_says_what_is_allowed(client: httpx2.Client) -> None:
    response = client.options("/posts")

    assert response.status_code == 204
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_options_of_the_server_itself_are_answered(server: Running) -> None:
    head = server.exchange(b"OPTIONS * HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 204 ")


def test_reset_content_is_over_at_its_head(client: httpx2.Client) -> None:
    for _ in range(2):  # on the same connection
        response = client.post("/reset")
        assert (response.status_code, response.content) == (205, b"")
        assert response.headers["content-length"] == "0"


def test_another_method_is_405(client: httpx2.Client) -> None:
    response = client.delete("/posts")

    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert problem(response)["code"] == "method_not_allowed"


def test_an_unknown_path_is_404(client: httpx2.Client) -> None:
    response = client.get("/nowhere")

    assert response.status_code == 404
    assert problem(response)["code"] == "not_found"


def test_an_http_error_is_a_problem(client: httpx2.Client) -> None:
    response = client.get("/forbidden")

    assert response.status_code == 403
    assert problem(response)["detail"] == "not you"


def test_an_unexpected_error_tells_nothing(client: httpx2.Client) -> None:
    response = client.get("/error")

    assert response.status_code == 500
    assert problem(response)["code"] == "internal"
    assert "hidden detail" not in response.text
    assert "Traceback" not in response.text


def test_the_request_is_seen_as_it_was_sent(client: httpx2.Client) -> None:
    headers = [("x-twice", "1"), ("X-Twice", "2"), ("cookie", "a=1; b=2"), ("host", "example.org")]

    seen = client.get("/seen?x=1&x=%32", headers=headers).json()

    assert seen == {
        "method": "GET",
        "path": "/seen",
        "query": "x=1&x=%32",
        "scheme": "http",
        "version": "1.1",
        "host": "example.org",
        "twice": ["1", "2"],
        "cookies": {"a": "1", "b": "2"},
        "client": "127.0.0.1",
    }


def test_forwarded_addresses_are_not_believed(client: httpx2.Client) -> None:
    headers = {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}

    seen = client.get("/seen", headers=headers).json()

    assert (seen["client"], seen["scheme"]) == ("127.0.0.1", "http")


@streams
def test_a_stream_arrives_whole_and_without_a_length(client: httpx2.Client) -> None:
    response = client.get("/stream")

    assert response.text == "0\n1\n2\n3\n4\n"
    assert "content-length" not in response.headers


@streams
def test_a_stream_arrives_while_it_is_made(client: httpx2.Client) -> None:
    with client.stream("GET", "/endless") as response:
        lines = response.iter_lines()

        assert [next(lines), next(lines)] == ["tick", "tick"]


@streams
def test_a_stream_that_breaks_does_not_look_complete(client: httpx2.Client) -> None:
    with pytest.raises(httpx2.HTTPError):
        client.get("/breaks")

    assert client.get("/").text == "hello"


@streams
def test_a_mounted_application_gets_the_rest_of_the_path(client: httpx2.Client) -> None:
    assert client.get("/mounted/a/b").text == "/mounted /mounted/a/b"
    assert client.get("/mounted").text.startswith("/mounted /mounted")


def test_work_after_the_response_is_done(
    client: httpx2.Client, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    assert client.post("/later").status_code == 202

    eventually(lambda: "after" in client.get("/journal").json())


def test_resources_are_open(client: httpx2.Client) -> None:
    assert client.get("/journal").json()[0] == "opened"


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("one%20two", "one two"),
        ("a%2Bb", "a+b"),
        ("a+b", "a+b"),
        ("%C3%BC", "ü"),
        ("%E6%97%A5", "日"),
        ("%2541", "%41"),
    ],
)
def test_a_path_is_decoded_once(client: httpx2.Client, sent: str, got: str) -> None:
    assert client.get(f"/names/{sent}").text == got


def test_an_encoded_slash_separates(client: httpx2.Client) -> None:
    assert client.get("/names/a%2Fb").status_code == 404
    assert client.get("/files/a%2Fb").text == "a/b"


def test_nobody_is_taken_at_the_word_of_a_forwarded_field_unless_said(
    client: httpx2.Client,
) -> None:
    headers = {
        "x-forwarded-for": "1.2.3.4",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "evil.example",
        "forwarded": "for=1.2.3.4;proto=https;host=evil.example",
    }

    found = client.get("/seen", headers=headers).json()

    assert (found["client"], found["scheme"]) == ("127.0.0.1", "http")
    assert found["host"].startswith("127.0.0.1:")
