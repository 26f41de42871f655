"""From a request into a job, and from a job to a browser."""

from __future__ import annotations

import importlib
from pathlib import Path
from uuid import UUID

import pytest
from tests.unit.queue.places import EVERYWHERE, own_store

from oxidite import Events, Oxidite, Request, Response
from oxidite.carried import Carried, locale, user
from oxidite.db import Tenancy
from oxidite.http.streams import EventStream
from oxidite.http.types import Handler
from oxidite.middleware import request_id
from oxidite.middleware.identity import current_identity
from oxidite.queue import JobContext, JobUpdate, Queue, Retry, Worker, given, task
from oxidite.testing import Client

tenancy = Tenancy[int](name="test of requests", type=int)
theme = Carried("test theme")


@task
async def tells() -> list[object]:
    identity = current_identity()
    request, trace = (identity.request_id, identity.trace.trace_id) if identity else (None, None)
    return [user.get(), locale.get(), theme.get(), tenancy.current(), request, trace]


@task
def tells_from_a_thread() -> list[object]:
    return [user.get(), locale.get(), theme.get(), tenancy.current()]


@task(retry=Retry(times=0))
async def counts(to: int, job: JobContext = given()) -> int:
    for number in range(to):
        await job.progress(number + 1, to, f"{number + 1} of {to}")
    if to == 13:
        raise ValueError("a secret of the server")
    return to


async def who(request: Request, call_next: Handler) -> Response:
    """Say whose request it is, as whatever knows users, tenants and languages does."""
    with (
        user.of(request.headers["x-user"]),
        locale.of("de-AT"),
        theme.of("dark"),
        tenancy.of(int(request.headers["x-tenant"])),
    ):
        return await call_next(request)


@pytest.mark.parametrize("kind", EVERYWHERE)
async def test_a_job_is_of_the_user_tenant_locale_and_trace_of_its_request(
    kind: str, tmp_path: Path
) -> None:
    async with own_store(kind, tmp_path) as store:
        queue = Queue(store, tasks=[__name__])
        app = Oxidite(resources=[queue, Worker(queue)], middleware=[request_id(), who])

        @app.post("/")
        async def push(queue: Queue) -> list[UUID]:
            first = await queue.enqueue(tells)
            return [first.id, (await queue.enqueue(tells_from_a_thread)).id]

        async with Client(app) as client:
            # Several at once, so that what is one's could get into the job of another.
            for number in range(1, 4):
                headers = {"x-user": f"u{number}", "x-tenant": str(number)}
                answer = await client.post("/", headers=headers)
                ids = [UUID(each) for each in answer.json()]
                first, second = (
                    queue.handle(ids[0], tells),
                    queue.handle(ids[1], tells_from_a_thread),
                )
                found = await first.result(20)
                assert found[:4] == [f"u{number}", "de-AT", "dark", number]
                assert found[4] == answer.headers["x-request-id"]
                assert len(str(found[5])) == 32
                assert await second.result(20) == [f"u{number}", "de-AT", "dark", number]
        assert user.get() is locale.get() is None


IN_A_PROCESS = """
from oxidite.carried import Carried, locale, user
from oxidite.db import Tenancy
from oxidite.queue import Retry, task

shop = Tenancy(name="test of processes", type=int)
colours = Carried("test colours")

@task(run="process", retry=Retry(times=0))
def tells() -> list[object]:
    return [user.get(), locale.get(), colours.get(), shop.current()]
"""


async def test_a_job_in_a_process_takes_it_along_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in_a_process.py").write_text(IN_A_PROCESS)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("in_a_process")
    async with Queue.from_url("memory://", tasks=[module.tells]) as queue, Worker(queue):
        # One after the other in the same process: what was one's is not left there.
        with user.of("ada"), module.colours.of("dark"), module.shop.of(7):
            first = await queue.enqueue(module.tells)
        assert await first.result(30) == ["ada", None, "dark", 7]
        with locale.of("de-AT"), module.shop.of(8):
            second = await queue.enqueue(module.tells)
        assert await second.result(30) == [None, "de-AT", None, 8]


async def test_what_a_job_pushes_is_of_the_same_user() -> None:
    async with Queue.from_url("memory://", tasks=[__name__]) as queue:
        with user.of("ada"), locale.of("en"), tenancy.of(1):
            handle = await queue.enqueue(tells.job().after(tells.job()))
        async with Worker(queue):
            assert (await handle.result(10))[:2] == ["ada", "en"]


def application() -> Oxidite:
    queue = Queue.from_url("memory://", tasks=[__name__])
    app = Oxidite(resources=[queue, Worker(queue)])

    @app.get("/jobs/{id}")
    async def watch(id: UUID, queue: Queue) -> Events[JobUpdate[int]]:
        async for update in queue.handle(id, counts).updates():
            yield update

    @app.get("/looked-up/{id}")
    async def look(id: UUID, queue: Queue) -> EventStream[JobUpdate[int]]:
        handle = queue.handle(id, counts)
        await handle.job()
        return EventStream(handle.updates())

    @app.post("/jobs")
    async def push(to: int, queue: Queue) -> UUID:
        return (await queue.enqueue(counts, to)).id

    return app


async def test_progress_and_result_go_to_a_browser() -> None:
    async with Client(application()) as client:
        id = (await client.post("/jobs?to=3")).json()
        events = [each async for each in client.events("GET", f"/jobs/{id}")]
    last = events[-1].json(JobUpdate[int])
    assert (last.state, last.done, last.note, last.result) == ("completed", 1.0, "3 of 3", 3)


async def test_why_a_job_failed_does_not() -> None:
    async with Client(application()) as client:
        id = (await client.post("/jobs?to=13")).json()
        events = [each async for each in client.events("GET", f"/jobs/{id}")]
    assert events[-1].json(JobUpdate[int]).state == "dead"
    assert "secret" not in "".join(each.data for each in events)


async def test_a_job_that_is_not_there_is_not_found() -> None:
    async with Client(application()) as client:
        answer = await client.get(f"/looked-up/{UUID(int=7)}")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
        id = (await client.post("/jobs?to=2")).json()
        events = [each async for each in client.events("GET", f"/looked-up/{id}")]
    assert events[-1].json(JobUpdate[int]).result == 2
