"""One small application with a bit of everything; the tests beside it run it on every server."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from oxidite import (
    Events,
    File,
    FileResponse,
    ForbiddenError,
    HTMLResponse,
    Json,
    Lines,
    Oxidite,
    Query,
    Request,
    Response,
    StreamingResponse,
    Upload,
)
from oxidite.middleware import compression, cors, decompression, idempotency, limit, rate_limit

Message = MutableMapping[str, Any]


class NewPost(Struct):
    title: Annotated[str, Meta(min_length=1, max_length=20)]
    tags: list[str] = []


class Post(Struct):
    id: int
    title: str
    tags: list[str]


class Page(Struct):
    after: str | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 20


class Journal:
    """What happened, for a test to ask about; open while the application runs."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def __aenter__(self) -> Journal:
        self.lines.append("opened")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.lines.append("closed")

    def write(self, line: str) -> None:
        self.lines.append(line)


PIECE = 65_536
PIECES = 3_200  # 200 MB in all


class Producer:
    """Makes more than anybody should hold, and tells how far it came."""

    def __init__(self) -> None:
        self.yielded = 0
        self.ended = False

    async def __aenter__(self) -> Producer:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def pieces(self) -> AsyncIterator[bytes]:
        self.yielded, self.ended = 0, False
        try:
            for _ in range(PIECES):
                self.yielded += PIECE
                yield b"x" * PIECE
        finally:
            self.ended = True


class Shelf:
    """Files of known content; the large one takes no space."""

    async def __aenter__(self) -> Shelf:
        self._directory = tempfile.TemporaryDirectory()
        self.path = Path(self._directory.name)
        self.middle = self.path / "middle.bin"
        self.middle.write_bytes(bytes(range(256)) * 4096)
        self.large = self.path / "large.bin"
        self.large.touch()
        os.truncate(self.large, PIECE * PIECES)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._directory.cleanup()


app = Oxidite(resources=[Journal(), Producer(), Shelf()], max_body=100_000)
app.static("/public", Path(__file__).with_name("public"), spa=True)


@app.get("/file/middle")
async def middle_file(shelf: Shelf) -> FileResponse:
    return FileResponse(shelf.middle, download="naïve.bin")


@app.get("/file/large")
async def large_file(shelf: Shelf) -> FileResponse:
    return FileResponse(shelf.large)


@app.get("/file/missing")
async def missing_file(shelf: Shelf) -> FileResponse:
    return FileResponse(shelf.path / "missing")


@app.get("/file/short")
async def short_file(shelf: Shelf) -> FileResponse:
    """A file of which a part goes missing between the look at it and the sending."""
    path = shelf.path / "short.bin"
    path.write_bytes(b"x" * 1_000_000)
    response = ShortFile(path)
    response.on_prepared = lambda: os.truncate(path, 600_000)
    return response


class ShortFile(FileResponse):
    on_prepared: Callable[[], None]

    async def prepare(self, request: Request) -> Response:
        response = await super().prepare(request)
        self.on_prepared()
        return response


@app.get("/")
async def index() -> str:
    return "hello"


@app.get("/page")
async def page() -> HTMLResponse:
    return HTMLResponse("<h1>hello</h1>")


@app.get("/empty")
async def empty() -> None:
    return None


@app.post("/reset", status=205)
async def reset() -> str:
    return "forbidden"


@app.post("/posts", status=201)
async def create(data: Json[NewPost]) -> Post:
    return Post(id=1, title=data.title, tags=data.tags)


@app.get("/posts")
async def search(page: Query[Page]) -> Page:
    return page


@app.get("/posts/{id:int}")
async def show(id: int) -> Post:
    return Post(id=id, title="one", tags=[])


@app.post("/echo")
async def echo(request: Request) -> StreamingResponse:
    return StreamingResponse(request.stream())


@app.post("/size")
async def size(request: Request) -> int:
    return len(await request.body())


@app.post("/parts", max_body=100_000_000)
async def parts(request: Request) -> dict[str, object]:
    names, size, before, peak = [], 0, resident(), 0
    async for part in request.parts():
        names.append(f"{part.name} {part.filename} {part.sniffed}")
        async for chunk in part:
            size += len(chunk)
            peak = max(peak, resident())
    return {"names": names, "size": size, "grown": peak - before}


@app.post("/picture")
async def picture(file: Annotated[Upload, File(max_size=5_000_000, types=["image/png"])]) -> int:
    return file.size


