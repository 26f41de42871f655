"""``oxidite queue`` and ``oxidite cron``, as they are used, with a store that outlives a command."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import pytest
from msgspec import structs
from tests.unit.cli.conftest import Command

from oxidite.queue import Filter, Limits, Queue, Rate
from oxidite.testing.queue import drain

T = TypeVar("T")

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TOO_MANY = "default: 3 of 4 attempts failed in the last 5 min, more than 50 %\n"


APP = """
    from oxidite import Oxidite
    from oxidite.queue import Queue, Retry, Worker, task
    from oxidite.queue.stores.memory import MemoryStore

    class Kept(MemoryStore):
        # The commands of a test run in one process, so all of them see it.
        is_shared = True

    opened = []

    class Before:
        async def __aenter__(self):
            opened.append("before")
        async def __aexit__(self, *exc_info):
            opened.append("closed")

    class After(Before):
        async def __aenter__(self):
            opened.append("after")

    @task
    async def send(to: str, times: int = 1) -> str:
        return to

    @task(retry=Retry(times=0))
    async def sign(user: int, password: str) -> None:
        raise PermissionError(f"user {user} with {password}")

    @task(retry=Retry(times=0), version=2, upgrades={1: lambda old: old})
    async def breaks(number: int) -> None:
        raise ZeroDivisionError(f"{number} by zero")

    queue = Queue(Kept(), tasks=["app"])
    queue.cron("0 3 * * *", send.job("nightly"), name="nightly", zone="Europe/Berlin")
    app = Oxidite(resources=[Before(), Worker(queue), queue, After()])
