"""What the pieces cost in process, without a server: `python -m benchmarks micro`, in seconds.

CPU time of this thread, contestants in turn, so that other work on the machine hardly shows. Each
application is called as a server calls it, with a request and functions that do nothing; `raw` is
the bare callable of the server benchmarks and shows what the measuring itself costs.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from statistics import median
from types import ModuleType

from benchmarks import fresh, middleware, yielding
from benchmarks.contract import IN_ONE_PIECE, Workload
from benchmarks.environments import CONTROLS, OURS, PEERS, site_packages
from benchmarks.fakes import AsgiServer, RsgiServer, first_reply, lifespan

Once = Callable[[], Awaitable[object]]

_CONTESTANTS = {
    "asgi": (
        ("raw", CONTROLS, "raw", "asgi"),
        ("thin", CONTROLS, "thin", "asgi"),
        ("starlette", "starlette", "app", "app"),
        (OURS, OURS, "app", "app"),
    ),
    "rsgi": (
        ("raw", CONTROLS, "raw", "rsgi"),
        ("thin", CONTROLS, "thin", "rsgi"),
        (OURS, OURS, "app", "app"),
    ),
}
_BATCH_SECONDS = 0.004
_PARTS = ("calls", "middleware", "pieces", "register", "yielding", "start")
_modules: dict[tuple[str, str, str, str], ModuleType] = {}


def main(arguments: list[str]) -> int:
    """Print the tables that were asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks micro", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(_PARTS)}; default: all but start")
    parser.add_argument("--workloads", nargs="+", choices=IN_ONE_PIECE, default=list(IN_ONE_PIECE))
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args(arguments)
    parts = options.parts or _PARTS[:-1]
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}")
    _find_packages()
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    try:
        if "calls" in parts:
            for interface in _CONTESTANTS:
                _calls(loop, interface, options.workloads, options.rounds)
        if "middleware" in parts:
            middleware.show(loop, options.rounds, _in_turn)
        if "pieces" in parts:
            _pieces(options.rounds)
        if "register" in parts:
            _register()
        if "yielding" in parts:
            yielding.show(loop, _row)
        if "start" in parts:
            fresh.show(_row)
    finally:
        loop.close()
    return 0


def _calls(
    loop: asyncio.AbstractEventLoop, interface: str, workloads: list[str], rounds: int
) -> None:
    names = [contestant[0] for contestant in _CONTESTANTS[interface]]
    print(f"\n{interface.upper()}, whole application, CPU µs per request (minimum of {rounds})")
    print(_row("", [*names, f"{OURS}-raw", "/raw", "/thin", "/starlette"]))
    problems: dict[str, str] = {}
    for name in workloads:
        workload = IN_ONE_PIECE[name]
        ready: dict[str, Once] = {}
        stops = []
        for label, *where in _CONTESTANTS[interface]:
            try:
                once, stop = _prepare(loop, interface, workload, *where)
            except Exception as error:  # noqa: BLE001 - whatever a contestant does, the others go on
                problems.setdefault(f"{label}: {type(error).__name__}: {error}", name)
                continue
            ready[label] = once
            stops.append(stop)
        times = loop.run_until_complete(_in_turn(ready, rounds))
        print(_row(name, _call_values(names, times)))
        for stop in stops:
            stop()
    for problem, where_seen in problems.items():
        print(f"  ! {problem} (first at {where_seen})")


def _call_values(names: list[str], times: dict[str, list[float]]) -> list[str]:
    values = [f"{min(times[n]) * 1e6:.2f}" if n in times else "" for n in names]
    if OURS not in times:
        return values
    ours = times[OURS]
    values.append(f"{(min(ours) - min(times['raw'])) * 1e6:+.2f}")
    for other in ("raw", "thin", "starlette"):
        pairs = zip(ours, times.get(other, ()), strict=False)
        ratios = [mine / theirs for mine, theirs in pairs]
        values.append(f"{median(ratios):.2f}" if ratios else "")
    return values


def _prepare(
    loop: asyncio.AbstractEventLoop,
    interface: str,
    workload: Workload,
    peer: str,
    module: str,
    name: str,
) -> tuple[Once, Callable[[], object]]:
    """What sends one request to an application, checked to answer it well, and what stops it."""
    application = getattr(_load(peer, module, workload.mode, interface), name)
    if interface == "asgi":
        end = loop.run_until_complete(lifespan(application))
        stop: Callable[[], object] = lambda: loop.run_until_complete(end())  # noqa: E731
        server: AsgiServer | RsgiServer = AsgiServer(application, workload.request)
    else:
        if hasattr(application, "__rsgi_init__"):
            application.__rsgi_init__(loop)
        server = RsgiServer(application, workload.request)
        stop = partial(getattr(application, "__rsgi_del__", _nothing), loop)
    status, body = loop.run_until_complete(first_reply(server))
    if (status, body) != (200, workload.expected):
        raise ValueError(f"answered {status} {body[:80]!r}")
    return server.once, stop


