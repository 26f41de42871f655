"""Tasks that the tests of queues run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from msgspec import Struct

from oxidite import Depends, clock
from oxidite.queue import (
    Cancel,
    Discard,
    JobContext,
    Retry,
    RetryAt,
    Snooze,
    Uniqueness,
    current_job,
    given,
    task,
)

seen: list[object] = []


class Place(Struct):
    """Where it is."""

    x: int
    y: int = 0


class Mailer:
    """A resource."""

    sent: list[str]

    def __init__(self) -> None:
        self.sent = []

    async def __aenter__(self) -> Mailer:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def session() -> AsyncIterator[str]:
    """A dependency that cleans up, and sees errors."""
    seen.append("opened")
    try:
        yield "session"
    except ValueError:
        seen.append("failed")
        raise
    finally:
        seen.append("closed")


@task
async def add(a: int, b: int = 2) -> int:
    return a + b


@task
async def double(number: int) -> int:
    return number * 2


@task
async def note(text: str, number: int = 0) -> None:
    seen.append((text, number))


@task
def in_a_thread(place: Place) -> Place:
    return Place(place.y, place.x)


@task(retry=Retry(times=2, first=10.0, jitter=0.0))
async def fails(message: str = "no luck") -> None:
    seen.append("tried")
    raise ValueError(message)


@task(retry=Retry(times=2, first=1.0, never=(KeyError,)))
async def fails_for_good() -> None:
    raise KeyError("never again")


@task(retry=Retry(times=0))
async def fails_for_good_with(number: int) -> int:
    raise KeyError(f"never again, {number}")


@task
async def note_number(number: int) -> None:
    seen.append(number)


@task
async def says(what: str) -> int | Snooze | Cancel | Discard | RetryAt:
    if what == "snooze":
        return Snooze(10.0)
    if what == "cancel":
        return Cancel()
    if what == "discard":
        return Discard("of no use")
    if what == "retry":
        return RetryAt(clock.now() + timedelta(seconds=100), "not yet")
    if what == "snooze for no number":
        return Snooze(float("nan"))
    if what == "snooze for ever":
        return Snooze(float("inf"))
    if what == "retry without a zone":
        return RetryAt(clock.now().replace(tzinfo=None))
    return 1


@task
async def sends(to: str, mailer: Mailer = given()) -> int:
    mailer.sent.append(to)
    return len(mailer.sent)


@task(retry=Retry(times=0))
async def uses_session(fail: bool, session: str = Depends(session)) -> str:
    if fail:
        raise ValueError("in the job")
    return session


@task
async def tells(job: JobContext = given()) -> str:
    await job.progress(1, 4, "a quarter")
    assert current_job() is job
    return f"{job.queue} {job.attempt}"


@task(retry=Retry(times=3, first=0.0))
async def resumes(job: JobContext = given()) -> int:
    done = job.state(int) or 0
    await job.save(done + 1)
    if done < 2:
        raise ValueError("again")
    return done


@task(timeout=0.05, retry=Retry(times=0))
async def hangs() -> None:
    await asyncio.Event().wait()


@task
async def waits() -> None:
    seen.append("began")
    await asyncio.Event().wait()


@task(unique=Uniqueness(by=("user",)))
async def once(user: int, text: str = "") -> None:
    seen.append((user, text))


@task(version=3, upgrades={1: lambda old: {"name": old["n"]}, 2: lambda old: {**old, "size": 1}})
async def grown(name: str, size: int) -> str:
    return f"{name} {size}"


@task(name="with a name of its own", aliases=["as it was called before"])
async def named() -> str:
    return "found"


async def no_task() -> None:
    """Nothing that a job may run."""
