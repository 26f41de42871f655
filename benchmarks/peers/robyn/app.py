"""Robyn: its own Rust server, parameters by annotation, pydantic bodies, its own CORS."""

import os
import sys
from typing import Annotated

from pydantic import BaseModel, Field
from robyn import ALLOW_CORS, Robyn

MODE = os.environ.get("WORKLOAD", "main")
PORT = int(sys.argv.pop(1))
sys.argv += ["--processes", "1", "--workers", "1", "--log-level", "ERROR", "--disable-openapi"]


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


app = Robyn(__file__)


def numbered(number: int):
    @app.get(f"/r{number:03d}/:id/x")
    async def handler(id: int):
        return {"id": id, "route": number}


if MODE in ("main", "mw"):

    @app.get("/plaintext")
    async def plaintext():
        return "Hello, World!"

    @app.get("/json")
    async def json():
        return {"message": "Hello, World!"}

    @app.get("/users/:id")
    async def user(id: int, q: str | None = None, limit: int = 20):
        return {"id": id, "q": q, "limit": limit}

    @app.post("/items")
    async def create(item: Item):
        return {"name": item.name, "total": item.quantity + sum(p.count for p in item.parts)}


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
if MODE == "mw":
    for _ in range(5):

        @app.before_request()
        async def noop(request):
            return request

    ALLOW_CORS(app, origins=["https://example.com"])

if __name__ == "__main__":
    app.start(host="127.0.0.1", port=PORT, keep_alive_timeout=600)
