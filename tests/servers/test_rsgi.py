"""What is different over Granian's own interface: bodies are complete, both ways."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest

pytestmark = pytest.mark.parametrize("server", ["granian-rsgi"], indirect=True)


@pytest.mark.parametrize("path", ["/stream", "/endless"])
def test_a_stream_is_an_error_and_not_memory(client: httpx2.Client, path: str) -> None:
    response = client.get(path)

    assert response.status_code == 500
    assert response.json()["code"] == "internal"


def test_a_mounted_application_is_an_error(client: httpx2.Client) -> None:
    assert client.get("/mounted/x").status_code == 500


def test_a_complete_body_without_a_length_is_read_if_its_format_shows_its_end(
    client: httpx2.Client,
) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"title": "one", '
        yield b'"tags": []}'

    response = client.post("/posts", content=chunks(), headers={"content-type": "application/json"})

    assert response.status_code == 201
    assert response.json()["title"] == "one"


def test_any_other_body_needs_a_length(client: httpx2.Client) -> None:
    # Granian does not tell whether a body without one ended or broke off.
    response = client.post("/size", content=iter([b"some ", b"bytes"]))

    assert response.status_code == 411
    assert response.json()["code"] == "length_required"
    assert "--interface asgi" in response.json()["detail"]


def test_a_number_needs_a_length(client: httpx2.Client) -> None:
    # 12 may be the beginning of 123.
    response = client.post(
        "/posts", content=iter([b"1", b"2"]), headers={"content-type": "application/json"}
    )

    assert response.status_code == 411


def test_json_that_breaks_off_is_refused(server: object, client: httpx2.Client) -> None:
    body = json.dumps({"title": "one"})[:-1].encode()

    response = client.post(
        "/posts", content=iter([body]), headers={"content-type": "application/json"}
    )

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_json"
