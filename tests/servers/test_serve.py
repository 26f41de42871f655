"""``oxidite serve``: from the command line to the exit code, on every server."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shutil import which
from textwrap import dedent
from typing import Protocol

import httpx2
import pytest

SERVERS = ("granian", "uvicorn", "hypercorn")
TIMEOUT = 20.0

HELLO = """
    import asyncio
    from oxidite import Oxidite, StreamingResponse

    app = Oxidite()

    @app.get("/")
    async def index() -> str:
        return "hello"

    @app.get("/endless")
    async def endless() -> StreamingResponse:
        async def ticks():
            while True:
                yield b"tick"
                await asyncio.sleep(0.05)
        return StreamingResponse(ticks())
"""
STARTS_NOT = """
    from oxidite import Oxidite

    class Broken:
        async def __aenter__(self):
            raise LookupError("no database")
        async def __aexit__(self, *_):
            pass

    app = Oxidite(resources=[Broken()])
"""
IMPORTS_NOT = "from oxidite import Oxidite\napp = Oxidite()\nsettings = {}['missing']\n"
FOREIGN = """
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"foreign"})
"""

FOREIGN_THAT_STARTS = """
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{step}"
                await send({"type": f"lifespan.{step}.complete"})
"""
STARTS_LATER = """
    import asyncio, os, pathlib
    from oxidite import Oxidite

    class Waits:
        async def __aenter__(self):
            pathlib.Path(f"starting-{os.getpid()}").touch()
            while not pathlib.Path("go").exists():
                await asyncio.sleep(0.01)
        async def __aexit__(self, *_):
            pass

    app = Oxidite(resources=[Waits()])

    @app.get("/")
    async def index() -> str:
        return "hello"
"""
STARTS_ONCE = """
    import pathlib
    from oxidite import Oxidite

    class Exclusive:
        async def __aenter__(self):
            pathlib.Path("lock").touch(exist_ok=False)
        async def __aexit__(self, *_):
            pass

    app = Oxidite(resources=[Exclusive()])
