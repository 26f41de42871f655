"""Runs comparisons: all their servers up, one at a time awake, windows in changing order."""

from __future__ import annotations

import random
import sys
from collections.abc import Collection
from types import TracebackType
from typing import Self

from benchmarks.contract import WORKLOADS, deviations
from benchmarks.environments import REPOSITORY, Environment, prepare
from benchmarks.idle import hold
from benchmarks.measure import Window, window
from benchmarks.plans import Cell, Comparison
from benchmarks.results import Measured, Results
from benchmarks.servers import Guard, Server, ServerFailedError
from benchmarks.stream import Stream, download
from benchmarks.targets import TARGETS

_RETRIES = 2


class Fleet:
    """The servers that are up, suspended unless one is being measured."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._guard = Guard()
        self._servers: dict[tuple[str, str], Server] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.keep(set())
        finally:
            self._guard.close()

    def keep(self, wanted: Collection[tuple[str, str]]) -> None:
        """Stop every server but those wanted."""
        for key in [key for key in self._servers if key not in wanted]:
            self._servers.pop(key).stop()

    def get(self, cell: Cell) -> Server | None:
        """The suspended server for a cell, started and checked; `None` if that is not to be had."""
        key = (cell.target, WORKLOADS[cell.workload].mode)
        if key not in self._servers:
            server = self._start(*key)
            if server is None:
                return None
            self._servers[key] = server
        server = self._servers[key]
        wrong = self._check(server, cell)
        if wrong:
            self.fail(cell.key, f"not measured, breaks the contract: {'; '.join(wrong)[:300]}")
            return None
        return server

    def lose(self, server: Server) -> None:
        """Stop a server that failed."""
        self._servers.pop((server.target.label, server.mode), None)
        server.stop()

    def fail(self, what: str, why: str) -> None:
        """Note what could not be measured, the first reason only, without where we are."""
        why = why.replace(str(REPOSITORY), ".")
        if what not in self._results.failures:
            self._results.failures[what] = why
            print(f"! {what}: {why}", file=sys.stderr, flush=True)

    def environment(self, peer: str) -> Environment | None:
        known = self._results.environments
        if peer not in known:
            known[peer] = prepare(peer)
            problem = known[peer].problem
            if problem is not None:
                self.fail(peer, problem)
        return known[peer] if known[peer].problem is None else None

    def _start(self, label: str, mode: str) -> Server | None:
        what = f"{label} ({mode})"
        environment = self.environment(TARGETS[label].peer)
        if environment is None or what in self._results.failures:
            return None
        try:
            server = Server(TARGETS[label], mode, environment, self._guard)
        except ServerFailedError as error:
            self.fail(what, f"did not start: {error}")
            return None
        server.suspend()
        return server

    @staticmethod
    def _check(server: Server, cell: Cell) -> list[str]:
        server.resume()
        try:
            workload = WORKLOADS[cell.workload]
            return deviations(workload, server.port, validates=server.target.validates)
        finally:
            server.suspend()


def run(
    comparison: Comparison, fleet: Fleet, results: Results, *, windows: int, seconds: float
) -> None:
    """Measure a comparison and add it to the results; a cell that fails is dropped and told."""
    fleet.keep({(c.target, WORKLOADS[c.workload].mode) for c in comparison.cells})
    servers = {cell: fleet.get(cell) for cell in comparison.cells}
    up = {cell: server for cell, server in servers.items() if server is not None}
    measured = Measured(comparison)
    results.measured.append(measured)
    for number in range(windows + 1):
        _say(comparison, number, windows, len(up))
        found: dict[Cell, Window] = {}
        # Round 0 warms up and is thrown away.
        for cell in random.sample(list(up), len(up)):
            try:
                found[cell] = _steady(up[cell], cell, seconds, comparison.connections)
            except ServerFailedError as error:
                fleet.fail(cell.key, f"failed in round {number} of {windows}: {error}")
                fleet.lose(up.pop(cell))
        if number:
            measured.rounds.append(found)
    print(file=sys.stderr)


def run_idle(fleet: Fleet, results: Results, labels: Collection[str], count: int) -> None:
    """Hold idle connections against each server in turn."""
    fleet.keep(set())
    for label in labels:
        cell = Cell(label, "json")
        server = fleet.get(cell)
        if server is None:
            continue
        print(f"idle: {label}", file=sys.stderr, flush=True)
        server.resume()
        try:
            results.idle.append(hold(server, count))
        except ServerFailedError as error:
            fleet.fail(f"{label} idle", f"with {count:,} idle connections: {error}")
        fleet.keep(set())


def run_stream(
    fleet: Fleet, results: Results, labels: Collection[str], *, size: int, rounds: int
) -> None:
    """Download a stream from each server in turn, in changing order."""
    fleet.keep(set())
    found = {label: fleet.get(Cell(label, "stream")) for label in labels}
    servers = {label: server for label, server in found.items() if server is not None}
    for number in range(rounds):
        taken: dict[str, Stream] = {}
        for label in random.sample(list(servers), len(servers)):
            print(f"stream, round {number + 1} of {rounds}: {label}", file=sys.stderr, flush=True)
            servers[label].resume()
            try:
                if number == 0:
                    download(servers[label], size // 20)  # what it needs for a stream at all
                taken[label] = download(servers[label], size)
                servers[label].suspend()
            except ServerFailedError as error:
                fleet.fail(f"{label} stream", str(error))
                fleet.lose(servers.pop(label))
        results.streams.append(taken)
    fleet.keep(set())


def _steady(server: Server, cell: Cell, seconds: float, connections: int) -> Window:
    """One window, taken again when something else ran on the servers' core meanwhile."""
    server.resume()
    try:
        workload = WORKLOADS[cell.workload]
        taken = [window(server, workload, seconds=seconds, connections=connections)]
        while taken[-1].disturbed and len(taken) <= _RETRIES:
            taken.append(window(server, workload, seconds=seconds, connections=connections))
        return min(taken, key=lambda w: w.foreign)
    finally:
        server.suspend()


def _say(comparison: Comparison, number: int, windows: int, cells: int) -> None:
    what = "warming up" if number == 0 else f"round {number} of {windows}"
    line = f"{comparison.set}, {comparison.title} ({cells} cells): {what}"
    print(f"\r{line:<79}", end="", file=sys.stderr, flush=True)
