"""What jobs are given and take along: as handlers are, and from where they were pushed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.queue import jobs

from oxidite import Depends, Oxidite
from oxidite.db import Col, Database, MissingTenantError, Model, Tenancy, col
from oxidite.instrument import Span, listen
from oxidite.middleware import request_id
from oxidite.middleware.identity import current_identity
from oxidite.queue import Queue, Worker, carry, current_job, given, task
from oxidite.queue.stores.memory import MemoryStore
from oxidite.testing import Client

made: list[str] = []
tenancy = Tenancy[int](name="test of jobs", type=int)
unnamed = Tenancy[int]()


class Note(Model, table="queue_notes"):
    id: Col[int] = col(pk=True, init=False)
    text: Col[str]


def one_of_all() -> Iterator[str]:
    made.append("made")
    yield "one"
    made.append("unmade")


async def one_each(one: str = Depends(one_of_all, scope="app")) -> AsyncIterator[str]:
    made.append("opened")
    yield f"{one} each"
    made.append("closed")


def stands_in() -> str:
    return "stands in"


@task
async def depends(first: str = Depends(one_each), again: str = Depends(one_each)) -> str:
    made.append("ran")
    return f"{first}, {again}"


@task
def depends_in_a_thread(value: str = Depends(one_each)) -> str:
    assert current_job() is not None
    return f"{value} {threading.current_thread() is threading.main_thread()}"


@task
async def tells_trace() -> list[str]:
    identity = current_identity()
    assert identity is not None
    return [
        identity.request_id,
        identity.trace.trace_id,
        identity.trace.parent_id,
        identity.trace.span_id,
    ]


@task
async def tells_tenant() -> int:
    return tenancy.current()


@task
async def tells_unnamed() -> int | None:
    try:
        return unnamed.current()
    except MissingTenantError:
        return None


@task
async def writes(text: str, fail: bool = False, db: Database = given()) -> int:
    async with db.transaction():
        note = await Note.create(text=text)
        if fail:
            raise ValueError("undone")
    return note.id


NAMES = [jobs.__name__, __name__]


@pytest.fixture(autouse=True)
def forgotten() -> None:
    made.clear()
    jobs.seen.clear()


def working(*resources: object) -> tuple[Oxidite, Queue]:
    queue = Queue(MemoryStore(), tasks=NAMES)
    # The worker before what its jobs use: it begins last and ends first wherever it stands.
    return Oxidite(resources=[Worker(queue), queue, *resources]), queue  # type: ignore[list-item]  # resources


async def test_a_worker_among_the_resources_gives_jobs_those_of_the_application() -> None:
    mailer = jobs.Mailer()
    app, queue = working(mailer)
    async with app.running():
        assert await (await queue.enqueue(jobs.sends, "ada")).result(5) == 1
    assert mailer.sent == ["ada"]


async def test_jobs_that_run_when_the_application_ends_still_have_its_resources() -> None:
    app, queue = working(jobs.Mailer())
    async with app.running():
        handle = await queue.enqueue(jobs.sends, "ada")
        await queue.store.wait(["default"], 0.01)
    assert (await handle.job()).state in ("completed", "waiting")
    assert (await handle.job()).failures == 0


async def test_dependencies_are_made_once_in_their_scope_and_clean_up() -> None:
    app, queue = working()
    async with app.running():
        assert await (await queue.enqueue(depends)).result(5) == "one each, one each"
        assert made == ["made", "opened", "ran", "closed"]
        assert await (await queue.enqueue(depends_in_a_thread)).result(5) == "one each False"
        assert made[4:] == ["opened", "closed"]
    assert made[6:] == ["unmade"]


async def test_overrides_of_tests_hold_in_jobs() -> None:
    app, queue = working(jobs.Mailer())
    other = jobs.Mailer()
    app.lifespan.override(jobs.Mailer, other)
    app.lifespan.replace(one_each, stands_in)
    async with app.running():
        await (await queue.enqueue(jobs.sends, "ada")).result(5)
        assert await (await queue.enqueue(depends)).result(5) == "stands in, stands in"
    assert other.sent == ["ada"]


async def test_jobs_have_the_database_as_handlers_do(tmp_path: Path) -> None:
    database = Database.from_url(f"sqlite:///{tmp_path / 'app.db'}")
    app, queue = working(database)
    async with app.running():
        await database.push(Note)
        assert await (await queue.enqueue(writes, "kept")).result(5) == 1
        undone = await queue.enqueue(writes, "undone", fail=True)
        while not (await undone.job()).failures:
            await queue.store.wait(["default"], 0.01)
        assert [each.text for each in await Note.all()] == ["kept"]


async def test_a_job_is_in_the_trace_of_the_request_that_pushed_it() -> None:
    app, _ = working()
    app.middleware = [request_id()]

    @app.post("/")
    async def push(queue: Queue) -> list[str]:
        identity = current_identity()
        assert identity is not None
        handle = await queue.enqueue(tells_trace)
        found = await handle.result(5)
        return [identity.request_id, identity.trace.trace_id, identity.trace.span_id, *found]

    async with Client(app) as client:
        own, trace, span, job_own, job_trace, job_parent, job_span = (await client.post("/")).json()
    assert (job_own, job_trace, job_parent) == (own, trace, span)
    assert job_span != span
    assert len(job_span) == 16


async def test_a_job_is_of_the_tenant_that_pushed_it_if_the_tenancy_has_a_name() -> None:
    app, queue = working()
    async with app.running():
        with tenancy.of(7), unnamed.of(8):
            handle = await queue.enqueue(tells_tenant)
            other = await queue.enqueue(tells_unnamed)
        assert await handle.result(5) == 7
        assert await other.result(5) is None


async def test_what_is_carried_may_be_anything_that_has_a_name() -> None:
    around: list[str] = []

    @contextmanager
    def restore(text: str) -> Iterator[None]:
        around.append(f"in {text}")
        yield
        around.append("out")

    carry("a test", lambda: "de", restore)
    app, queue = working()
    try:
        async with app.running():
            await (await queue.enqueue(jobs.add, 1)).result(5)
    finally:
        carry("a test", lambda: None, restore)
    assert around == ["in de", "out"]


class Heard:
    """What was told by spans and events."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, dict[str, object], str | None]] = []
        self.events: list[str] = []

    def span_started(self, span: Span) -> None:
        """Hear nothing yet."""

    def span_ended(self, span: Span, error: BaseException | None) -> None:
        """Hear it."""
        self.spans.append((span.name, span.attributes, type(error).__name__ if error else None))

    def event(self, name: str, attributes: Mapping[str, object]) -> None:
        """Hear it."""
        self.events.append(name)


async def test_what_becomes_of_jobs_is_told() -> None:
    app, queue = working()
    heard = Heard()
    with listen(heard):
        async with app.running():
            await (await queue.enqueue(jobs.add, 1)).result(5)
            handle = await queue.enqueue(jobs.fails)
            while not (await handle.job()).failures:
                await queue.store.wait(["default"], 0.01)
    enqueued = [attributes for name, attributes, _ in heard.spans if name == "queue.enqueue"]
    assert [each["task"] for each in enqueued] == [jobs.add.name, jobs.fails.name]
    ran = [attributes for name, attributes, _ in heard.spans if name == "queue.job"]
    assert [each["outcome"] for each in ran] == ["completed", "retry"]
    assert [each.get("error") for each in ran] == [None, "ValueError"]
