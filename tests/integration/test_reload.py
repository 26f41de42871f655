"""``oxidite dev``: it reloads, never hangs, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Protocol

import httpx2
import pytest

TIMEOUT = 20.0

HELLO = """
    from oxidite import HTMLResponse, Oxidite

    app = Oxidite()

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse("<h1>{}</h1>")
"""


class Project:
    """A directory with an application, and the ``oxidite dev`` that serves it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory.parent / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self._client = httpx2.Client(trust_env=False, timeout=TIMEOUT / 4)

    def write(self, source: str, name: str = "app.py", *, changed: int | None = None) -> None:
        """Write a file as editors do: a new one in place of the old; ``changed`` in nanoseconds."""
        new = self.directory / f"{name}.new"
        new.write_text(dedent(source))
        if changed is not None:
            os.utime(new, ns=(changed, changed))
        new.replace(self.directory / name)

    def start(self, *args: str, hangup: signal.Handlers = signal.SIG_DFL) -> None:
        """Start it; ``hangup`` is what it inherits for SIGHUP, whatever these tests did."""
        environ = {**os.environ}
        environ.pop("OXIDITE_ENV", None)
        # As everywhere outside of tests: compiled files are what makes quick changes dangerous.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        ours = signal.signal(signal.SIGHUP, hangup)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "oxidite", "dev", "--port", "0", *args],
                cwd=self.directory,
                env=environ,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        signal.signal(signal.SIGHUP, ours)
        self.wait_until(lambda: "http://" in self.said)

    @property
    def said(self) -> str:
        return self.log.read_text()

    @property
    def address(self) -> tuple[str, int]:
        found = re.search(r"http://([\d.]+):(\d+)", self.said)
        assert found, self.said
        return found[1], int(found[2])

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def get(self, path: str = "/") -> httpx2.Response:
        """Get a page as a browser does; on a connection of its own."""
        headers = {"accept": "text/html", "connection": "close"}
        return self._client.get(self.url + path, headers=headers)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT
        while not self._holds(condition):
            assert time.monotonic() < deadline, self.said
            assert self.process is not None
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    @staticmethod
    def _holds(condition: Callable[[], bool]) -> bool:
        # A process that is killed takes the connections it had accepted with it.
        with contextlib.suppress(httpx2.TransportError):
            return condition()
        return False

    def wait_for(self, text: str) -> httpx2.Response:
        """Wait until the page has ``text`` in it, and return it."""
        pages: list[httpx2.Response] = []

        def has_text() -> bool:
            pages.append(self.get())
            return text in pages[-1].text

        self.wait_until(has_text)
        return pages[-1]

    def living(self) -> list[str]:
        """Return the processes of the session that are not only waiting to be forgotten."""
        assert self.process is not None
        done = subprocess.run(
            ["ps", "-eww", "-o", "sess=,stat=,pid=,args="],
            capture_output=True,
            text=True,
            check=True,
        )
        rows = [line.split(None, 3) for line in done.stdout.splitlines()]
        session = str(self.process.pid)
        return [row[3] for row in rows if row[0] == session and "Z" not in row[1]]

    def end(self, signum: int) -> int:
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(TIMEOUT)

    def wait_until_gone(self) -> None:
        deadline = time.monotonic() + TIMEOUT
        while living := self.living():
            assert time.monotonic() < deadline, living
            time.sleep(0.05)

    def close(self) -> None:
        self._client.close()
        if self.process is not None:
            # Not killed at once: what it has covered is written at its end.
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(TIMEOUT)
            self.process.kill()
            self.process.wait()
            self.wait_until_gone()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    directory = tmp_path / "project"
    directory.mkdir()
    with contextlib.closing(Project(directory)) as found:
        yield found


class Watcher(Protocol):
    """What the fixture ``watcher`` is."""

    def __iter__(self) -> Iterator[str]: ...


@pytest.fixture(params=[(), ("--poll",)], ids=["notices", "polling"])
def watcher(request: pytest.FixtureRequest) -> Watcher:
    """The arguments for each way to notice a change."""
    found: Watcher = request.param
    return found


def test_a_change_is_served(project: Project, watcher: Watcher) -> None:
    project.write(HELLO.format("one"))
    project.start(*watcher)
    project.wait_for("<h1>one</h1>")
    project.write(HELLO.format("two"))

    assert project.wait_for("<h1>two</h1>").status_code == 200