def resident() -> int:
    """Return the bytes of memory that this process has."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@app.get("/seen")
async def seen(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query_string,
        "scheme": request.scheme,
        "version": request.http_version,
        "host": request.headers.get("host"),
        "twice": request.headers.get_all("x-twice"),
        "cookies": request.cookies,
        "client": request.client is not None and request.client.host,
    }


@app.get("/files/{path:path}")
async def file(path: str) -> str:
    return path


@app.get("/names/{name}")
async def name(name: str) -> str:
    return name


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[str]:
        for number in range(5):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(lines(), content_type="text/plain")


@app.get("/endless")
async def endless(journal: Journal) -> StreamingResponse:
    async def ticks() -> AsyncIterator[str]:
        try:
            while True:
                yield "tick\n"
                await asyncio.sleep(0.02)
        finally:
            journal.write("stream ended")

    return StreamingResponse(ticks())


@app.get("/torrent")
async def torrent(journal: Journal) -> StreamingResponse:
    async def zeros() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(PIECE)
        finally:
            journal.write("torrent ended")

    return StreamingResponse(zeros())


@app.get("/large")
async def large(producer: Producer) -> StreamingResponse:
    return StreamingResponse(producer.pieces())


@app.get("/promised", complete=True)
async def promised(producer: Producer) -> Response:
    return StreamingResponse(producer.pieces())


@app.get("/whole")
async def whole() -> bytes:
    return b"x" * (PIECE * PIECES)


@app.get("/producer")
async def produced(producer: Producer) -> dict[str, int]:
    return {"pid": os.getpid(), "yielded": producer.yielded, "ended": producer.ended}


@app.get("/breaks")
async def breaks() -> StreamingResponse:
    async def half() -> AsyncIterator[str]:
        yield "half"
        raise RuntimeError("hidden detail")

    return StreamingResponse(half())


@app.get("/quiet")
async def quiet(journal: Journal) -> Events[str]:
    try:
        await asyncio.Event().wait()
        yield "never"
    finally:
        journal.write("events ended")


@app.get("/large-events")
async def large_events(producer: Producer) -> Events[str]:
    async for piece in producer.pieces():
        yield piece.decode()


@app.get("/large-lines")
async def large_lines(producer: Producer) -> Lines[str]:
    async for piece in producer.pieces():
        yield piece.decode()


@app.get("/broken-lines")
async def broken_lines() -> Lines[str]:
    yield "half"
    await asyncio.sleep(0.01)
    raise RuntimeError("hidden detail of lines")


@app.post("/titles", max_body=10**9)
async def titles(posts: Lines[NewPost]) -> Lines[str]:
    async for post in posts:
        yield post.title


going_on = asyncio.Event()


@app.post("/count", max_body=10**9)
async def count(posts: Lines[NewPost]) -> int:
    found = 0
    async for _ in posts:
        await going_on.wait()
        found += 1
    return found


@app.post("/go-on")
async def go_on() -> None:
    going_on.set()


async def wait_for_ever(journal: Journal) -> None:
    journal.write("waiting")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        journal.write("cancelled")
        raise


@app.get("/wait")
async def wait(journal: Journal) -> None:
    await wait_for_ever(journal)


@app.post("/wait")
async def wait_unsafe(journal: Journal) -> None:
    journal.write("begun")
    await asyncio.sleep(0.6)
    journal.write("done all the same")


@app.post("/later", status=202)
async def later(request: Request, journal: Journal) -> str:
    request.after_response(journal.write, "after")
    return "soon"


@app.get("/journal")
async def read(journal: Journal) -> list[str]:
    return journal.lines


@app.get("/error")
async def error() -> None:
    raise RuntimeError("hidden detail")


@app.get("/forbidden")
async def forbidden() -> None:
    raise ForbiddenError("not you")


@app.get("/header")
async def header(name: str, value: str) -> Response:
    response = Response("ok")
    response.headers[name] = value
    return response


@app.get("/cookie")
async def cookie(value: str) -> Response:
    response = Response("ok")
    response.set_cookie("c", value)
    return response


protected = app.group(
    "/protected",
    middleware=[
        cors(["https://example.com"], expose=["ratelimit"]),
        rate_limit("1000/minute"),
        compression(),
        decompression(max_size=100_000),
        idempotency(),
    ],
)


@protected.get("/text")
async def protected_text() -> str:
    return "again and again " * 1000


@protected.get("/stream")
async def protected_stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for _ in range(10):
            yield "again and again " * 100

    return StreamingResponse(pieces(), content_type="text/plain")


@protected.post("/size")
async def protected_size(request: Request) -> int:
    return len(await request.body())


@protected.get("/once", meta=limit("1/hour"))
async def protected_once() -> str:
    return "once"


async def mounted(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    body = f"{scope['root_path']} {scope['path']}".encode()
    length = b"%d" % len(body)
    headers = [(b"content-type", b"text/plain"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


app.mount("/mounted", mounted)
