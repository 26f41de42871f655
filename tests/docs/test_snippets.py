"""Runs the code of README.md, the pages beside it and docs/: every Python block, every command with its output.

The blocks of a page share one namespace and one directory. A comment above a block says otherwise:

``<!-- file: app.py -->``        write the block into that file; commands find it
``<!-- append: app.py -->``      add the block to the end of that file
``<!-- fresh -->``               begin anew: no names, no files
``<!-- raises: RouteError -->``  the block must raise that
``<!-- output -->``              what the Python block before it printed, or the message it raised
``<!-- demo -->``                the commands talk to examples/blog, whatever the page defines
``<!-- serves -->``              the command serves until it is stopped; its output is compared
``<!-- not run: reason -->``     leave it alone

``curl`` talks to port 8000, and gets the ``app`` of the page: the name, else the file, else the
demonstration. In expected output ``...`` stands for anything. Functions called ``test_*`` are
called.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import cast

import httpx2
import pytest

from oxidite import Oxidite
from oxidite.testing import LiveServer

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PATIENCE = 30.0  # seconds for one command

RUN = {"python", "console"}
NOT_RUN = {"text", "toml", "json", "html", "ini", "make", ""}
DIRECTIVES = re.compile(r"\{[a-z:-]+\}")

FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[a-z ]+?)(?:: (?P<value>.+?))? -->\n+)?"
    r"^(?P<fence>```+)(?P<language>\S*)[^\n]*\n(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)
MARKS = {"file", "append", "fresh", "raises", "output", "demo", "serves", "not run"}
ADDRESS = re.compile(r"(?:127\.0\.0\.1|localhost):8000")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
TOOK = re.compile(r"(?<=dur=)\d+\.\d+|\d+\.\d+(?= ?s\b)")


class BrokenSnippetError(AssertionError):
    """A snippet does not do what the page says."""


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, and what the comment above it says."""

    page: Path
    line: int
    language: str
    code: str
    mark: str
    value: str

    @property
    def where(self) -> str:
        return f"{self.page.name}:{self.line}"

    def broken(self, problem: str) -> BrokenSnippetError:
        return BrokenSnippetError(f"{self.where}: {problem}")


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("fence")) + 2
        mark, value = found["mark"] or "", found["value"] or ""
        block = Block(page, line, found["language"], found["code"], mark, value)
        if mark and mark not in MARKS:
            raise block.broken(f"there is no mark {mark!r}")
        if mark == "not run" and not value:
            raise block.broken("say why it is not run")
        yield block


def is_run(block: Block) -> bool:
    """Tell whether the block does something here."""
    if block.language not in RUN | NOT_RUN and not DIRECTIVES.fullmatch(block.language):
        raise block.broken(f"there is no language {block.language!r}: it would not be run")
    has_work = block.language in RUN or block.mark in ("file", "append", "output")
    return has_work and block.mark != "not run"


