"""``oxidite.cli.main``: help, usage, exit codes, and what is imported for them."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
from typing import Protocol

import click
import pytest
from click.shell_completion import ShellComplete

from oxidite import __version__
from oxidite.cli.main import COMMANDS, cli


class Done(Protocol):
    """What a command returns."""

    code: int
    out: str
    err: str


class Oxidite(Protocol):
    """What the fixture ``oxidite`` is."""

    def write(self, name: str, source: str) -> None: ...
    def __call__(self, *args: str) -> Done: ...
    def apart(self, *args: str) -> Done: ...


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_the_commands_and_shows_examples(oxidite: Oxidite, option: str) -> None:
    done = oxidite(option)

    assert (done.code, done.err) == (0, "")
    assert "\n  oxidite serve blog.main:app " in done.out
    for name, command in COMMANDS.items():
        assert f"  {name:<8} {command.help}\n" in done.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_its_help_has_examples(oxidite: Oxidite, name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    found = getattr(importlib.import_module(module), attribute)

    assert isinstance(found, click.Command)
    leaves = found.commands if isinstance(found, click.Group) else {"": found}
    for leaf in leaves:
        done = oxidite(name, *filter(None, [leaf]), "-h")
        assert done.code == 0
        assert f"Examples:\n  oxidite {name} {leaf}".rstrip() in done.out


@pytest.mark.parametrize("args", [(), ("config",)])
def test_a_group_alone_shows_its_help(oxidite: Oxidite, args: tuple[str, ...]) -> None:
    done = oxidite(*args)

    assert done.code == 2
    assert "Commands:" in done.err


def test_the_version_is_data(oxidite: Oxidite) -> None:
    done = oxidite("--version")

    assert (done.code, done.out, done.err) == (0, f"oxidite {__version__}\n", "")


def test_the_versions_of_everything(oxidite: Oxidite) -> None:
    versions = json.loads(oxidite("version", "--json").out)

    assert versions["oxidite"] == __version__
    assert versions["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert oxidite("version").out.startswith(f"oxidite     {__version__}\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("roues",), "No such command 'roues'. Did you mean 'routes'?"),
        (("routes", "--filte"), "Did you mean '--filter'?"),
        (("serve", "--port", "99999"), "99999 is not in the range 0<=x<=65535"),
        (("serve", "--port", "http"), "'http' is not a valid integer"),
        (("serve", "--workers", "0"), "'0' is neither a number of at least 1 nor 'auto'"),
        (("serve", "--server", "gunicorn"), "'gunicorn' is not one of"),
        (("routes", "a.py", "b.py"), "unexpected extra argument"),
    ],
)
def test_wrong_usage_is_2_and_is_told_on_standard_error(
    oxidite: Oxidite, args: tuple[str, ...], message: str
) -> None:
    done = oxidite(*args)

    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_what_the_user_got_wrong_is_1_without_a_traceback(oxidite: Oxidite) -> None:
    done = oxidite("routes")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: There is no application in ")
    assert "Traceback" not in done.err


def test_a_module_that_raises_is_shown_from_its_own_line(oxidite: Oxidite) -> None:
    oxidite.write("app.py", "from oxidite import Oxidite\n\nsettings = {}['missing']\n")
    done = oxidite.apart("routes")

    assert (done.code, done.out) == (1, "")
    head, trace, *rest = done.err.splitlines()
    assert head == "Error: app cannot be imported:"
    assert (trace, rest[0]) == ("", "Traceback (most recent call last):")
    assert rest[-1] == "KeyError: 'missing'"
    assert done.err.count('  File "') == 1


def test_an_import_that_fails_beside_a_dotenv_says_that_it_was_not_read(oxidite: Oxidite) -> None:
    oxidite.write(".env", "WORD=1\n")
    oxidite.write("app.py", "from oxidite.config import env\nenv('WORD')\n")
    done = oxidite.apart("routes")

    assert done.code == 1
    assert "WORD is not set" in done.err
    assert ".env is read in development only: OXIDITE_ENV=development" in done.err


def test_ctrl_c_is_130(oxidite: Oxidite) -> None:
    oxidite.write("app.py", "raise KeyboardInterrupt\n")
    done = oxidite.apart("routes")

    assert done.code == 130
    assert done.err.endswith("Stopped.\n")
    assert "Traceback" not in done.err


def test_a_reader_that_has_enough_is_told_no_error(oxidite: Oxidite) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, "-P", "-m", "oxidite", "version", "--json"]
    done = subprocess.run(program, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, "")


def test_an_error_of_the_system_that_is_no_closed_pipe_is_not_hidden(
    oxidite: Oxidite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("oxidite.cli.version.write", full)
    with pytest.raises(OSError, match="No space left"):
        oxidite("version", "--json")


def test_a_shell_completes_the_names_of_commands(oxidite: Oxidite) -> None:
    completion = ShellComplete(cli, {}, "oxidite", "_OXIDITE_COMPLETE")

    def words(*before: str) -> list[object]:
        return [each.value for each in completion.get_completions(list(before), "")]

    assert words() == list(COMMANDS)
    assert words("config") == ["show"]
    assert words("confi") == list(COMMANDS)


def test_a_package_that_is_not_installed_has_no_version(
    oxidite: Oxidite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oxidite.cli.version._PACKAGES", ("no-such-package",))

    assert oxidite("version").out.endswith("\nno-such-package not installed\n")
    assert json.loads(oxidite("version", "--json").out)["no-such-package"] is None


def test_python_m_oxidite_says_its_name(oxidite: Oxidite) -> None:
    assert oxidite.apart("--help").out.startswith("Usage: python -m oxidite ")


def test_no_command_colours_what_is_no_terminal(
    oxidite: Oxidite, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "\x1b" not in oxidite("routes").err
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[31m" in oxidite("routes").err
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in oxidite("routes").err


IMPORTED = """
import sys
from oxidite.cli.main import main
main({args!r})
print(sorted(
    name for name in sys.modules
    if name.partition(".")[0] in
        ("uvicorn", "granian", "hypercorn", "watchfiles", "rich", "httpx2", "pydantic", "app")
    or name.startswith(("oxidite.servers", "oxidite.testing", "oxidite.cli."))
), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("args", "imported"),
    [
        (["--help"], ["cli.commands", "cli.console", "cli.main"]),
        (["version"], ["cli.commands", "cli.console", "cli.main", "cli.version"]),
    ],
)
def test_help_imports_no_command_no_server_and_no_application(
    oxidite: Oxidite, args: list[str], imported: list[str]
) -> None:
    oxidite.write("app.py", "raise LookupError\n")
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED.format(args=args)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.strip() == str([f"oxidite.{name}" for name in imported])