"""


@pytest.fixture
def project(oxidite: Command) -> Command:
    oxidite.write("app.py", APP)
    assert oxidite("queue", "list").code == 0
    return oxidite


def in_queue(work: Callable[[Any, Queue], Awaitable[T]]) -> T:
    """Do something in the module of the application with its queue."""
    app = importlib.import_module("app")

    async def inside() -> T:
        async with app.queue as queue:
            return await work(app, queue)

    return asyncio.run(inside())


async def fail(app: Any, queue: Queue) -> None:
    await queue.enqueue(app.send, "ada@example.org")
    await queue.enqueue(app.breaks, 1)
    await queue.enqueue(app.breaks, 2)
    await queue.enqueue(app.sign, 7, "hunter2-is-mine")
    await drain(queue, raise_errors=False)
    await queue.enqueue(app.send.options(delay=120.5, queue="mail"), "later")


def ids_of(project: Command, *args: str) -> list[str]:
    return [each["id"] for each in json.loads(project("queue", "list", "--json", *args).out)]


def test_only_the_queue_and_what_stands_before_it_is_opened(project: Command) -> None:
    assert importlib.import_module("app").opened == ["before", "closed"]
    assert project("queue", "stats").err == "There are no jobs.\n\nNo worker runs.\n"


def test_jobs_are_listed_the_newest_first(project: Command) -> None:
    assert project("queue", "list").err == "There are no jobs.\n"
    in_queue(fail)
    lines = project("queue", "list").out.splitlines()
    assert lines[0].split() == ["ID", "STATE", "TASK", "QUEUE", "WHEN", "ATTEMPT", "ERROR"]
    assert re.fullmatch(r"[0-9a-f-]{36}  waiting +app:send +mail +in 2 min", lines[1])
    assert re.search(
        r"  dead +app:breaks +default +now +1 +ZeroDivisionError: 2 by zero$", lines[3]
    )
    assert len(lines) == 6


def test_a_list_is_filtered(project: Command) -> None:
    in_queue(fail)
    every = json.loads(project("queue", "list", "--json").out)
    assert [each["state"] for each in every] == ["waiting", "dead", "dead", "dead", "completed"]
    assert len(ids_of(project, "--task", "breaks")) == 2
    assert len(ids_of(project, "--task", "app:send", "--state", "completed")) == 1
    assert len(ids_of(project, "--queue", "mail")) == 1
    assert len(ids_of(project, "--state", "waiting", "--state", "completed")) == 2
    assert project("queue", "list", "--queue", "no").err == "There are no such jobs.\n"
    few = project("queue", "list", "--limit", "2")
    assert (len(few.out.splitlines()), few.err) == (3, "There are more: --limit 20\n")


def test_a_task_that_has_no_jobs_is_told_with_those_that_have(project: Command) -> None:
    in_queue(fail)
    near = project("queue", "list", "--task", "brakes")
    assert (near.code, near.err) == (
        1,
        "Error: There is no job of a task 'brakes'; did you mean 'app:breaks'?\n",
    )
    done = project("queue", "list", "--task", "xyz")
    assert done.code == 1
    assert done.err == (
        "Error: There is no job of a task 'xyz'. There are jobs of: app:breaks, app:send, app:sign.\n"
    )


def test_a_job_is_shown_with_its_arguments_and_its_error(project: Command) -> None:
    in_queue(fail)
    id = ids_of(project, "--task", "breaks")[0]
    shown = project("queue", "show", id).out
    assert shown.startswith(f"app:breaks {id}\n  state         dead\n")
    assert "\narguments\n  number = 2\n" in shown
    assert "  Traceback (most recent call last):\n" in shown
    assert shown.endswith("  ZeroDivisionError: 2 by zero\n")
    job = json.loads(project("queue", "show", id, "--json").out)
    assert (job["arguments"], job["version"], job["error"]) == (
        {"number": 2},
        2,
        "ZeroDivisionError: 2 by zero",
    )
    (sent,) = ids_of(project, "--state", "completed")
    assert json.loads(project("queue", "show", sent, "--json").out)["result"] == "ada@example.org"


def test_secrets_of_a_job_are_masked_wherever_they_appear(project: Command) -> None:
    in_queue(fail)
    (id,) = ids_of(project, "--task", "sign")
    for args in (["queue", "show", id], ["queue", "show", id, "--json"]):
        out = project(*args).out
        assert "hunter2" not in out
        assert "[redacted]" in out
        assert "user 7 with [redacted]" in out
    for args in (["queue", "list"], ["queue", "list", "--json"], ["queue", "dlq"]):
        out = project(*args).out
        assert "hunter2" not in out
        assert "user 7 with [redacted]" in out


def test_a_job_of_a_task_that_is_gone_is_shown_as_it_is_kept(project: Command) -> None:
    in_queue(fail)
    del importlib.import_module("app").queue.tasks._tasks["app:breaks"]
    delattr(importlib.import_module("app"), "breaks")
    id = ids_of(project, "--task", "breaks")[0]
    assert json.loads(project("queue", "show", id, "--json").out)["arguments"] == {"number": 2}
    edited = project("queue", "edit", id, "--args", '{"number": 3}')
    assert edited.code == 1
    assert "app:breaks" in edited.err


def test_what_would_move_the_cursor_is_written_out(project: Command) -> None:
    async def push(app: Any, queue: Queue) -> None:
        new = queue.new_job(app.send.job("\x1b]0;title\x07"))
        # As by whoever else can write to the store.
        await queue.push([structs.replace(new, queue="\x1b[2Jevil")])

    in_queue(push)
    (id,) = ids_of(project)
    for args in (["queue", "list"], ["queue", "show", id], ["queue", "stats"]):
        out = project(*args).out
        assert "\x1b" not in out
        assert "\\x1b[2Jevil" in out


def test_dead_letters_are_grouped_by_what_they_died_of(project: Command) -> None:
    assert project("queue", "dlq").err == "There are no dead letters.\n"
    in_queue(fail)
    done = project("queue", "dlq")
    lines = done.out.splitlines()
    assert lines[1].split()[:2] == ["2", "app:breaks"]
    assert "ZeroDivisionError: 2 by zero" in lines[1]
    assert lines[2].split()[:2] == ["1", "app:sign"]
    assert done.err == "3 jobs in 2 groups.\n"
    groups = json.loads(project("queue", "dlq", "--json").out)
    assert [each["count"] for each in groups] == [2, 1]
    assert groups[0]["last_id"] == ids_of(project, "--task", "breaks")[0]


def test_dead_letters_run_again_by_id_task_and_fingerprint(project: Command) -> None:
    in_queue(fail)
    first = ids_of(project, "--task", "breaks")[0]
    assert project("queue", "retry", first).err == "1 job retried.\n"
    assert ids_of(project, "--task", "breaks", "--state", "waiting") == [first]
    mark = json.loads(project("queue", "dlq", "--task", "sign", "--json").out)[0]["fingerprint"]
    assert project("queue", "retry", "--fingerprint", mark).err == "1 job retried.\n"
    assert json.loads(project("queue", "retry", "--all", "--json").out) == {"retried": 1}
    nothing = project("queue", "retry", "--task", "breaks")
    assert (nothing.code, nothing.err) == (1, "There was no job to be retried.\n")
    assert len(ids_of(project, "--state", "completed")) == 1


@pytest.mark.parametrize("command", ["retry", "cancel", "clear"])
def test_nothing_is_changed_because_nothing_was_said(project: Command, command: str) -> None:
    in_queue(fail)
    done = project("queue", command)
    assert done.code == 2
    assert "Which jobs? Name ids" in done.err
    assert len(ids_of(project)) == 5


def test_an_edited_job_runs_with_its_new_arguments(project: Command) -> None:
    async def push(app: Any, queue: Queue) -> None:
        await queue.enqueue(app.send.options(delay=100.0), "nobody")

    in_queue(push)
    (id,) = ids_of(project)
    for wrong in ('{"to": 7}', "{", '{"to": "x", "cc": "y"}', "{}"):
        done = project("queue", "edit", id, "--args", wrong)
        assert done.code == 1
        assert done.err.startswith("Error: app:send cannot be given these arguments: ")
    done = project("queue", "edit", id, "--args", '{"to": "ada@example.org"}')
    assert (done.code, done.err) == (0, f"app:send {id} waits with its new arguments.\n")

    async def run(app: Any, queue: Queue) -> object:
        await drain(queue)
        (job,) = [each async for each in queue.find(Filter())]
        return await queue.handle(job.id).result(0)

    assert in_queue(run) == "ada@example.org"


def test_arguments_are_edited_as_those_of_the_version_that_is_there_now(project: Command) -> None:
    async def push(app: Any, queue: Queue) -> None:
        call = app.breaks.job(1)
        await queue.push([_of_version(queue.new_job(call), 9)])
        await drain(queue, raise_errors=False)

    in_queue(push)
    (id,) = ids_of(project)
    shown = json.loads(project("queue", "show", id, "--json").out)
    assert "newer than 2" in shown["error"]
    assert project("queue", "edit", id, "--args", '{"number": 5}').code == 0
    in_queue(lambda _, queue: drain(queue, raise_errors=False))
    assert "5 by zero" in json.loads(project("queue", "show", id, "--json").out)["error"]


def _of_version(job: Any, version: int) -> Any:
    from msgspec import structs

    return structs.replace(job, version=version)


def test_what_waits_is_cancelled(project: Command) -> None:
    in_queue(fail)
    assert project("queue", "cancel", "--queue", "mail", "--state", "running").code == 1
    assert project("queue", "cancel", "--queue", "mail").err == "1 job cancelled.\n"
    assert len(ids_of(project, "--state", "cancelled")) == 1
    assert project("queue", "cancel", "--all").code == 1
    assert project("queue", "retry", "--state", "cancelled").err == "1 job retried.\n"
    assert len(ids_of(project, "--state", "waiting")) == 1


def test_what_has_ended_is_forgotten_and_what_waits_only_if_it_is_said(project: Command) -> None:
    in_queue(fail)
    asks = project("queue", "clear", "--all")
    assert asks.code == 2
    assert "This forgets 4 jobs: say --yes where nobody can be asked." in asks.err
    assert project("queue", "clear", "--task", "breaks", "--yes").err == "2 jobs forgotten.\n"
    assert project("queue", "clear", "--all", "--yes").err == "2 jobs forgotten.\n"
    assert project("queue", "clear", "--all", "--yes").code == 1
    assert len(ids_of(project)) == 1
    running = project("queue", "clear", "--state", "running", "--yes")
    assert (running.code, "oxidite queue cancel" in running.err) == (2, True)
    assert project("queue", "clear", "--state", "waiting", "--yes").code == 0
    assert ids_of(project) == []


def test_a_queue_pauses_and_goes_on(project: Command) -> None:
    assert project("queue", "pause", "mail", "reports").code == 0
    lines = project("queue", "stats").out.splitlines()
    assert [line.split()[0] for line in lines[1:] if line.endswith("paused")] == ["mail", "reports"]
    assert project("queue", "resume", "mail").err == "Jobs begin again: mail.\n"
    seen = json.loads(project("queue", "stats", "--json").out)
    assert {each["name"]: each["paused"] for each in seen["queues"]} == {
        "mail": False,
        "reports": True,
    }


def test_a_drain_tells_what_still_runs_when_its_time_is_over(project: Command) -> None:
    async def claim(app: Any, queue: Queue) -> None:
        await queue.enqueue(app.send, "ada")
        await queue.store.enter("w", b"", 600.0)
        await queue.store.exchange("w", [], ["default"], 1)

    assert project("queue", "drain").err == "Paused, and nothing runs: default.\n"
    assert project("queue", "resume").code == 0
    in_queue(claim)
    done = project("queue", "drain", "--within", "0")
    assert (done.code, done.err) == (1, "app:send of default still runs: 1 job\n")
    assert json.loads(project("queue", "stats", "--json").out)["queues"][0]["paused"] is True


def test_health_says_which_queue_waits_too_long(project: Command) -> None:
    assert project("queue", "health", "--max-wait", "60").err == "Jobs are well.\n"

    async def push(app: Any, queue: Queue) -> None:
        await queue.enqueue(app.send, "ada")
        await queue.enqueue(app.send.options(queue="mail", at=LONG_AGO), "ada")
        await queue.enqueue(app.send.options(queue="rests", at=LONG_AGO), "ada")
        await queue.pause("rests")

    in_queue(push)
    done = project("queue", "health", "--max-wait", "60")
    assert done.code == 1
    assert re.fullmatch(r"mail: a job has waited for \d+ s, more than 60 s\n", done.err)
    (problem,) = json.loads(project("queue", "health", "--max-wait", "60", "--json").out)
    assert (problem["queue"], problem["kind"], problem["limit"]) == ("mail", "wait", 60.0)
    assert problem["value"] > 86_400
    named = project("queue", "health", "default", "rests", "--max-wait", "60")
    assert (named.code, named.err) == (0, "Jobs are well.\n")


def test_health_says_of_which_queue_too_many_attempts_fail(project: Command) -> None:
    in_queue(fail)
    assert project("queue", "health", "--max-failures", "0.8").code == 0
    done = project("queue", "health", "--max-failures", "0.5")
    assert (done.code, done.err) == (1, TOO_MANY)
    few = project("queue", "health", "--max-failures", "0.5", "--least", "5")
    assert few.code == 0
    nothing = project("queue", "health")
    assert nothing.code == 2
    assert "--max-wait, --max-failures or both" in nothing.err


def test_statistics_tell_of_queues_tasks_and_workers(project: Command) -> None:
    in_queue(fail)

    async def more(app: Any, queue: Queue) -> None:
        await queue.limit("mail", Limits(running=20, rate=Rate(100, 60.0), each=2, fair=True))
        await queue.store.enter("host:1:ab", b"", 30.4)

    in_queue(more)
    done = project("queue", "stats")
    assert "running 20, 100 in 1 min, each 2, fair" in done.out
    assert re.search(r"^app:breaks +default +0 +0 +2 ", done.out, re.MULTILINE)
    assert re.search(r"^host:1:ab +0 +ends in 30 s$", done.out, re.MULTILINE)
    seen = json.loads(project("queue", "stats", "--json").out)
    assert {each["task"]: (each["completed"], each["dead"]) for each in seen["tasks"]} == {
        "app:breaks": (0, 2),
        "app:send": (1, 0),
        "app:sign": (0, 1),
    }
    assert [(each["name"], each["dead"]) for each in seen["queues"]] == [
        ("default", 3),
        ("mail", 0),
    ]


def test_schedules_are_listed_run_and_put_to_rest(project: Command) -> None:
    line = project("cron", "list").out.splitlines()[1]
    assert re.fullmatch(
        r"nightly +0 3 \* \* \* +Europe/Berlin +app:send +\d{4}-\d\d-\d\d 03:00:00 CES?T +program",
        line,
    )
    slots = json.loads(project("cron", "next", "--count", "3", "--json").out)
    assert [each["name"] for each in slots] == ["nightly"] * 3
    assert len(project("cron", "next", "nightly", "--count", "2").out.splitlines()) == 3
    id = project("cron", "run", "nightly").out.strip()
    assert ids_of(project) == [id]
    assert project("cron", "disable", "nightly").err == "nightly is disabled.\n"
    assert "(disabled)" in project("cron", "list").out
    assert project("cron", "next").err == "No schedule is enabled.\n"
    assert project("cron", "enable", "nightly").code == 0
    assert json.loads(project("cron", "list", "--json").out)[0]["enabled"] is True


@pytest.mark.parametrize("command", ["run", "enable", "disable", "next"])
def test_a_schedule_that_is_not_there_is_told_with_those_that_are(
    project: Command, command: str
) -> None:
    done = project("cron", command, "weekly")
    assert (done.code, done.err) == (
        1,
        "Error: There is no schedule 'weekly'. There are: nightly.\n",
    )


def test_an_unknown_job_is_a_failure_and_no_id_is_wrong_usage(project: Command) -> None:
    missing = project("queue", "show", "019ac0de-7b1e-7000-8000-000000000001")
    assert missing.code == 1
    assert "There is no job 019ac0de-7b1e-7000-8000-000000000001" in missing.err
    assert project("queue", "show", "seven").code == 2
    assert project("queue", "lst").code == 2


def test_an_application_without_a_queue_is_told_how_to_have_one(oxidite: Command) -> None:
    oxidite.write("app.py", "from oxidite import Oxidite\napp = Oxidite()")
    done = oxidite("queue", "list")
    assert done.code == 1
    assert "Oxidite(resources=[Queue.from_url(…)])" in done.err


def test_a_queue_in_the_memory_of_another_process_is_not_shown_as_empty(oxidite: Command) -> None:
    oxidite.write(
        "app.py",
        """
        from oxidite import Oxidite
        from oxidite.queue import Queue
        app = Oxidite(resources=[Queue.from_url("memory://")])
        """,
    )
    done = oxidite("queue", "list")
    assert done.code == 1
    assert "in the memory of the process that pushes them" in done.err


def test_a_queue_in_the_database_of_the_application_is_seen_by_every_process(
    oxidite: Command,
) -> None:
    oxidite.write(
        "app.py",
        """
        from oxidite import Oxidite
        from oxidite.db import Database
        from oxidite.queue import Queue, task

        db = Database.from_url("sqlite:///app.db")
        queue = Queue.from_url("db", resources=[db])
        app = Oxidite(resources=[db, queue])

        @task
        async def send(to: str) -> None: ...

        queue.cron("@daily", send.job("all"), name="daily")
        """,
    )
    id = oxidite.apart("cron", "run", "daily").out.strip()
    shown = oxidite.apart("queue", "show", id, "--json")
    assert json.loads(shown.out)["arguments"] == {"to": "all"}
    assert oxidite.apart("queue", "cancel", id).err == "1 job cancelled.\n"
    assert id in oxidite.apart("queue", "list", "--state", "cancelled").out


def test_of_several_queues_one_is_chosen_by_its_class(oxidite: Command) -> None:
    oxidite.write(
        "app.py",
        APP.replace(
            "app = Oxidite",
            "class Slow(Queue): ...\n    slow = Slow(Kept(), tasks=['app'])\n    app = Oxidite",
        ).replace("queue, After()", "queue, slow, After()"),
    )
    several = oxidite("queue", "list")
    assert (several.code, "--which with one of Queue, Slow" in several.err) == (1, True)
    assert oxidite("queue", "list", "--which", "Slow").err == "There are no jobs.\n"
    assert "There is no" not in oxidite("queue", "list", "--which", "Queue").err
    assert "It has: Queue, Slow." in oxidite("queue", "list", "--which", "Fast").err


@pytest.mark.parametrize("command", [["queue", "list"], ["queue", "dlq"], ["cron", "list"]])
def test_an_application_is_named_with_and_without_its_option(
    project: Command, command: list[str]
) -> None:
    in_queue(fail)
    said = project(*command)
    assert said.code == 0
    assert said.out
    for named in (["app:app"], ["--app", "app:app"], ["app.py"]):
        assert project(*command, *named).out == said.out
    missing = project(*command, "nowhere:app")
    assert (missing.code, "nowhere" in missing.err) == (1, True)
    twice = project(*command, "app:app", "--app", "app:app")
    assert (twice.code, "said twice: app:app, and --app app:app" in twice.err) == (2, True)


def test_work_takes_the_application_as_the_others_do(project: Command) -> None:
    for named in (["nowhere:app"], ["--app", "nowhere:app"]):
        done = project.apart("queue", "work", *named)
        assert done.code == 1
        assert "There is no module 'nowhere'" in done.err
    assert project.apart("queue", "work", "app:app", "--app", "app:app").code == 2


@pytest.mark.parametrize("command", [["show"], ["edit", "--args", "{}"], ["retry"], ["clear"]])
def test_an_application_in_the_place_of_an_id_is_told_where_it_belongs(
    project: Command, command: list[str]
) -> None:
    done = project("queue", *command, "app:app")
    assert done.code == 2
    assert "'app:app' is no id of a job. Is it the application? --app app:app" in done.err


SEALED = """
    from oxidite import Oxidite
    from oxidite.queue import Queue, Retry, task

    @task(name="pay", retry=Retry(times=0))
    async def pay(to: str, cents: int) -> str:
        if cents == 0:
            raise ValueError(f"nothing for {to}")
        return to

    def made(*secrets):
        return Queue.from_url("sqlite:///sealed.db", tasks=[pay], secret=secrets or None)

    queue = made("a secret of 16 bytes or more")
    app = Oxidite(resources=[queue])
    stranger = Oxidite(resources=[made("quite another secret than that")])
    without = Oxidite(resources=[made()])
