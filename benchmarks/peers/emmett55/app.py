"""emmett55: its JSON service on orjson, pipes as middleware; msgspec validates, it has no validation."""

import os
from pathlib import Path
from typing import Annotated

from emmett55 import App, Pipe, abort, request, response
from emmett55.tools import service
from msgspec import Meta, Struct, ValidationError
from msgspec.json import Decoder

MODE = os.environ.get("WORKLOAD", "main")


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


class Noop(Pipe):
    async def pipe_request(self, next_pipe, **kwargs):
        return await next_pipe(**kwargs)


class Cors(Pipe):
    async def pipe_request(self, next_pipe, **kwargs):
        response.headers["access-control-allow-origin"] = "https://example.com"
        return await next_pipe(**kwargs)


decode_item = Decoder(Item).decode
# It makes folders for logs and static files where it is told its root is.
ROOT = Path(__file__).parents[3] / ".bench" / "emmett55"
ROOT.mkdir(parents=True, exist_ok=True)
app = App(__name__, root_path=str(ROOT))
app.config.handle_static = False
if MODE == "mw":
    app.pipeline = [Cors(), *[Noop() for _ in range(5)]]


def numbered(number: int):
    @app.route(f"/r{number:03d}/<int:id>/x", name=f"numbered{number}", methods="get")
    @service.json
    async def handler(id):
        return {"id": id, "route": number}


if MODE in ("main", "mw"):

    @app.route("/plaintext", methods="get", output="str")
    async def plaintext():
        return "Hello, World!"

    @app.route("/json", methods="get")
    @service.json
    async def json():
        return {"message": "Hello, World!"}

    @app.route("/users/<int:id>", methods="get")
    @service.json
    async def user(id):
        query = request.query_params
        try:
            limit = int(query.limit or 20)
        except ValueError:
            abort(422)
        return {"id": id, "q": query.q, "limit": limit}

    @app.route("/items", methods="post")
    @service.json
    async def create():
        try:
            item = decode_item(await request.body)
        except ValidationError:
            abort(422)
        return {"name": item.name, "total": item.quantity + sum(p.count for p in item.parts)}


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
