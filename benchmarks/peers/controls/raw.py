"""The least a server can be asked: one callable that answers known paths with ready bytes."""

import os

MODE = os.environ.get("WORKLOAD", "main")
JSON = [("content-type", "application/json")]
TEXT = [("content-type", "text/plain; charset=utf-8")]
CORS = [*JSON, ("access-control-allow-origin", "https://example.com")]
REPLIES = {
    "/plaintext": (TEXT, b"Hello, World!"),
    "/json": (CORS if MODE == "mw" else JSON, b'{"message":"Hello, World!"}'),
    "/users/42": (JSON, b'{"id":42,"q":"hello","limit":10}'),
    "/items": (JSON, b'{"name":"Walnut desk","total":57}'),
    "/r299/7/x": (JSON, b'{"id":7,"route":299}'),
}


def start(headers: list, body: bytes) -> dict:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    encoded.append((b"content-length", str(len(body)).encode()))
    return {"type": "http.response.start", "status": 200, "headers": encoded}


ASGI_REPLIES = {
    path: (start(headers, body), {"type": "http.response.body", "body": body})
    for path, (headers, body) in REPLIES.items()
}


async def rsgi(scope, proto):
    if scope.method == "POST":
        await proto()
    headers, body = REPLIES[scope.path]
    proto.response_bytes(200, headers, body)


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def asgi(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    if scope["type"] != "http":
        return
    if scope["method"] == "POST":
        while (await receive()).get("more_body"):
            pass
    head, body = ASGI_REPLIES[scope["path"]]
    await send(head)
    await send(body)
