"""The import budget: what everybody pays, and what only those who ask for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Packages that are optional, or used by one command only; and our own parts that need them.
NEVER = {
    "aiomysql",
    "aiosqlite",
    "alembic",
    "annotated_types",
    "asyncpg",
    "attr",
    "attrs",
    "backports.zstd",
    "brotli",
    "click",
    "granian",
    "h11",
    "h2",
    "httpcore2",
    "httptools",
    "httpx",
    "httpx2",
    "hypercorn",
    "hypothesis",
    "jinja2",
    "pydantic",
    "pydantic_core",
    "pytest",
    "redis",
    "rich",
    "sqlalchemy",
    "uvicorn",
    "uvloop",
    "watchfiles",
    "websockets",
    "yaml",
    "oxidite.__main__",
    "oxidite.cli",
    "oxidite.encoding.models",
    "oxidite.http.forwarded",
    "oxidite.http.trace",
    "oxidite.middleware.access",
    "oxidite.middleware.csp",
    "oxidite.middleware.debug",
    "oxidite.middleware.hosts",
    "oxidite.middleware.identity",
    "oxidite.middleware.proxies",
    "oxidite.middleware.timeouts",
    "oxidite.cache",
    "oxidite.db",
    "oxidite.queue",
    "oxidite.drivers",
    "oxidite.rates",
    "oxidite.openapi",
    "oxidite.middleware.codings",
    "oxidite.middleware.compress",
    "oxidite.middleware.cross_origin",
    "oxidite.middleware.decompress",
    "oxidite.middleware.forgery",
    "oxidite.middleware.idempotent",
    "oxidite.middleware.ratelimit",
    "oxidite.protocols.wsgi",
    "oxidite.servers",
    "oxidite.testing",
    "oxidite.websocket",
}

# Parts of the core that an application imports when it uses them.
UNUSED = {"csv", "oxidite.http.streams"}

# Parts of the standard library that take a millisecond or more, or many others with them.
HEAVY = {
    "argparse",
    "asyncio",
    "bz2",
    "calendar",
    "cgi",
    "concurrent.futures",
    "csv",
    "ctypes",
    "dataclasses",
    "decimal",
    "difflib",
    "doctest",
    "email",
    "email.message",
    "fractions",
    "ftplib",
    "gettext",
    "html",
    "html.entities",
    "http",
    "http.client",
    "http.cookies",
    "http.server",
    "importlib.metadata",
    "importlib.resources",
    "inspect",
    "ipaddress",
    "json",
    "logging",
    "logging.config",
    "lzma",
    "mimetypes",
    "multiprocessing",
    "optparse",
    "pdb",
    "pickle",
    "pkgutil",
    "platform",
    "pprint",
    "pydoc",
    "secrets",
    "shelve",
    "shutil",
    "smtplib",
    "sqlite3",
    "ssl",
    "statistics",
    "subprocess",
    "tempfile",
    "tomllib",
    "traceback",
    "typing",
    "unittest",
    "urllib.parse",
    "urllib.request",
    "uuid",
    "wsgiref",
    "wsgiref.headers",
    "xml",
    "zipfile",
}

# Those of them that are worth it. asyncio alone brings ssl, subprocess, socket and logging.
PAID = {
    "asyncio",
    "bz2",  # shutil
    "concurrent.futures",
    "dataclasses",
    "decimal",
    "difflib",  # "did you mean"
    "fractions",  # units of the settings
    "html",
    "html.entities",
    "http",  # HTTPStatus
    "inspect",
    "ipaddress",
    "logging",
    "lzma",  # shutil
    "platform",  # uuid
    "secrets",
    "shutil",  # tempfile
    "ssl",
    "subprocess",
    "tempfile",  # uploads
    "tomllib",
    "traceback",
    "typing",
    "urllib.parse",
    "uuid",
    "wsgiref",  # multipart
    "wsgiref.headers",
}


def modules_after(code: str) -> set[str]:
    """Return what a fresh interpreter has imported after ``code``."""
    program = f"import sys\n{code}\nprint(*sorted(sys.modules), sep=' ')"
    # Not measured: to measure what a process covers is to import much in it.
    environ = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def imported() -> set[str]:
    return modules_after("from oxidite import *") - modules_after("")


def test_the_package_itself_imports_nothing_until_a_name_is_asked_for() -> None:
    imported = modules_after("import oxidite") - modules_after("")

    assert {name for name in imported if name.startswith("oxidite.")} == set()
    assert imported & HEAVY <= {"typing"}
    assert "msgspec" not in imported


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    code = "import oxidite\nassert not hasattr(oxidite, 'Nothing')\nassert 'Router' in dir(oxidite)"
    assert "oxidite.app" not in modules_after(code)


def test_nothing_optional_is_imported(imported: set[str]) -> None:
    assert imported & NEVER == set()


def test_what_is_imported_of_the_heavy_standard_library_is_known(imported: set[str]) -> None:
    assert imported & HEAVY == PAID


def test_no_other_packages_are_imported_than_those_required(imported: set[str]) -> None:
    packages = {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names)

    assert {name for name in packages if not name.startswith("_")} <= {
        "msgspec",
        "multipart",
        "oxidite",
        "typing_extensions",  # by msgspec, where it is installed
    }


def test_an_application_that_answers_imports_nothing_optional() -> None:
    code = """
import asyncio
from msgspec import Struct
from oxidite import Json, NotFoundError, Oxidite, Query, Request

class Post(Struct):
    title: str

app = Oxidite(debug=False)

@app.get("/{id:int}")
async def show(id: int, full: bool = False) -> Post:
    return Post("a")

@app.post("/")
async def create(data: Post) -> Post:
    raise NotFoundError

async def main():
    async with app.running():
        for method, target in (("GET", "/3"), ("GET", "/3?full=x"), ("POST", "/"), ("PUT", "/")):
            await app.handle(Request.of(method, target, resources=app.lifespan))

asyncio.run(main())
"""
    assert modules_after(code) & (NEVER | UNUSED) == set()


@pytest.mark.parametrize(
    "module",
    [
        "oxidite.backends",
        "oxidite.clock",
        "oxidite.config",
        "oxidite.encoding",
        "oxidite.errors",
        "oxidite.extract",
        "oxidite.http",
        "oxidite.instrument",
        "oxidite.lifespan",
        "oxidite.plugin",
        "oxidite.protocols",
        "oxidite.routing",
        "oxidite.security",
    ],
)
def test_each_part_can_be_imported_alone(module: str) -> None:
    imported = modules_after(f"import {module}")

    assert module in imported
    assert imported & NEVER == set()