def test_a_reload_ends_a_stream_and_makes_no_fuss_of_it(project: Project) -> None:
    stream = """
    import asyncio
    from collections.abc import AsyncIterator
    from oxidite import StreamingResponse

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"more"
                    await asyncio.sleep(0.05)
            finally:
                {}
        return StreamingResponse(chunks())
    """
    for number, ending in enumerate(("pass", "raise LookupError('a fault')")):
        project.write(HELLO.format(number) + stream.format(ending))
        if number == 0:
            project.start()
        project.wait_for(f"<h1>{number}</h1>")
        with httpx2.stream("GET", project.url + "/stream", trust_env=False) as response:
            parts = response.iter_bytes()
            assert next(parts).startswith(b"more")
            project.write(HELLO.format("next") + stream.format(ending))
            with contextlib.suppress(httpx2.TransportError):
                for _ in parts:
                    pass
        project.wait_for("<h1>next</h1>")
        if number == 0:
            assert "Traceback" not in project.said

    assert "LookupError: a fault" in project.said  # what is a fault is told


def test_a_new_module_and_a_deleted_one_are_noticed(project: Project, watcher: Watcher) -> None:
    project.write(HELLO.format("one"))
    project.start(*watcher)
    project.wait_for("one")
    (project.directory / "inner").mkdir()
    project.write("word = 'from the module'", "inner/words.py")
    project.write(HELLO.replace('"<h1>{}</h1>"', "words.word") + "\n    from inner import words\n")
    project.wait_for("from the module")
    (project.directory / "inner" / "words.py").unlink()
    project.wait_until(lambda: project.get().headers.get("x-oxidite-reload") == "failed")

    assert "cannot import name &#x27;words&#x27;" in project.get().text


def test_many_changes_within_a_second_are_all_served(project: Project) -> None:
    # Of the same size and in the same second: to the import system they look alike.
    project.write(HELLO.format("0"))
    project.start()
    project.wait_for("<h1>0</h1>")
    for number in range(1, 5):
        project.write(HELLO.format(number))
        project.wait_for(f"<h1>{number}</h1>")


