"""Starlette: routes with convertors; it validates nothing itself, so pydantic does, as is usual."""

import os
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

MODE = os.environ.get("WORKLOAD", "main")


class Part(BaseModel):
    sku: str
    count: int


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    price: Annotated[float, Field(ge=0)]
    quantity: Annotated[int, Field(ge=1)]
    tags: list[str]
    in_stock: bool
    parts: list[Part]


class Noop:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


async def plaintext(request):
    return PlainTextResponse("Hello, World!")


async def json(request):
    return JSONResponse({"message": "Hello, World!"})


async def user(request):
    query = request.query_params
    try:
        limit = int(query.get("limit", 20))
    except ValueError:
        raise HTTPException(422, "limit is not a number") from None
    return JSONResponse({"id": request.path_params["id"], "q": query.get("q"), "limit": limit})


async def create(request):
    try:
        item = Item.model_validate_json(await request.body())
    except ValidationError as error:
        return JSONResponse({"detail": error.errors(include_context=False)}, status_code=422)
    total = item.quantity + sum(part.count for part in item.parts)
    return JSONResponse({"name": item.name, "total": total})


async def echo(websocket):
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


async def pieces(count):
    piece = b"x" * 65_536
    for _ in range(count):
        yield piece


async def stream(request):
    content = pieces(request.path_params["count"])
    return StreamingResponse(content, media_type="application/octet-stream")


def numbered(number: int) -> Route:
    async def handler(request):
        return JSONResponse({"id": request.path_params["id"], "route": number})

    return Route(f"/r{number:03d}/{{id:int}}/x", handler)


MAIN = [
    Route("/plaintext", plaintext),
    Route("/json", json),
    Route("/users/{id:int}", user),
    Route("/items", create, methods=["POST"]),
]
ROUTES = {
    "main": MAIN,
    "mw": MAIN,
    "routes300": [numbered(n) for n in range(300)],
    "routes1": [numbered(299)],
    "ws": [WebSocketRoute("/ws", echo)],
    "stream": [Route("/stream/{count:int}", stream)],
}
if MODE == "files":
    ROUTES["files"] = [Mount("/files", StaticFiles(directory=os.environ["FILES"]))]
CORS = Middleware(CORSMiddleware, allow_origins=["https://example.com"])
app = Starlette(
    routes=ROUTES[MODE],
    middleware=[CORS, *[Middleware(Noop) for _ in range(5)]] if MODE == "mw" else [],
)
