"""A stand-in for the least a Python framework can do: routes, typed values, msgspec, nothing else."""

import os
from typing import Annotated
from urllib.parse import unquote_plus

from msgspec import DecodeError, Meta, Struct
from msgspec.json import Decoder, Encoder

MODE = os.environ.get("WORKLOAD", "main")
JSON = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; charset=utf-8")]
ORIGIN = ("access-control-allow-origin", "https://example.com")
INT = object()  # the key under which a trie node keeps the node of an integer segment


class Message(Struct):
    message: str


class User(Struct):
    id: int
    q: str | None
    limit: int


class Part(Struct):
    sku: str
    count: int


class Item(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    price: Annotated[float, Meta(ge=0)]
    quantity: Annotated[int, Meta(ge=1)]
    tags: list[str]
    in_stock: bool
    parts: list[Part]


class Created(Struct):
    name: str
    total: int


class Numbered(Struct):
    id: int
    route: int


encode = Encoder().encode
decode_item = Decoder(Item).decode
static = {}
trie = {}


def parse_query(text: str) -> dict[str, str]:
    values = {}
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        values[name] = value
    return values


def add(method: str, path: str, handler) -> None:
    if "{" not in path:
        static[method, path] = handler
        return
    node = trie
    for segment in path.split("/")[1:]:
        node = node.setdefault(INT if segment == "{id}" else segment, {})
    node[None] = {**node.get(None, {}), method: handler}


def match(method: str, path: str):
    handler = static.get((method, path))
    if handler is not None:
        return handler, None
    node, number = trie, None
    for segment in path.split("/")[1:]:
        following = node.get(segment)
        if following is None:
            following = node.get(INT)
            if following is None or not segment.isdecimal():
                return None, None
            number = int(segment)
        node = following
    return node.get(None, {}).get(method), number


async def plaintext(number, query, body):
    return 200, TEXT, b"Hello, World!"


async def json(number, query, body):
    return 200, JSON, encode(Message("Hello, World!"))


async def user(number, query, body):
    values = parse_query(query) if query else {}
    try:
        limit = int(values.get("limit", 20))
    except ValueError:
        return 422, TEXT, b"limit is not a number"
    return 200, JSON, encode(User(number, values.get("q"), limit))


async def create(number, query, body):
    try:
        item = decode_item(await body())
    except DecodeError as error:
        return 422, TEXT, str(error).encode()
    return 200, JSON, encode(Created(item.name, item.quantity + sum(p.count for p in item.parts)))


def numbered(route: int):
    async def handler(number, query, body):
        return 200, JSON, encode(Numbered(number, route))

    return handler


async def dispatch(method, path, query, body):
    handler, number = match(method, path)
    if handler is None:
        return 404, TEXT, b"not found"
    return await handler(number, query, body)


def layer(inner):
    async def noop(method, path, query, body):
        return await inner(method, path, query, body)

    return noop


def cors(inner):
    async def allow(method, path, query, body):
        status, headers, content = await inner(method, path, query, body)
        return status, [*headers, ORIGIN], content

    return allow


if MODE in ("main", "layers", "mw"):
    add("GET", "/plaintext", plaintext)
    add("GET", "/json", json)
    add("GET", "/users/{id}", user)
    add("POST", "/items", create)
for n in range(300) if MODE == "routes300" else [299] if MODE == "routes1" else []:
    add("GET", f"/r{n:03d}/{{id}}/x", numbered(n))
handle = dispatch
if MODE in ("layers", "mw"):
    for _ in range(5):
        handle = layer(handle)
if MODE == "mw":
    handle = cors(handle)


async def rsgi(scope, proto):
    status, headers, body = await handle(scope.method, scope.path, scope.query_string, proto)
    proto.response_bytes(status, headers, body)


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return

    async def read() -> bytes:
        message = await receive()
        body = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        return body

    status, headers, body = await handle(
        scope["method"], scope["path"], scope["query_string"].decode("latin-1"), read
    )
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    encoded.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
