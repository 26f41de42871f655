"""An origin that answers as each step of a case says, behind a shared cache whose time the case moves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from httpx2 import Response as Answer

from oxidite import Oxidite, Request, Response, clock
from oxidite.cache import Cache
from oxidite.cache.web import http_cache
from oxidite.clock import TravelClock
from oxidite.http.dates import format_timestamp
from oxidite.testing import Client

Fields = Mapping[str, str] | list[tuple[str, str]]


@dataclass(frozen=True)
class Step:
    """A request, what the origin answers if it is asked, and whether it is: ``hit`` or not.

    ``{now}``, ``{now+5}`` and ``{now-5}`` in fields are dates. ``wait`` is before the request.
    """

    hit: bool
    answer: Fields = field(default_factory=dict)
    send: Fields = field(default_factory=dict)
    method: str = "GET"
    path: str = "/x"
    wait: float = 0
    status: int = 200
    body: str = ""
    shows: int | None = None
    """The status that the client gets, if it is not that of the origin."""
    has: Fields = field(default_factory=dict)
    """Fields that the client gets."""
    asked: Fields = field(default_factory=dict)
    """Fields that the origin gets."""


def ask(answer: Fields | None = None, **more: Any) -> Step:
    """Make a step that reaches the origin."""
    return Step(False, answer or {}, **more)


def hit(**more: Any) -> Step:
    """Make a step that is answered with what is kept."""
    return Step(True, **more)


def _pairs(fields: Fields) -> list[tuple[str, str]]:
    pairs = list(fields.items()) if isinstance(fields, Mapping) else fields
    now = int(clock.timestamp())

    def date(match: re.Match[str]) -> str:
        return format_timestamp(now + int(match[1] or 0))

    return [(name, re.sub(r"\{now([+-]\d+)?\}", date, value)) for name, value in pairs]


async def play(steps: tuple[Step, ...], options: Mapping[str, Any]) -> None:
    """Go through the steps of a case."""
    reached: list[Request] = []
    current = steps[0]

    async def origin(request: Request) -> Response:
        reached.append(request)
        seen.update(request.headers)
        response = Response(current.body or f"answer {len(reached)}", current.status)
        known.add(response.body)
        for name, value in _pairs(current.answer):
            response.headers.pop("content-type" if name == "content-type" else "-")
            response.headers.add(name, value)
        return response

    cache = Cache("memory://")
    app = Oxidite(resources=[cache], middleware=[http_cache(cache, **options)])
    app.route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])(
        origin
    )
    seen: dict[str, str] = {}
    known = set[bytes]()
    with clock.use(TravelClock()) as time:
        async with Client(app) as client:
            for number, step in enumerate(steps, 1):
                current = step
                time.jump(step.wait)
                before = len(reached)
                seen.clear()
                got = await client.request(step.method, step.path, headers=_pairs(step.send))
                while tasks := cache._core.background._tasks:
                    await next(iter(tasks))
                was_hit = len(reached) == before
                where = f"step {number}: {got.status_code} {got.headers.get('cache-status')}"
                assert was_hit == step.hit, where
                if step.hit and got.status_code == 200 and step.method == "GET":
                    assert got.content in known, where
                    assert not step.body or got.text == step.body, where
                _check(step, got, seen, where)


def _check(step: Step, got: Answer, seen: Mapping[str, str], where: str) -> None:
    assert "cache-status" in got.headers, where
    if step.shows is not None:
        assert got.status_code == step.shows, where
    for name, value in _pairs(step.has):
        assert got.headers.get(name) == value or (value == "-" and name not in got.headers), (
            f"{where}: {name}: {got.headers.get(name)}"
        )
    for name, value in _pairs(step.asked):
        assert seen.get(name) == value or (value == "-" and name not in seen), (
            f"{where}: origin saw {name}: {seen.get(name)}"
        )
