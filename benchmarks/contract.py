"""The workloads, byte for byte, and the check that a server keeps to them.

A server is measured only after it has answered every request here with exactly these bytes, and
has refused what a validating application must refuse.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import echo

ORIGIN = "https://example.com"
ITEM = (
    b'{"name":"Walnut desk","price":349.5,"quantity":3,"tags":["office","wood","oak"],'
    b'"in_stock":true,"parts":[{"sku":"LEG-0001","count":4},{"sku":"TOP-0002","count":1},'
    b'{"sku":"BOLT-0003","count":16},{"sku":"SCREW-0004","count":24},'
    b'{"sku":"BRACKET-0005","count":6},{"sku":"DRAWER-0006","count":3}]}'
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request."""

    method: str
    path: str
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Workload:
    """A request that is sent over and over, and the one right answer to it.

    `mode` is the value of WORKLOAD with which the application is started; applications of the
    same mode share a process.
    """

    name: str
    mode: str
    request: Exchange
    media_type: str
    expected: bytes
    refused: tuple[Exchange, ...] = ()
    reply_header: tuple[str, frozenset[str]] | None = None
    is_socket: bool = False
    """Whether it is messages over a WebSocket, which `benchmarks.echo` sends."""


def _broken_item(old: bytes, new: bytes) -> Exchange:
    assert ITEM.count(old) == 1, old
    return Exchange("POST", "/items", ITEM.replace(old, new), _JSON_BODY)


_JSON_BODY = (("Content-Type", "application/json"),)
_JSON_REPLY = b'{"message":"Hello, World!"}'
_NUMBERED = Exchange("GET", "/r299/7/x")
_NUMBERED_REPLY = b'{"id":7,"route":299}'
_NUMBERED_REFUSED = (Exchange("GET", "/r299/seven/x"), Exchange("GET", "/r300/7/x"))

PLAINTEXT = Workload(
    "plaintext",
    "main",
    Exchange("GET", "/plaintext"),
    "text/plain",
    b"Hello, World!",
    refused=(Exchange("GET", "/nothing"),),
)
JSON = Workload("json", "main", Exchange("GET", "/json"), "application/json", _JSON_REPLY)
USERS = Workload(
    "users",
    "main",
    Exchange("GET", "/users/42?q=hello&limit=10"),
    "application/json",
    b'{"id":42,"q":"hello","limit":10}',
    refused=(Exchange("GET", "/users/x?q=a"), Exchange("GET", "/users/42?limit=ten")),
)
ITEMS = Workload(
    "items",
    "main",
    Exchange("POST", "/items", ITEM, _JSON_BODY),
    "application/json",
    b'{"name":"Walnut desk","total":57}',
    refused=(
        _broken_item(b"349.5", b"-1"),
        _broken_item(b'"quantity":3', b'"quantity":0'),
        _broken_item(b'"Walnut desk"', b'""'),
        _broken_item(b'"count":16', b'"count":"many"'),
        _broken_item(b'"in_stock":true,', b""),
    ),
)
ROUTES = Workload(
    "routes", "routes300", _NUMBERED, "application/json", _NUMBERED_REPLY, _NUMBERED_REFUSED
)
ROUTE_ALONE = Workload(
    "route-alone", "routes1", _NUMBERED, "application/json", _NUMBERED_REPLY, _NUMBERED_REFUSED
)
LAYERS = Workload("layers", "layers", JSON.request, JSON.media_type, JSON.expected)
MIDDLEWARE = Workload(
    "mw",
    "mw",
    Exchange("GET", "/json", headers=(("Origin", ORIGIN),)),
    "application/json",
    _JSON_REPLY,
    reply_header=("access-control-allow-origin", frozenset({"*", ORIGIN})),
)
WEBSOCKET = Workload("ws", "ws", Exchange("GET", "/ws"), "text/plain", echo.MESSAGE, is_socket=True)
STREAM_PIECE = 65_536
"""Bytes of each piece of a stream; `/stream/{pieces}` has so many of them."""
STREAM = Workload(
    "stream",
    "stream",
    Exchange("GET", "/stream/2"),
    "application/octet-stream",
    b"x" * (2 * STREAM_PIECE),
    refused=(Exchange("GET", "/stream/x"),),
)
IN_ONE_PIECE = {
    w.name: w for w in (PLAINTEXT, JSON, USERS, ITEMS, ROUTES, ROUTE_ALONE, LAYERS, MIDDLEWARE)
}


