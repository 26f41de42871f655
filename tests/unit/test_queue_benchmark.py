"""What the benchmark of jobs makes of its samples: which peers are a bar, and when it is reached."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

# Benchmarks are no part of the distribution.
sys.path.append(str(Path(__file__).parents[2]))

from benchmarks.environments import Environment
from benchmarks.queue.processes import Place
from benchmarks.queue.report import markdown
from benchmarks.queue.results import Results
from benchmarks.queue.rows import ROWS


def line_of(results: Results, beginning: str) -> str | None:
    lines = markdown(results, {}).splitlines()
    return next((line for line in lines if line.startswith(beginning)), None)


def sampled(**values: list[float]) -> Results:
    results = Results(3)
    for key, found in values.items():
        for value in found:
            results.add(key.replace("_", "-"), "one", value)
    return results


def test_the_bar_is_the_best_peer_in_the_median_of_the_rounds() -> None:
    results = sampled(
        oxidite_redis=[300.0, 30.0, 300.0],  # a round in which everything was slow
        saq_redis=[200.0, 20.0, 200.0],
        arq_redis=[100.0, 10.0, 100.0],
    )
    line = line_of(results, "| redis | pushed one by one | ")
    assert line == "| redis | pushed one by one | saq, 200 | 300 | 1.50 | reached |"


def test_what_is_slower_than_a_peer_is_missed() -> None:
    line = line_of(
        sampled(oxidite_redis=[100.0] * 3, saq_redis=[101.0] * 3), "| redis | pushed one"
    )
    assert line is not None
    assert line.endswith("| 0.99 | **missed** |")


def test_less_latency_is_better() -> None:
    results = Results(1)
    results.add("oxidite-redis", "p50", 0.001)
    results.add("saq-redis", "p50", 0.002)
    line = line_of(results, "| redis | from push to start, p50 | ")
    assert line == "| redis | from push to start, p50 | saq, 2.0 ms | 1.0 ms | 2.00 | reached |"


def test_what_loses_jobs_is_no_bar() -> None:
    results = sampled(oxidite_redis=[100.0] * 3, taskiq_list_redis=[900.0] * 3)
    assert line_of(results, "| redis | pushed one by one |") is None
    assert line_of(results, "## What does not") is not None


def test_what_the_probe_found_lowers_no_bar_and_is_told() -> None:
    results = sampled(oxidite_redis=[100.0] * 3, saq_redis=[900.0] * 3)
    results.recovered["saq-redis"] = None
    results.patience = 40.0
    assert line_of(results, "| redis | pushed one by one | saq") is not None
    assert "| not within 40 s |" in (line_of(results, "| saq | redis |") or "")


def test_other_stores_are_no_bar() -> None:
    results = sampled(oxidite_redis=[100.0] * 3, saq_postgresql=[900.0] * 3)
    assert line_of(results, "| redis | pushed one by one |") is None


@pytest.mark.parametrize(("many", "verdict"), [(1.2, "reached"), (1.21, "**missed**")])
def test_claims_of_many_may_take_a_fifth_longer(many: float, verdict: str) -> None:
    results = Results(1, claims={"redis": (1.0, many)}, waiting=1_000_000)
    line = line_of(results, "| redis | 1000.00 ms")
    assert line is not None
    assert line.endswith(f"| {verdict} |")


def test_marks_are_read_as_they_were_written(tmp_path: Path) -> None:
    from benchmarks.queue.peers import marks

    place = Place(ROWS[0], Environment("oxidite", tmp_path), "redis://", tmp_path)
    memory = marks.opened(str(place.path))
    for number, pushed, begun in ((0, 1.0, 1.5), (2, 3.0, 3.25)):
        struct.pack_into("d", memory, (marks.NUMBERS + number) * 8, pushed)
        struct.pack_into("d", memory, number * 8, begun)
    assert place.begun(3) == [1.5, 3.25]
    assert place.waits(3) == [0.5, 0.25]
    place.clear()
    assert place.begun(3) == []
