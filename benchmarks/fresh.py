"""How long a fresh process takes from nothing to its first response."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.environments import OURS, REPOSITORY, STATE

_STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
imported()

async def plaintext(request):
    return PlainTextResponse("Hello, World!")

app = Starlette(routes=[Route("/plaintext", plaintext)])
"""
_FASTAPI = """
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
imported()

app = FastAPI()

@app.get("/plaintext", response_class=PlainTextResponse)
async def plaintext() -> str:
    return "Hello, World!"
"""
_OXIDITE = """
from oxidite import Oxidite
imported()

app = Oxidite()

@app.get("/plaintext")
async def plaintext() -> str:
    return "Hello, World!"
"""
_APPLICATIONS = {"starlette": _STARLETTE, "fastapi": _FASTAPI, OURS: _OXIDITE}

_BEFORE = """
import sys, time
begun = time.process_time()
marks = []

def imported():
    marks.extend((time.process_time() - begun, len(sys.modules)))
"""
# What drives the application is imported between two looks at the clock, so it counts for nobody.
_AFTER = """
made = time.process_time()
import asyncio
from benchmarks.contract import PLAINTEXT
from benchmarks.fakes import AsgiServer
ready = time.process_time()
reply = asyncio.run(AsgiServer(app, PLAINTEXT.request).collected())
assert reply == (200, PLAINTEXT.expected), reply
print(marks[0], made - begun - marks[0] + time.process_time() - ready, marks[1])
"""


def show(row: Callable[[str, list[str]], str], runs: int = 5) -> None:
    """Print the table: CPU of the import, CPU of the application's first response, wall time."""
    print(f"\nA fresh process to its first response (best of {runs})")
    print(row("", ["import, ms", "first, ms", "whole, ms", "modules"]))
    wall, _ = _best("pass", sys.executable, runs)
    print(row("python alone", ["", "", f"{wall:.0f}", ""]))
    for peer, application in _APPLICATIONS.items():
        python = STATE / "envs" / peer / "bin" / "python"
        code = _BEFORE + application + _AFTER
        try:
            wall, values = _best(code, str(python) if python.exists() else sys.executable, runs)
        except subprocess.CalledProcessError as error:
            print(f"  {peer}: ! {error.stderr.strip().splitlines()[-1]}")
            continue
        imported, first, modules = values
        shown = [f"{imported * 1e3:.1f}", f"{first * 1e3:.1f}", f"{wall:.0f}", f"{modules:.0f}"]
        print(row(peer, shown))


def _best(code: str, python: str, runs: int) -> tuple[float, list[float]]:
    """Wall milliseconds of the whole process and what it printed, each at its least."""
    printed, walls = [], []
    surroundings = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for _ in range(runs):
        started = time.perf_counter()
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True, env=surroundings
        )
        walls.append((time.perf_counter() - started) * 1e3)
        printed.append([float(value) for value in done.stdout.split()])
    return min(walls), [min(values) for values in zip(*printed, strict=True)]