"""


@pytest.fixture
def sealed(oxidite: Command) -> Command:
    oxidite.write("app.py", SEALED)
    assert oxidite("queue", "list").code == 0

    async def push(app: Any, queue: Queue) -> None:
        await queue.enqueue(app.pay, "Rumpelstiltskin", 0)
        await queue.enqueue(app.pay, "Rumpelstiltskin", 7)
        await drain(queue, raise_errors=False)

    in_queue(push)
    return oxidite


def test_an_encrypted_job_is_shown_to_who_has_the_secret(sealed: Command) -> None:
    dead, done = ids_of(sealed, "--state", "dead") + ids_of(sealed, "--state", "completed")
    shown = sealed("queue", "show", dead).out
    assert 'to = "Rumpelstiltskin"' in shown
    assert "ValueError: nothing for Rumpelstiltskin" in shown
    job = json.loads(sealed("queue", "show", done, "--json").out)
    assert (job["encrypted"], job["result"]) == (False, "Rumpelstiltskin")
    assert "nothing for Rumpelstiltskin" in sealed("queue", "dlq").out


@pytest.mark.parametrize("app", ["app:stranger", "app:without"])
def test_without_the_secret_a_job_is_said_to_be_encrypted(sealed: Command, app: str) -> None:
    listed = json.loads(sealed("queue", "list", app, "--json").out)
    assert [each["state"] for each in listed] == ["completed", "dead"]
    for each in listed:
        shown = sealed("queue", "show", each["id"], "--app", app)
        assert shown.code == 0
        assert "arguments encrypted with a secret that the queue does not have" in shown.out
        job = json.loads(sealed("queue", "show", each["id"], "--app", app, "--json").out)
        assert (job["encrypted"], job["arguments"], job["result"]) == (True, None, None)
    letters = sealed("queue", "dlq", "--app", app).out
    assert "encrypted: the error is encrypted with a secret that is not" in letters
    said = sealed(
        "queue", "edit", listed[1]["id"], "--args", '{"to": "x", "cents": 1}', "--app", app
    )
    assert said.code == 1
    assert "encrypted" in said.err


def test_an_encrypted_dead_letter_is_edited(sealed: Command) -> None:
    (dead,) = ids_of(sealed, "--state", "dead")
    assert sealed("queue", "edit", dead, "--args", '{"to": "Ada", "cents": 5}').code == 0

    async def run(app: Any, queue: Queue) -> object:
        await drain(queue)
        return await queue.handle(UUID(dead), app.pay).result(0)

    assert in_queue(run) == "Ada"


STEPS = """
    from oxidite import Oxidite
    from oxidite.queue import JobContext, Queue, Retry, given, task
    from oxidite.queue.stores.memory import MemoryStore

    class Kept(MemoryStore):
        is_shared = True

    done = []

    @task(name="sell", retry=Retry(times=0))
    async def sell(order: int, job: JobContext = given()) -> object:
        await job.step("reserve", done.append, "reserve")
        paid = await job.wait_for("paid", dict, key=order, within=3600.0)
        await job.step("deliver", done.append, "deliver")
        return paid

    queue = Queue(Kept(), tasks=[sell])
    app = Oxidite(resources=[queue])