@dataclass
class Page:
    """Runs the blocks of one page, one after the other."""

    directory: Path
    home: Path
    module: ModuleType = field(default_factory=lambda: new_module())
    """Its namespace is that of the page. A real module, because annotations are looked up in one."""
    printed: str = ""
    app: Oxidite | None = None
    """What is served just now."""
    url: str = ""
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def namespace(self) -> dict[str, object]:
        return self.module.__dict__

    def run(self, block: Block) -> None:
        if block.mark in ("file", "append"):
            self._write(block)
        elif block.mark == "output":
            check_output(block, block.code, self.printed)
        elif block.language == "python":
            self._run_python(block)
        elif block.mark == "serves":
            self._run_server(block)
        else:
            for command, expected in commands_of(block):
                check_output(block, expected, self._run_command(block, command))

    def _write(self, block: Block) -> None:
        file = self.directory / block.value
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a" if block.mark == "append" else "w", encoding="utf-8") as opened:
            opened.write(block.code)
        if block.value == "app.py":
            # What was read from the file before.
            self.namespace.pop("app", None)

    # Python.

    def _run_python(self, block: Block) -> None:
        if block.mark == "fresh":
            self._begin_anew()
        before = dict(self.namespace)
        output = StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.chdir(self.directory):
                execute(block.code, self.module, str(block.page), block.line)
                for name, value in list(self.namespace.items()):
                    if name.startswith("test_") and before.get(name) is not value:
                        self._call_test(block, name)
        except Exception as exc:
            if block.mark != "raises" or type(exc).__name__ != block.value:
                raise block.broken(f"it raised\n{traceback.format_exc()}") from exc
            self.printed = str(exc)
        else:
            if block.mark == "raises":
                raise block.broken(f"it did not raise {block.value}")
            self.printed = output.getvalue()

    def _begin_anew(self) -> None:
        self.module = new_module()
        for file in self.directory.iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()

    def _call_test(self, block: Block, name: str) -> None:
        test = self.namespace[name]
        assert inspect.isfunction(test)
        if inspect.signature(test).parameters:
            raise block.broken(f"{name} takes fixtures: write it into a file and run pytest")
        result = test()
        if inspect.iscoroutine(result):
            asyncio.run(result)

    # Commands.

    def _run_command(self, block: Block, command: str) -> str:
        if "curl" in command:
            if not shutil.which("curl"):
                pytest.skip("there is no curl on this machine")
            self._serve(self._application(block))
        host = self.url.removeprefix("http://")
        done = subprocess.run(
            ["bash", "-eo", "pipefail", "-c", ADDRESS.sub(host, command)],
            cwd=self.directory,
            env=environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if done.returncode:
            raise block.broken(f"{command}\nended with {done.returncode}:\n{done.stdout}")
        return done.stdout.replace(host, "127.0.0.1:8000") if host else done.stdout

    def _application(self, block: Block) -> Oxidite:
        file = self.directory / "app.py"
        if block.mark == "demo" or ("app" not in self.namespace and not file.is_file()):
            return demonstration()
        if "app" in self.namespace:
            return cast("Oxidite", self.namespace["app"])
        self.module = new_module()
        execute(file.read_text(encoding="utf-8"), self.module, str(file), 1)
        return self._application(block)

    def _serve(self, app: Oxidite) -> None:
        if app is not self.app:
            self.stack.close()
            self.app = app
            self.url = self.stack.enter_context(LiveServer(app)).url

    def _run_server(self, block: Block) -> None:
        (command, expected), *_ = commands_of(block)
        process = subprocess.Popen(
            ["bash", "-ec", f"exec {command} --port 0"],
            cwd=self.directory,
            env=environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = process.stdout
        assert output is not None
        with process:
            watchdog = threading.Timer(PATIENCE, process.kill)
            watchdog.start()
            try:
                lines = [output.readline() for _ in expected.splitlines()]
                address = re.search(r"127\.0\.0\.1:\d+", "".join(lines))
                if address is None:
                    raise block.broken("it named no address:\n" + "".join(lines) + output.read())
                with httpx2.Client(transport=httpx2.HTTPTransport(retries=6)) as client:
                    client.get(f"http://{address.group()}")
                process.send_signal(signal.SIGINT)
                output.read()
                code = process.wait()
            finally:
                process.kill()
                watchdog.cancel()
        if code not in (0, 130):
            raise block.broken(f"it did not stop as it should, but with {code}")
        check_output(block, expected, "".join(lines).replace(address.group(), "127.0.0.1:8000"))


def new_module() -> ModuleType:
    """Return an empty module that is known by its name."""
    module = ModuleType("page")
    sys.modules["page"] = module
    return module


def execute(code: str, module: ModuleType, file: str, line: int) -> None:
    """Run ``code`` in a module. A traceback has the line of the file that it stands in."""
    exec(compile("\n" * (line - 1) + code, file, "exec"), module.__dict__)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a new terminal in which the virtual environment is active."""
    # On a terminal curl has no progress meter, and nobody's own settings belong here.
    (home / ".curlrc").write_text("silent\nshow-error\nnoproxy = *\n")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = ("LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "HOME": str(home), "PATH": path, "NO_COLOR": "1", "COLUMNS": "80"}


def demonstration() -> Oxidite:
    """Return the application of ``make demo``."""
    if str(ROOT / "examples") not in sys.path:
        sys.path.append(str(ROOT / "examples"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", "sqlite://")  # read when it is imported
        return cast("Oxidite", importlib.import_module("blog.app").app)


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block and the output that the page shows below it."""
    for part in re.split(r"^\$ ", block.code, flags=re.MULTILINE)[1:]:
        command, output = cast(
            "re.Match[str]", re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", part, re.DOTALL)
        ).groups()
        yield command, output


def check_output(block: Block, expected: str, got: str) -> None:
    """Compare what a page shows with what there was; what it does not show may be anything."""
    if not expected.strip():
        return
    wanted, had = "\n".join(tidy(expected)), "\n".join(tidy(got))
    pattern = ".*?".join(map(re.escape, wanted.split("...")))
    if not re.fullmatch(pattern, had, re.DOTALL):
        raise block.broken(
            f"the output is not what the page shows.\nShown:\n{wanted}\n\nGot:\n{had}"
        )


def tidy(text: str) -> list[str]:
    """Return the lines without what nobody sees, and with the same time in all places.

    That is: blanks at the ends of lines, empty lines at both ends of the text, moments with a
    fraction of a second, and how long something took.
    """
    text = MOMENT.sub("2026-01-01T00:00:00.0Z", TOOK.sub("0.0", text))
    return [line.rstrip() for line in text.strip().splitlines()]


def run_page(page: Path, tmp_path: Path) -> int:
    """Run a page; return how many of its blocks did something."""
    runner = Page(directory=tmp_path / "work", home=tmp_path / "home")
    runner.directory.mkdir()
    runner.home.mkdir()
    blocks = [block for block in blocks_of(page) if is_run(block)]
    with runner.stack:
        for block in blocks:
            runner.run(block)
    return len(blocks)


# The pages.


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_snippets_of_a_page_do_what_it_says(page: Path, tmp_path: Path) -> None:
    expected = len(re.findall(r"^```(?:python|console)", page.read_text(), re.MULTILINE))
    left_alone = page.read_text().count("<!-- not run: ")
    assert run_page(page, tmp_path) >= expected - left_alone


# That a broken one would be noticed.


BROKEN = {
    "an assertion that does not hold": "```python\nassert 1 == 2\n```",
    "a name that does not exist": "```python\nfrom oxidite import NoSuchThing\n```",
    "a test that fails": "```python\ndef test_it():\n    assert False\n```",
    "an async test that fails": "```python\nasync def test_it():\n    assert False\n```",
    "a test with fixtures": "```python\ndef test_it(client): ...\n```",
    "another error than announced": "<!-- raises: KeyError -->\n```python\n1 / 0\n```",
    "no error at all": "<!-- raises: KeyError -->\n```python\npass\n```",
    "other output of Python": "```python\nprint(1)\n```\n<!-- output -->\n```text\n2\n```",
    "a command that fails": "```console\n$ false\n```",
    "a pipe whose last part fails": "```console\n$ echo 1 | grep 2\n```",
    "other output of a command": "```console\n$ echo one\ntwo\n```",
    "output that ends too early": "```console\n$ echo one; echo two\none\n```",
    "an answer that is not that": "```console\n$ curl -s localhost:8000/api/posts/1\n{}\n```",
    "a server that does not start": "<!-- serves -->\n```console\n$ oxidite serve no.py\nServing\n```",
    "other output of a server": (
        "<!-- file: app.py -->\n```python\nfrom oxidite import Oxidite\n\napp = Oxidite()\n```\n\n"
        "<!-- serves -->\n```console\n$ oxidite serve --server uvicorn\nOne\nTwo\n```"
    ),
    "a missing file": "```console\n$ cat app.py\n```",
    "an unknown language": "```py\n1\n```",
    "an unknown mark": "<!-- skip -->\n```python\n1\n```",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_snippet_is_noticed(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# A page\n\nSome words.\n\n{text}\n")
    with pytest.raises(BrokenSnippetError, match=r"^page\.md:\d+: "):
        run_page(page, tmp_path)


WORKING = """\
# A page

```python
from oxidite import Oxidite

app = Oxidite()

@app.get("/")
async def hello() -> str:
    return "Hello!"
```

```console
$ curl -s http://127.0.0.1:8000/
Hello!
$ curl -s -o /dev/null \\
    -w '%{http_code}\\n' localhost:8000/nothing
404
```

<!-- demo -->
```console
$ curl -s localhost:8000/api/posts/1
{"id":1,...}
```

<!-- raises: ZeroDivisionError -->
```python
1 / 0
```

<!-- output -->
```text
division by ...
```

<!-- not run: there is no such command -->
```console
$ no-such-command
```

<!-- file: notes/one.txt -->
```text
One.
```

```console
$ cat notes/one.txt
One.
```
"""


def test_a_working_page_passes_block_by_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(WORKING)
    assert run_page(page, tmp_path) == 7


def test_an_error_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n```python\nx = 1\n1 / 0\n```\n")
    with pytest.raises(BrokenSnippetError, match=r'page\.md", line 5, in <module>'):
        run_page(page, tmp_path)
