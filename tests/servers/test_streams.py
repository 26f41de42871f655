"""Events and lines over real servers: when they begin, what ends them, both ways at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import httpx2
import pytest

pytestmark = pytest.mark.parametrize(
    "server", ["uvicorn-h11", "uvicorn-httptools", "granian-asgi", "hypercorn"], indirect=True
)


class Running(Protocol):
    """What the fixture ``server`` is."""

    @property
    def log(self) -> Path: ...


class Eventually(Protocol):
    """What the fixture ``eventually`` is."""

    def __call__(self, condition: Callable[[], bool]) -> None: ...


JSONL = {"content-type": "application/jsonl"}


def test_events_begin_before_there_is_one_and_end_with_their_reader(
    client: httpx2.Client, eventually: Eventually
) -> None:
    # Some servers keep the head back until there is a body, hence the comment.
    with client.stream("GET", "/quiet") as response:
        assert response.status_code == 200
        assert response.headers["content-type"] == "text/event-stream"
        assert next(response.iter_bytes()) == b":\n\n"
        assert "events ended" not in client.get("/journal").json()

    eventually(lambda: "events ended" in client.get("/journal").json())


def test_lines_go_in_and_out_in_chunks(client: httpx2.Client) -> None:
    def body() -> Iterator[bytes]:
        for number in range(1000):
            yield b'{"title":"%d"}\n' % number

    response = client.post("/titles", content=body(), headers=JSONL)
    assert response.text.splitlines() == [f'"{number}"' for number in range(1000)]


def test_a_wrong_line_is_an_answer_before_anything_was_sent(client: httpx2.Client) -> None:
    response = client.post("/titles", content=b'{"title":""}\n', headers=JSONL)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "#/0/title"


def test_lines_that_break_off_do_not_look_complete_and_are_logged_once(
    server: Running, client: httpx2.Client, eventually: Eventually
) -> None:
    with pytest.raises(httpx2.HTTPError):
        client.get("/broken-lines")

    eventually(lambda: "hidden detail of lines" in server.log.read_text())
    assert client.get("/").text == "hello"
    assert server.log.read_text().count("RuntimeError: hidden detail of lines") == 1