"""


@pytest.fixture
def stepwise(oxidite: Command) -> Command:
    oxidite.write("app.py", STEPS)
    assert oxidite("queue", "list").code == 0
    in_queue(sell_one)
    return oxidite


async def sell_one(app: Any, queue: Queue) -> None:
    await queue.enqueue(app.sell, 8)
    await drain(queue)


def test_a_signal_wakes_the_job_that_is_shown_to_wait(stepwise: Command) -> None:
    (id,) = ids_of(stepwise)
    shown = stepwise("queue", "show", id).out
    assert re.search(r"  waits for +paid, key 8\n  steps +reserve, paid:8\n", shown)
    job = json.loads(stepwise("queue", "show", id, "--json").out)
    assert (job["waits_for"], job["steps"]) == (
        {"name": "paid", "key": "8"},
        ["reserve", "paid:8"],
    )
    other = stepwise("queue", "signal", "paid", "--key", "7")
    assert (other.code, other.err) == (0, "Signalled: paid, key 7. 0 jobs waited for it.\n")
    done = stepwise("queue", "signal", "paid", "--key", "8", "--value", '{"cents": 990}', "--json")
    assert json.loads(done.out) == {"woken": 1}
    assert "waits for" not in stepwise("queue", "show", id).out
    in_queue(lambda _, queue: drain(queue))
    assert json.loads(stepwise("queue", "show", id, "--json").out)["result"] == {"cents": 990}


def test_a_signal_that_is_none_says_why(stepwise: Command) -> None:
    text = stepwise("queue", "signal", "paid", "--value", "yes")
    assert (text.code, "--value is no JSON" in text.err) == (2, True)
    nothing = stepwise("queue", "signal", "paid", "--value", "null")
    assert (nothing.code, "given None if no event has come" in nothing.err) == (1, True)
    assert stepwise("queue", "signal", "").code == 1
    assert stepwise("queue", "signal", "paid", "--keep", "-1").code == 2


def test_a_job_is_run_anew_from_a_step(stepwise: Command) -> None:
    (id,) = ids_of(stepwise)
    stepwise("queue", "signal", "paid", "--key", "8", "--value", "{}")
    in_queue(lambda _, queue: drain(queue))
    unknown = stepwise("queue", "retry", id, "--from", "charge")
    assert unknown.code == 1
    assert "Its steps are: 'reserve', 'paid:8', 'deliver'." in unknown.err
    assert stepwise("queue", "retry", id, "--from", "deliver").err == "1 job retried.\n"
    in_queue(lambda _, queue: drain(queue))
    assert importlib.import_module("app").done == ["reserve", "deliver", "deliver"]
    for wrong in (["--all"], [id, "--task", "sell"], [id, id]):
        done = stepwise("queue", "retry", *wrong, "--from", "deliver")
        assert (done.code, "is a step of one job" in done.err) == (2, True)


@pytest.mark.parametrize("command", ["pause", "resume", "drain"])
def test_an_application_in_the_place_of_a_queue_is_told_where_it_belongs(
    project: Command, command: str
) -> None:
    done = project("queue", command, "mail", "app:app")
    assert done.code == 2
    assert "app:app is how an application is written" in done.err
    assert f"oxidite queue {command} mail --app app:app" in done.err
    assert project("queue", "stats").err == "There are no jobs.\n\nNo worker runs.\n"
    assert project("queue", command, "app:app", "--app", "app:app").code == 0