"""


class Served(Protocol):
    """A running ``oxidite serve``."""

    process: subprocess.Popen[str]

    @property
    def said(self) -> str: ...
    @property
    def url(self) -> str: ...
    def get(self, path: str = "/") -> str: ...
    def wait_for(self) -> None: ...
    def wait_until(self, condition: Callable[[], bool]) -> None: ...
    def end(self, signum: int) -> int: ...


class Serve(Protocol):
    """What the fixture ``serve`` is."""

    def __call__(
        self,
        source: str,
        *args: str,
        environ: Mapping[str, str] = ...,
        pass_fds: Sequence[int] = ...,
    ) -> Served: ...


def _living(group: int) -> list[int]:
    """Return the processes of a group that are not only waiting to be forgotten."""
    done = subprocess.run(
        ["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    return [int(pid) for pid, pgid, stat in rows if int(pgid) == group and "Z" not in stat]


def wait_until_gone(group: int) -> None:
    """Wait until no process of a group lives."""
    deadline = time.monotonic() + TIMEOUT
    while living := _living(group):
        assert time.monotonic() < deadline, living
        time.sleep(0.05)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("server", SERVERS)
def test_sigterm_ends_it_well(serve: Serve, server: str, workers: str) -> None:
    served = serve(HELLO, "--server", server, "--workers", workers, "--port", "0")
    served.wait_for()

    assert served.get() == "hello"
    assert served.end(signal.SIGTERM) == 0
    wait_until_gone(served.process.pid)
    assert "Traceback" not in served.said


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("server", SERVERS)
def test_ctrl_c_is_130(serve: Serve, server: str, workers: str) -> None:
    served = serve(HELLO, "--server", server, "--workers", workers, "--port", "0")
    served.wait_for()
    os.killpg(served.process.pid, signal.SIGINT)  # a terminal sends it to all of them

    assert served.process.wait(TIMEOUT) == 130
    assert served.said.endswith("Stopped.\n")
    assert "Traceback" not in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_it_says_what_serves_and_why(serve: Serve, server: str) -> None:
    served = serve(HELLO, "--server", server, "--port", "0")
    served.wait_for()
    first, second, *_ = served.said.splitlines()

    assert re.fullmatch(
        rf"{server} [\d.]+, ASGI \(because GET /endless \(app\.py:11 endless\(\)\) may stream\)",
        first,
    )
    assert second == f"Serving app on {served.url}"


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("server", "interface"), [*((server, "asgi") for server in SERVERS), ("granian", "rsgi")]
)
def test_it_says_that_it_serves_when_it_does(
    serve: Serve, server: str, interface: str, workers: int, tmp_path: Path
) -> None:
    served = serve(
        STARTS_LATER,
        *("--server", server, "--interface", interface),
        *("--workers", str(workers), "--port", "0"),
    )
    served.wait_until(lambda: len(list(tmp_path.glob("starting-*"))) == workers)
    assert "Serving" not in served.said

    (tmp_path / "go").touch()
    served.wait_until(lambda: "Serving" in served.said)
    assert served.get() == "hello"


@pytest.mark.parametrize("server", SERVERS)
def test_an_open_stream_does_not_hold_the_end(serve: Serve, server: str) -> None:
    served = serve(HELLO, "--server", server, "--port", "0", "--graceful-timeout", "1")
    served.wait_for()
    with httpx2.stream("GET", served.url + "/endless", trust_env=False) as response:
        assert next(response.iter_raw()) == b"tick"
        started = time.monotonic()

        assert served.end(signal.SIGTERM) == 0
        assert time.monotonic() - started < 6


@pytest.mark.parametrize(
    ("server", "workers"),
    [("granian", "1"), ("granian", "2"), ("uvicorn", "2"), ("hypercorn", "2")],
)
def test_workers_do_not_outlive_a_killed_supervisor(
    serve: Serve, server: str, workers: str
) -> None:
    served = serve(
        HELLO, "--server", server, "--workers", workers, "--port", "0", "--graceful-timeout", "1"
    )
    served.wait_for()
    assert len(_living(served.process.pid)) > int(workers)
    served.process.kill()
    served.process.wait()
    wait_until_gone(served.process.pid)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("server", SERVERS)
def test_an_application_that_does_not_start_is_a_failure(
    serve: Serve, server: str, workers: str
) -> None:
    served = serve(STARTS_NOT, "--server", server, "--workers", workers, "--port", "0")

    assert served.process.wait(TIMEOUT) == 1
    assert "LookupError: no database" in served.said
    assert "Serving" not in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_an_application_that_starts_in_one_worker_only_is_a_failure(
    serve: Serve, server: str
) -> None:
    served = serve(STARTS_ONCE, "--server", server, "--workers", "2", "--port", "0")

    assert served.process.wait(TIMEOUT) == 1
    assert "FileExistsError" in served.said
    assert "Serving" not in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_an_application_that_is_not_imported_is_a_failure(serve: Serve, server: str) -> None:
    served = serve(IMPORTS_NOT, "--server", server, "--port", "0")

    assert served.process.wait(TIMEOUT) == 1
    assert "settings = {}['missing']" in served.said
    assert "KeyError: 'missing'" in served.said
    assert "importlib" not in served.said
    assert "oxidite/servers" not in served.said
    assert "Serving" not in served.said


def test_an_application_that_ends_its_process_is_a_failure(serve: Serve) -> None:
    served = serve("import os\nos._exit(3)\n", "--server", "granian", "--port", "0")

    assert served.process.wait(TIMEOUT) == 1
    assert "ended while it imported app (exit code 3)" in served.said


def test_a_thread_that_the_import_starts_harms_nothing(serve: Serve) -> None:
    thread = "\n    import threading\n    threading.Thread(target=threading.Event().wait).start()\n"
    served = serve(HELLO + thread, "--server", "granian", "--port", "0", "--graceful-timeout", "1")
    served.wait_for()

    assert served.get() == "hello"
    assert served.end(signal.SIGTERM) == 0
    wait_until_gone(served.process.pid)


@pytest.mark.parametrize("server", SERVERS)
def test_a_taken_port_is_a_failure(serve: Serve, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = str(sock.getsockname()[1])
        served = serve(HELLO, "--server", server, "--port", port)

        assert served.process.wait(TIMEOUT) == 1
    assert f"127.0.0.1:{port} is taken" in served.said
    assert "Serving" not in served.said
    assert "Traceback" not in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_an_application_of_another_framework_is_served(serve: Serve, server: str) -> None:
    served = serve(FOREIGN, "--server", server, "--port", "0")
    served.wait_for()

    assert served.get() == "foreign"
    assert "(because it is a function, not an Oxidite application)" in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_a_name_of_this_machine_is_served(serve: Serve, server: str) -> None:
    served = serve(HELLO, "--server", server, "--host", "localhost", "--port", "0")
    served.wait_until(lambda: "Serving" in served.said)

    assert served.get() == "hello"


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


@pytest.mark.parametrize("server", SERVERS)
def test_a_unix_socket_is_served(serve: Serve, server: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    served = serve(HELLO, "--server", server, "--uds", str(path))
    deadline = time.monotonic() + TIMEOUT
    while not _accepts(path):
        assert time.monotonic() < deadline, served.said
        time.sleep(0.05)
    with httpx2.Client(transport=httpx2.HTTPTransport(uds=str(path))) as client:
        assert client.get("http://x/").text == "hello"

    assert served.end(signal.SIGTERM) == 0
    assert not path.exists()


@pytest.mark.parametrize("server", SERVERS)
def test_an_inherited_socket_is_served(serve: Serve, server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        served = serve(
            HELLO, "--server", server, "--fd", str(sock.fileno()), pass_fds=(sock.fileno(),)
        )
        port = sock.getsockname()[1]

        # It waits in the queue until the server is there.
        assert (
            httpx2.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=TIMEOUT).text
            == "hello"
        )
        assert served.end(signal.SIGTERM) == 0


def test_the_environment_says_where_to_listen(serve: Serve) -> None:
    environ = {"HOST": "127.0.0.2", "PORT": "0", "WEB_CONCURRENCY": "2"}
    served = serve(HELLO, "--server", "uvicorn", environ=environ)
    served.wait_for()

    assert served.url.startswith("http://127.0.0.2:")
    assert len(_living(served.process.pid)) >= 3


def test_a_wrong_environment_is_a_failure(serve: Serve) -> None:
    served = serve(HELLO, environ={"PORT": "http"})

    assert served.process.wait(TIMEOUT) == 1
    assert "port: expected a whole number, got 'http'" in served.said


@pytest.mark.parametrize("server", SERVERS)
def test_access_lines_are_the_same_on_every_server(serve: Serve, server: str) -> None:
    served = serve(HELLO, "--server", server, "--port", "0", "--access-log", "json")
    served.wait_for()
    served.wait_until(lambda: '"path"' in served.said)

    lines = [line for line in served.said.splitlines() if line.startswith("{")]
    entry = json.loads(lines[0])
    assert len(lines) == 1
    assert (entry["method"], entry["path"], entry["status"]) == ("GET", "/", 200)
    assert (entry["client"], entry["route"], entry["outcome"]) == ("127.0.0.1", "/", "complete")


def test_an_application_that_writes_its_own_access_lines_writes_them_once(serve: Serve) -> None:
    served = serve(
        """
        from oxidite import Oxidite
        from oxidite.middleware import access_log, request_id

        app = Oxidite(middleware=[request_id(), access_log("json")])

        @app.get("/")
        async def index() -> str:
            return "hello"
        """,
        "--port",
        "0",
        "--access-log",
        "text",
    )
    served.wait_for()
    served.wait_until(lambda: '"path"' in served.said)

    assert len([line for line in served.said.splitlines() if "GET" in line]) == 1


def test_a_foreign_application_has_access_lines_too(serve: Serve) -> None:
    served = serve(
        """
        async def app(scope, receive, send):
            assert scope["type"] == "http"
            if scope["path"] == "/fail":
                raise RuntimeError("no")
            await send({"type": "http.response.start", "status": 203, "headers": []})
            await send({"type": "http.response.body", "body": b"hello", "more_body": True})
            await send({"type": "http.response.body", "body": b"!"})
        """,
        "--server",
        "uvicorn",
        "--port",
        "0",
        "--access-log",
        "json",
    )
    served.wait_until(lambda: "Serving" in served.said)
    httpx2.get(f"{served.url}/seen?token=s3cret", trust_env=False)
    httpx2.get(f"{served.url}/fail", trust_env=False)
    served.wait_until(lambda: '"/fail"' in served.said)

    seen, failed = [json.loads(each) for each in served.said.splitlines() if each.startswith("{")]
    assert (seen["path"], seen["status"], seen["bytes"]) == ("/seen", 203, 6)
    assert seen["outcome"] == "complete"
    assert "s3cret" not in served.said
    assert (failed.get("status"), failed["outcome"]) == (None, "failed")


def test_a_certificate_needs_its_key(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "c.pem").touch()
    served = serve(HELLO, "--tls-cert", "c.pem")

    assert served.process.wait(TIMEOUT) == 2
    assert "belong together" in served.said


@pytest.mark.skipif(which("openssl") is None, reason="no openssl to make a certificate")
@pytest.mark.parametrize("server", SERVERS)
def test_tls_1_2_is_spoken_and_1_1_is_not(serve: Serve, server: str, tmp_path: Path) -> None:
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    served = serve(
        HELLO, "--server", server, "--port", "0", "--tls-cert", "cert.pem", "--tls-key", "key.pem"
    )
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    deadline = time.monotonic() + TIMEOUT
    while True:
        with contextlib.suppress(httpx2.TransportError, AssertionError):
            response = httpx2.get(served.url, verify=context, trust_env=False)
            break
        assert time.monotonic() < deadline, served.said
        time.sleep(0.05)

    assert response.text == "hello"

    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(tmp_path / "cert.pem")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    host, _, port = served.url.removeprefix("https://").partition(":")
    with socket.create_connection((host, int(port))) as sock, pytest.raises(ssl.SSLError):
        old.wrap_socket(sock, server_hostname=host)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("later", [0.0, 0.02, 0.05, 0.1])
def test_a_signal_right_after_the_start_is_obeyed(
    serve: Serve, signum: signal.Signals, later: float
) -> None:
    served = serve(HELLO, "--server", "uvicorn", "--port", "0")
    served.wait_until(lambda: "ASGI" in served.said)
    time.sleep(later)  # it is starting: at some of these moments uvicorn does not listen yet
    assert served.end(signum) in ((130,) if signum == signal.SIGINT else (0, -signal.SIGTERM))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_where_exceptions_are_ignored_is_obeyed(
    tmp_path: Path, signum: signal.Signals
) -> None:
    (tmp_path / "app.py").write_text(
        dedent(
            f"""
            import os
            from oxidite import Oxidite

            class Last:
                def __del__(self):
                    os.kill(os.getpid(), {int(signum)})

            last = Last()
            del last
            app = Oxidite()
            """
        )
    )
    program = """
        from pathlib import Path
        from oxidite.servers.base import Settings
        from oxidite.servers.target import Target
        from oxidite.servers.uvicorn import UvicornServer

        try:
            code = UvicornServer().run(Target("app", "app", Path.cwd()), Settings(port=0))
        except KeyboardInterrupt:
            code = 130
        raise SystemExit(code)
    """
    ended = subprocess.run(
        [sys.executable, "-c", dedent(program)], cwd=tmp_path, timeout=TIMEOUT, check=False
    )
    assert ended.returncode == (130 if signum == signal.SIGINT else 0)


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    "source", [HELLO, FOREIGN, FOREIGN_THAT_STARTS], ids=["own", "foreign", "foreign that starts"]
)
@pytest.mark.parametrize("server", SERVERS)
def test_once_it_says_that_it_serves_it_can_be_ended(
    serve: Serve, server: str, source: str, workers: str
) -> None:
    served = serve(source, "--server", server, "--workers", workers, "--port", "0")
    served.wait_until(lambda: "Serving" in served.said)

    assert served.end(signal.SIGTERM) == 0
    assert served.said.count("\n") == 2  # nothing had to be killed


def test_an_application_of_values_is_served_over_the_faster_interface(serve: Serve) -> None:
    source = """
        from oxidite import Oxidite

        app = Oxidite()

        @app.get("/")
        async def index() -> str:
            return "hello"
    """
    served = serve(source, "--server", "granian", "--port", "0")
    served.wait_for()

    assert served.get() == "hello"
    assert "RSGI (because its only route answers with complete bodies)" in served.said
    assert served.end(signal.SIGTERM) == 0


def test_the_interface_can_be_chosen(serve: Serve) -> None:
    served = serve(HELLO, "--server", "granian", "--port", "0", "--interface", "rsgi")
    served.wait_for()

    assert httpx2.get(served.url + "/endless", trust_env=False).status_code == 500
    assert "RSGI (because it was asked for, although GET /endless (" in served.said
    assert served.end(signal.SIGTERM) == 0
