"""``oxidite.servers.choice``: which server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oxidite import Oxidite
from oxidite.errors import ConfigError, MissingExtraError
from oxidite.servers import Settings, choose_server, installed_servers


def test_granian_is_the_default_where_it_is_installed() -> None:
    pytest.importorskip("granian")

    assert installed_servers()[0] == "granian"
    assert choose_server().name == "granian"


@pytest.mark.parametrize("name", ["granian", "uvicorn", "hypercorn"])
def test_a_server_is_chosen_by_name(name: str) -> None:
    pytest.importorskip(name)
    server = choose_server(name)

    assert server.name == name
    assert server.version[0].isdigit()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("granian", Settings(port=0)),
        ("hypercorn", Settings(port=0, workers=2)),
        ("uvicorn", Settings(port=0, workers=2)),
    ],
)
def test_workers_are_told_where_the_application_is_and_not_given_it(
    name: str, settings: Settings
) -> None:
    with pytest.raises(ConfigError, match="say where it is"):
        choose_server(name).run(Oxidite(), settings)


def test_an_unknown_server_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'gunicorn'\. Known: granian, uvicorn, hypercorn"):
        choose_server("gunicorn")


def test_without_the_others_uvicorn_serves_and_they_say_what_to_install() -> None:
    # A finder that hides a package, in a process of its own, is what not being installed is.
    program = """
import importlib.util, sys
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: (
    None if name in ("granian", "hypercorn") else real(name, package)
)
from oxidite.errors import MissingExtraError
from oxidite.servers import choose_server
print(choose_server().name)
for name in ("granian", "hypercorn"):
    try:
        choose_server(name)
    except MissingExtraError as exc:
        print(exc.extra)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["uvicorn", "standard", "http3"]
    assert MissingExtraError("standard").extra == "standard"


def test_choosing_a_server_imports_no_other() -> None:
    program = (
        "import sys; from oxidite.servers import choose_server; choose_server('uvicorn');"
        "print([name for name in ('granian', 'hypercorn') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