def test_an_import_that_is_given_up_leaves_no_old_code(project: Project) -> None:
    # Both in one second and of one size: compiled, the first cannot be told from the second.
    second = 1_000_000_000
    project.write("word = 'one'", "words.py", changed=1000 * second)
    project.write(HELLO.replace('"<h1>{}</h1>"', "words.word") + "\n    import words\n")
    project.start()
    project.wait_for("one")
    # As slow as an import may be that is still writing when the next change is noticed.
    project.write(
        HELLO.replace('"<h1>{}</h1>"', '"new " + words.word')
        + """
    import pathlib, words

    if not pathlib.Path("writing").exists():
        compiled = pathlib.Path(words.__cached__)
        old, new = compiled.read_bytes(), compiled.with_suffix(".new")
        pathlib.Path("writing").touch()
        while True:
            new.write_bytes(old)
            new.replace(compiled)
    """
    )
    project.wait_until((project.directory / "writing").exists)
    project.write("word = 'two'", "words.py", changed=1000 * second + second // 2)
    project.wait_until(lambda: "new " in project.get().text)

    assert project.get().text == "new two"


def test_dotenv_is_read_and_watched(project: Project) -> None:
    project.write("WORD=one", ".env")
    project.write(
        HELLO.replace('"<h1>{}</h1>"', 'env("WORD")')
        + "\n    from oxidite.config import env, environment\n"
        + "    assert environment() == 'development'\n"
    )
    project.start()
    project.wait_for("one")
    project.write("WORD=two", ".env")

    assert project.wait_for("two").text == "two"


def test_code_that_is_not_imported_leaves_the_last_good_code(
    project: Project, watcher: Watcher
) -> None:
    project.write(HELLO.format("good"))
    project.start(*watcher)
    project.wait_for("good")
    project.write(HELLO.format("new") + "\n    raise LookupError('<script>')\n")
    project.wait_until(lambda: project.get().headers.get("x-oxidite-reload") == "failed")
    page = project.get()

    assert page.status_code == 200
    assert page.text.startswith("<h1>good</h1>")
    assert "LookupError: &lt;script&gt;" in page.text
    assert "<script>" not in page.text
    assert int(page.headers["content-length"]) == len(page.content)
    assert "raise LookupError('<script>')" in project.said
    assert "importlib" not in project.said

    project.write(HELLO.format("mended"))
    page = project.wait_for("mended")

    assert page.text == "<h1>mended</h1>"
    assert "x-oxidite-reload" not in page.headers


def test_a_route_that_cannot_work_leaves_the_last_good_code(project: Project) -> None:
    project.write(HELLO.format("good"))
    project.start()
    project.wait_for("good")
    project.write(HELLO.format("new") + "\n    app.get('/')(index)\n")
    project.wait_until(lambda: "registered twice" in project.get().text)

    assert project.get().text.startswith("<h1>good</h1>")


def test_code_that_does_not_start_is_shown_until_it_is_fixed(project: Project) -> None:
    project.write("def broken(<:\n")
    project.start()
    project.wait_until(lambda: project.get().status_code == 500)
    page = project.get()

    assert "def broken(&lt;:" in page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["x-oxidite-reload"] == "failed"
    assert project.get("/any/path").status_code == 500

    project.write(HELLO.format("works"))

    assert project.wait_for("works").status_code == 200


def test_a_lifespan_that_fails_is_shown_until_it_is_fixed(project: Project) -> None:
    project.write(HELLO.format("one"))
    project.start()
    project.wait_for("one")
    project.write(
        """
        from oxidite import Oxidite

        class Broken:
            async def __aenter__(self):
                raise LookupError("no <database>")
            async def __aexit__(self, *_):
                pass

        app = Oxidite(resources=[Broken()])
        """
    )
    project.wait_until(lambda: project.get().status_code == 500)

    assert "LookupError: no &lt;database&gt;" in project.get().text

    project.write(HELLO.format("works"))

    assert project.wait_for("works").status_code == 200


def test_a_program_gets_the_failure_as_text(project: Project) -> None:
    project.write("raise LookupError('nothing')\n")
    project.start()
    project.wait_until(lambda: project.get().status_code == 500)
    answer = httpx2.post(project.url, content=b"x" * 100_000, trust_env=False)

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "LookupError: nothing" in answer.text


STREAM = """
    import asyncio
    from oxidite import Oxidite, StreamingResponse

    app = Oxidite()

    @app.get("/")
    async def index() -> str:
        return "{}"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def ticks():
            while True:
                yield b"tick"
                await asyncio.sleep(0.05)
        return StreamingResponse(ticks())
"""


def test_an_open_stream_does_not_hold_the_reload(project: Project) -> None:
    project.write(STREAM.format("one"))
    project.start()
    project.wait_for("one")
    with httpx2.stream("GET", project.url + "/endless", trust_env=False) as response:
        assert next(response.iter_raw()) == b"tick"
        started = time.monotonic()
        project.write(STREAM.format("two"))
        project.wait_for("two")

        assert time.monotonic() - started < 5


def test_an_application_that_will_not_end_does_not_hold_the_reload(project: Project) -> None:
    stubborn = """
        import signal, time
        from oxidite import Oxidite

        app = Oxidite()

        @app.get("/")
        async def index() -> str:
            return "one"

        @app.get("/block")
        async def block() -> None:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(60)
    """
    project.write(stubborn)
    project.start()
    project.wait_for("one")
    with socket.create_connection(project.address) as sock:
        sock.sendall(b"GET /block HTTP/1.1\r\nhost: x\r\n\r\n")
        project.write(HELLO.format("two"))
        project.wait_for("two")


def test_no_connection_is_refused_while_it_reloads(project: Project) -> None:
    project.write(HELLO.format("v0"))
    project.start()
    project.wait_for("v0")
    over = threading.Event()
    statuses: list[int] = []
    refused: list[OSError] = []

    def hammer() -> None:
        while not over.is_set():
            try:
                with socket.create_connection(project.address, TIMEOUT) as sock:
                    sock.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                    answer = sock.makefile("rb").readline()
            except OSError as exc:
                refused.append(exc)
            else:
                statuses.append(int(answer.split()[1]) if answer else 0)
            time.sleep(0.005)

    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        for number in range(1, 4):
            project.write(HELLO.format(f"v{number}"))
            project.wait_for(f"v{number}")
    finally:
        over.set()
        thread.join()

    assert refused == []
    assert set(statuses) == {200}
    assert len(statuses) > 20


def test_an_import_that_hangs_is_given_up_for_newer_code(project: Project) -> None:
    project.write(HELLO.format("one"))
    project.start()
    project.wait_for("one")
    project.write("import pathlib, time\npathlib.Path('hangs').touch()\ntime.sleep(600)\n")
    project.wait_until((project.directory / "hangs").exists)
    assert project.get().text == "<h1>one</h1>"
    project.write(HELLO.format("three"))

    assert project.wait_for("three").status_code == 200


def test_a_startup_that_hangs_is_given_up_for_newer_code(project: Project) -> None:
    project.write(HELLO.format("one"))
    project.start()
    project.wait_for("one")
    project.write(
        """
        import asyncio, pathlib
        from oxidite import Oxidite

        class Hangs:
            async def __aenter__(self):
                pathlib.Path("hangs").touch()
                await asyncio.sleep(600)
            async def __aexit__(self, *_):
                pass

        app = Oxidite(resources=[Hangs()])
        """
    )
    project.wait_until((project.directory / "hangs").exists)
    project.write(HELLO.format("three"))

    assert project.wait_for("three").status_code == 200


def test_an_application_that_ends_by_itself_is_said_and_comes_back(project: Project) -> None:
    project.write(
        HELLO.format("one")
        + """
    import os

    @app.get("/end")
    async def end() -> None:
        os._exit(7)
    """
    )
    project.start()
    project.wait_for("one")
    with contextlib.suppress(httpx2.TransportError):
        project.get("/end")
    project.wait_until(lambda: project.get().status_code == 500)

    assert "ended by itself, with exit code 7" in project.get().text

    project.write(HELLO.format("two"))

    assert project.wait_for("two").status_code == 200


WITH_A_CHILD = """
    import subprocess, sys
    from oxidite import HTMLResponse, Oxidite

    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)  # left over"])
    app = Oxidite()

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse("<h1>{}</h1>")
"""


def test_what_the_application_started_ends_with_it(project: Project) -> None:
    project.write(WITH_A_CHILD.format("one"))
    project.start()
    project.wait_for("one")
    project.write(WITH_A_CHILD.format("two"))
    project.wait_for("two")

    assert len([line for line in project.living() if "left over" in line]) == 1


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0), (signal.SIGHUP, 0)]
)
def test_nothing_is_left_after_the_end(project: Project, signum: int, code: int) -> None:
    project.write(WITH_A_CHILD.format("one"))
    project.start()
    project.wait_for("one")

    assert project.end(signum) == code
    assert project.living() == []
    assert "Traceback" not in project.said