def _nothing(_: asyncio.AbstractEventLoop) -> None:
    pass


async def _in_turn(contestants: dict[str, Once], rounds: int) -> dict[str, list[float]]:
    """Seconds of CPU for one call of each contestant, in each of many short turns."""
    sizes = {}
    for label, once in contestants.items():
        await _batch(once, 200)
        sizes[label] = max(20, int(_BATCH_SECONDS / await _batch(once, 50)))
    times: dict[str, list[float]] = {label: [] for label in contestants}
    for _ in range(rounds):
        for label, once in contestants.items():
            times[label].append(await _batch(once, sizes[label]))
            # What an application does in the background gets its turn, outside the measurement.
            await asyncio.sleep(0)
    return times


async def _batch(once: Once, count: int) -> float:
    turns = itertools.repeat(None, count)
    started = time.thread_time()
    for _ in turns:
        await once()
    return (time.thread_time() - started) / count


def _pieces(rounds: int) -> None:
    print(f"\nPieces, CPU ns (minimum of {rounds})")
    try:
        pieces = dict(_routing_pieces())
    except Exception as error:  # noqa: BLE001 - internals may change; the rest still measures
        print(f"  ! {type(error).__name__}: {error}")
        return
    for name, call in pieces.items():
        best = min(_time_sync(call, 2000) for _ in range(rounds))
        print(f"  {name:<44}{best * 1e9:>8.0f}")


def _routing_pieces() -> Iterator[tuple[str, Callable[[], object]]]:
    from oxidite.routing.pattern import Pattern
    from oxidite.routing.tree import Tree

    def tree(*paths: str) -> Tree[str]:
        made: Tree[str] = Tree()
        for path in paths:
            pattern = Pattern.parse(path)
            made.add(pattern, ["GET"], path)
        return made

    few = tree("/plaintext", "/json", "/users/{id:int}", "/items")
    alone = tree("/r299/{id:int}/x")
    many = tree(*(f"/r{number:03d}/{{id:int}}/x" for number in range(300)))
    asked = (
        ("a static path", few, "/json"),
        ("with a parameter, among four", few, "/users/42"),
        ("with a parameter, alone", alone, "/r299/7/x"),
        ("with a parameter, among 300", many, "/r299/7/x"),
        ("no such route, among 300", many, "/r299/7/y"),
    )
    # `walk` is the way of every request, `find` the way of those it did not place.
    for way in ("walk", "find"):
        for name, routes, path in asked:
            look_up = getattr(routes, way, None)
            if look_up is not None:
                yield f"Tree.{way}: {name}", partial(look_up, path, "GET")


def _time_sync(call: Callable[[], object], count: int) -> float:
    turns = itertools.repeat(None, count)
    started = time.thread_time()
    for _ in turns:
        call()
    return (time.thread_time() - started) / count


def _register(count: int = 1000) -> None:
    print(f"\nRegistering {count:,} routes, CPU ms (best of 3)")
    for label, build in _builders(count).items():
        try:
            best = min(_time_sync(build, 1) for _ in range(3))
        except Exception as error:  # noqa: BLE001 - one that is not there yet is told, not fatal
            print(f"  {label:<12}! {type(error).__name__}: {error}")
        else:
            print(f"  {label:<12}{best * 1e3:>8.1f}")


def _builders(count: int) -> dict[str, Callable[[], object]]:
    def ours() -> object:
        from oxidite import Oxidite

        app = Oxidite()
        for number in range(count):

            async def handler(id: int, q: str | None = None) -> str:
                return f"{id}{q}"

            app.get(f"/r{number}/{{id:int}}/x")(handler)
        return app

    def starlette() -> object:
        application = importlib.import_module("starlette.applications").Starlette
        route = importlib.import_module("starlette.routing").Route

        async def handler(_: object) -> None:
            return None

        paths = [f"/r{number}/{{id:int}}/x" for number in range(count)]
        return application(routes=[route(path, handler) for path in paths])

    return {"starlette": starlette, OURS: ours}


def _load(peer: str, module: str, mode: str, interface: str) -> ModuleType:
    """A peer's module as it is in a mode, loaded once for each interface."""
    key = (peer, module, mode, interface)
    if key not in _modules:
        name = f"bench_{'_'.join(key)}".replace("-", "_")
        spec = importlib.util.spec_from_file_location(name, PEERS / peer / f"{module}.py")
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        os.environ["WORKLOAD"] = mode
        # Annotations are resolved by a module's name.
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        _modules[key] = loaded
    return _modules[key]


def _find_packages() -> None:
    """Let Starlette be imported from its own environment, after everything of this one."""
    found = site_packages("starlette")
    if found is not None:
        sys.path.append(str(found))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _row(name: str, values: list[str]) -> str:
    return f"  {name:<14}" + "".join(f"{value:>13}" for value in values)