def _file(name: str, size: int) -> Workload:
    # Bytes that repeat at no power of two, so that a piece in the wrong place shows.
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    path = Exchange("GET", f"/files/{name}.bin")
    outside = Exchange("GET", "/files/%2e%2e/app.py")
    return Workload(name, "files", path, "application/octet-stream", content, refused=(outside,))


FILES = (_file("1k", 1024), _file("64k", 65_536), _file("1m", 1_048_576))
WORKLOADS = {**IN_ONE_PIECE, **{w.name: w for w in (STREAM, WEBSOCKET, *FILES)}}
DESCRIPTIONS = {
    "plaintext": "`GET /plaintext`: 13 bytes of text",
    "json": "`GET /json`: an object of one field",
    "users": "`GET /users/42?q=hello&limit=10`: an integer in the path, a string and an integer in the query",
    "items": f"`POST /items`: {len(ITEM)} bytes of JSON, six fields with a nested list, validated",
    "routes": "`GET /r299/7/x`: the last of 300 routes, each with an integer in the path",
    "route-alone": "`GET /r299/7/x`: the same route as the only one",
    "stream": "`GET /stream/N`: N times 64 KiB, made while they are sent",
    "layers": "`GET /json` behind five middlewares that do nothing",
    "mw": "`GET /json` behind those and CORS, whose field each way the server reads and writes, too",
    "ws": f"{len(echo.MESSAGE)} bytes of text over a WebSocket, sent back; each message is a request",
    "1k": "`GET /files/1k.bin`: a file of 1 KiB from a directory",
    "64k": "`GET /files/64k.bin`: one of 64 KiB",
    "1m": "`GET /files/1m.bin`: one of 1 MiB",
}


def write_files(directory: Path) -> None:
    """Write what the workloads of files ask for."""
    directory.mkdir(parents=True, exist_ok=True)
    for workload in FILES:
        (directory / f"{workload.name}.bin").write_bytes(workload.expected)


def deviations(workload: Workload, port: int, *, validates: bool) -> list[str]:
    """Say in which ways the server on `port` does not keep to the contract of `workload`.

    `validates=False` is for controls that answer without looking; only the good request is sent.
    """
    if workload.is_socket:
        return echo.deviations(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        # Twice: the second answer shows that the connection was kept and nothing was left in it.
        found = [*_good(workload, connection), *_good(workload, connection)]
        if validates:
            for exchange in workload.refused:
                found += _refused(exchange, connection)
    except (OSError, http.client.HTTPException) as error:
        return [f"{workload.name}: {type(error).__name__}: {error}"]
    finally:
        connection.close()
    return list(dict.fromkeys(found))


def _ask(exchange: Exchange, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    connection.request(
        exchange.method, exchange.path, body=exchange.body, headers=dict(exchange.headers)
    )
    return connection.getresponse()


def _good(workload: Workload, connection: http.client.HTTPConnection) -> Iterator[str]:
    response = _ask(workload.request, connection)
    body = response.read()
    if response.status != 200:
        yield f"{workload.name}: status {response.status} instead of 200"
    if body != workload.expected:
        yield f"{workload.name}: body {body[:80]!r} instead of {workload.expected!r}"
    media_type = response.headers.get_content_type()
    if media_type != workload.media_type:
        yield f"{workload.name}: content type {media_type} instead of {workload.media_type}"
    if workload.reply_header is not None:
        name, allowed = workload.reply_header
        if response.headers.get(name) not in allowed:
            yield f"{workload.name}: {name} is {response.headers.get(name)!r}"
    if connection.sock is None:
        yield f"{workload.name}: the connection was closed after the answer"


def _refused(exchange: Exchange, connection: http.client.HTTPConnection) -> Iterator[str]:
    response = _ask(exchange, connection)
    response.read()
    if not 400 <= response.status < 500:
        body = exchange.body.decode() if exchange.body else ""
        yield f"{exchange.method} {exchange.path} {body} was not refused: {response.status}"
