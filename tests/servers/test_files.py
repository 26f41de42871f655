"""Files over every server: sent by the server itself where it can."""

from __future__ import annotations

import re
from typing import Protocol

import httpx2
import pytest

MIDDLE = bytes(range(256)) * 4096
LARGE = 65_536 * 3_200


class Running(Protocol):
    """What the fixture ``server`` is."""

    def exchange(self, data: bytes) -> bytes: ...


def test_a_file_comes_whole_with_its_length_and_tag(client: httpx2.Client) -> None:
    response = client.get("/file/middle")

    assert response.status_code == 200
    assert response.content == MIDDLE
    assert response.headers["content-length"] == str(len(MIDDLE))
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"] == (
        "attachment; filename=\"naive.bin\"; filename*=UTF-8''na%C3%AFve.bin"
    )
    assert "transfer-encoding" not in response.headers
    assert [value for name, value in response.headers.multi_items() if name == "etag"]


def test_a_connection_is_kept_after_a_file(client: httpx2.Client) -> None:
    for _ in range(3):
        assert client.get("/file/middle").content == MIDDLE
        assert client.get("/").text == "hello"


def test_the_head_of_a_file_comes_alone(client: httpx2.Client) -> None:
    head, get = client.head("/file/middle"), client.get("/file/middle")

    assert head.content == b""
    for name in ("content-length", "etag", "last-modified", "accept-ranges", "content-type"):
        assert head.headers[name].removeprefix("W/") == get.headers[name].removeprefix("W/")


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=1000-200999", 1000, 201_000),
        ("bytes=1048575-", 1_048_575, 1_048_576),
        ("bytes=-300000", 748_576, 1_048_576),
        ("bytes=0-", 0, 1_048_576),
    ],
)
def test_a_part_is_exact(client: httpx2.Client, field: str, start: int, stop: int) -> None:
    response = client.get("/file/middle", headers={"range": field})

    assert response.status_code == 206
    assert response.content == MIDDLE[start:stop]
    assert response.headers.get_list("content-range") == [f"bytes {start}-{stop - 1}/{len(MIDDLE)}"]
    assert response.headers.get_list("content-length") == [str(stop - start)]
    assert client.get("/").text == "hello"


def test_a_part_of_a_large_file_comes_at_once(client: httpx2.Client) -> None:
    response = client.get("/file/large", headers={"range": f"bytes={LARGE - 2}-"})

    assert (response.status_code, response.content) == (206, b"\0\0")


def test_several_parts_come_in_one_message(client: httpx2.Client) -> None:
    response = client.get("/file/middle", headers={"range": "bytes=0-1,-2"})

    assert response.status_code == 206
    parts = re.findall(rb"content-range: (bytes \d+-\d+)/1048576\r\n\r\n(..)", response.content)
    assert parts == [(b"bytes 0-1", b"\x00\x01"), (b"bytes 1048574-1048575", b"\xfe\xff")]


def test_ten_thousand_ranges_are_refused(client: httpx2.Client) -> None:
    field = "bytes=" + ",".join(f"{n}-{n}" for n in range(10_000))

    response = client.get("/file/middle", headers={"range": field})

    # Some servers refuse the size of the field before the application sees it.
    assert response.status_code in (400, 416, 431)


def test_a_few_ranges_too_many_are_416(client: httpx2.Client) -> None:
    field = "bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(100))

    response = client.get("/file/middle", headers={"range": field})

    assert response.status_code == 416
    assert response.headers["content-range"] == "bytes */1048576"


def test_what_one_has_is_not_sent_again(client: httpx2.Client) -> None:
    tag = client.get("/file/middle").headers["etag"]

    response = client.get("/file/middle", headers={"if-none-match": tag})
    stale = client.get("/file/middle", headers={"if-match": '"other"'})

    assert (response.status_code, response.content) == (304, b"")
    assert stale.status_code == 412


def test_a_file_that_is_not_there_is_404(client: httpx2.Client) -> None:
    response = client.get("/file/missing")

    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


def test_a_file_that_became_shorter_is_cut_off_and_never_looks_whole(
    client: httpx2.Client,
) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        client.get("/file/short")


def test_a_directory_is_served(client: httpx2.Client) -> None:
    script = client.get("/public/app.js", headers={"accept-encoding": "identity"})
    index = client.get("/public/")
    bare = client.get("/public")

    assert script.text == "let a = 1;\n"
    assert script.headers["cache-control"] == "no-cache"
    assert index.text == "<h1>home</h1>\n"
    assert (bare.status_code, bare.headers["location"]) == (308, "./public/")


def test_a_compressed_form_is_served(client: httpx2.Client) -> None:
    with client.stream("GET", "/public/app.js", headers={"accept-encoding": "br"}) as response:
        body = b"".join(response.iter_raw())

    assert response.headers["content-encoding"] == "br"
    assert response.headers["content-length"] == "13"
    assert body == b"not really br"


@pytest.mark.parametrize(
    "path",
    [
        "/public/../application.py",
        "/public/..%2fapplication.py",
        "/public/%2e%2e/application.py",
        "/public/%2e%2e%2fapplication.py",
        "/public/..%5capplication.py",
        "/public//etc/passwd",
        "/public/%2fetc%2fpasswd",
        "/public/app.js%00",
        "/public/%252e%252e/application.py",
    ],
)
def test_nothing_outside_is_served(server: Running, path: str) -> None:
    reply = server.exchange(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())

    assert reply.split(b" ")[1] in (b"400", b"404")
    assert b"Oxidite(" not in reply
    assert b"root:" not in reply


def test_a_page_answers_a_browser_and_no_program(client: httpx2.Client) -> None:
    page = client.get("/public/settings", headers={"accept": "text/html"})
    program = client.get("/public/settings")

    assert page.text == "<h1>home</h1>\n"
    assert program.status_code == 404
