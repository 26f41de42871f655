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


# Files: the server reads and sends them; all that is said here was found out before.
FILES = os.environ.get("FILES", "")
SIZES = {}
if MODE == "files":
    for name in os.listdir(FILES):
        size = str(os.path.getsize(f"{FILES}/{name}"))
        fields = [("content-type", "application/octet-stream"), ("content-length", size)]
        SIZES[f"/files/{name}"] = (f"{FILES}/{name}", fields)


async def rsgi(scope, proto):
    if scope.path in SIZES:
        path, headers = SIZES[scope.path]
        proto.response_file(200, headers, path)
        return
    if scope.method == "POST":
        await proto()
    headers, body = REPLIES[scope.path]
    proto.response_bytes(200, headers, body)


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


STREAM_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/octet-stream")],
}
PIECE = {"type": "http.response.body", "body": b"x" * 65_536, "more_body": True}


async def asgi(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
    if scope["type"] != "http":
        return
    if MODE == "stream":
        await send(STREAM_START)
        for _ in range(int(scope["path"].rpartition("/")[2])):
            await send(PIECE)
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] in SIZES:
        path, headers = SIZES[scope["path"]]
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        await send({"type": "http.response.pathsend", "path": path})
        return
    if scope["method"] == "POST":
        await receive()  # all of it: it is small, and the server has it already
    head, body = ASGI_REPLIES[scope["path"]]
    await send(head)
    await send(body)