def test_started_by_nohup_it_outlives_its_terminal(project: Project) -> None:
    project.write(HELLO.format("one"))
    project.start(hangup=signal.SIG_IGN)
    project.wait_for("one")
    assert project.process is not None
    project.process.send_signal(signal.SIGHUP)
    project.write(HELLO.format("two"))

    project.wait_for("two")
    assert project.end(signal.SIGTERM) == 0


def test_nothing_is_left_when_it_ends_while_nothing_works(project: Project) -> None:
    project.write("raise LookupError\n")
    project.start()
    project.wait_until(lambda: project.get().status_code == 500)

    assert project.end(signal.SIGINT) == 130
    assert project.living() == []


def test_nothing_is_left_when_it_is_killed(project: Project) -> None:
    project.write(WITH_A_CHILD.format("one"))
    project.start()
    project.wait_for("one")
    assert project.end(signal.SIGKILL) == -signal.SIGKILL
    project.wait_until_gone()


EXCLUSIVE = """
    import asyncio, pathlib
    from oxidite import HTMLResponse, Oxidite

    class Exclusive:
        lock = pathlib.Path("lock")
        async def __aenter__(self):
            self.lock.touch(exist_ok=False)
        async def __aexit__(self, *_):
            await asyncio.sleep({closing})
            self.lock.unlink()

    app = Oxidite(resources=[Exclusive()])

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse("<h1>{word}</h1>")
"""


def test_resources_are_closed_before_new_ones_are_opened(project: Project) -> None:
    project.write(EXCLUSIVE.format(word="one", closing=0))
    project.start()
    project.wait_for("one")
    project.write(EXCLUSIVE.format(word="two", closing=0))

    assert project.wait_for("two").status_code == 200


def test_resources_are_closed_although_requests_had_to_be_given_up(project: Project) -> None:
    stream = """
    from oxidite import StreamingResponse

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def ticks():
            while True:
                yield b"tick"
                await asyncio.sleep(0.05)
        return StreamingResponse(ticks())
    """
    project.write(EXCLUSIVE.format(word="one", closing=0) + stream)
    project.start()
    project.wait_for("one")
    with (
        httpx2.stream("GET", project.url + "/endless", trust_env=False) as response,
        socket.create_connection(project.address),  # as browsers do, before they need it
    ):
        assert next(response.iter_raw()) == b"tick"
        project.write(EXCLUSIVE.format(word="two", closing=0))

        assert project.wait_for("two").status_code == 200


def test_resources_that_take_their_time_are_closed_too(project: Project) -> None:
    project.write(EXCLUSIVE.format(word="one", closing=1.5))
    project.start()
    project.wait_for("one")
    project.write(EXCLUSIVE.format(word="two", closing=0))

    assert project.wait_for("two").status_code == 200


def test_resources_that_never_close_do_not_hold_the_reload(project: Project) -> None:
    project.write(EXCLUSIVE.format(word="one", closing=600))
    project.start()
    project.wait_for("one")
    project.write(HELLO.format("two"))

    assert project.wait_for("two").status_code == 200


def test_a_module_named_like_one_of_the_library_harms_nothing(project: Project) -> None:
    project.write("", "queue.py")
    project.write(HELLO.format("one"))
    project.start()

    assert project.wait_for("one").status_code == 200


def test_a_taken_port_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(dedent(HELLO))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "oxidite", "dev", "--port", port],
            check=False,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )

    assert done.returncode == 1
    assert f"127.0.0.1:{port} is taken" in done.stderr
    assert done.stdout == ""
