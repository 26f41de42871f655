from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.trace import TraceContext, parse_traceparent, parse_tracestate

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
HEX = st.integers(min_value=1)


@given(st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1), st.booleans())
def test_what_is_sent_is_read_as_it_was_meant(trace: int, span: int, sampled: bool) -> None:
    sent = TraceContext(f"{trace:032x}", f"{span:016x}", "", sampled)

    assert parse_traceparent([sent.traceparent]) == (sent.trace_id, sent.span_id, sampled)


@pytest.mark.parametrize(
    ("flags", "sampled"), [("00", False), ("01", True), ("03", True), ("02", False), ("ff", True)]
)
def test_one_bit_of_the_flags_says_whether_it_is_sampled(flags: str, sampled: bool) -> None:
    assert parse_traceparent([f"00-{TRACE}-{SPAN}-{flags}"]) == (TRACE, SPAN, sampled)


@pytest.mark.parametrize("more", ["", "-what-the-future-will-be-like"])
def test_a_later_version_may_have_more_behind_it(more: str) -> None:
    assert parse_traceparent([f"cc-{TRACE}-{SPAN}-01{more}"]) == (TRACE, SPAN, True)


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE[:-1]}٣-{SPAN}-01",
    ],
)
def test_what_does_not_follow_the_grammar_is_not_there(value: str) -> None:
    assert parse_traceparent([value]) is None


def test_two_parents_are_none() -> None:
    value = f"00-{TRACE}-{SPAN}-01"

    assert parse_traceparent([value, value]) is None
    assert parse_traceparent([]) is None


@pytest.mark.parametrize(
    ("values", "state"),
    [
        (["congo=t61rcWkgMzE"], "congo=t61rcWkgMzE"),
        (["rojo=1", "congo=2"], "rojo=1,congo=2"),
        (["a=1 ,\tb=2,,"], "a=1,b=2"),
        (["tenant@system=x"], "tenant@system=x"),
        (["a=with space inside"], "a=with space inside"),
        ([], ""),
    ],
)
def test_the_state_of_others_is_passed_on(values: list[str], state: str) -> None:
    assert parse_tracestate(values) == state


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "a=",
        "A=1",
        "a=1,a=2",
        "a =1",
        "a=1=2",
        "a=\x7f",
        "a=é",
        "1system@=x",
        "a@b@c=1",
        f"a={'x' * 257}",
        f"{'a' * 257}=1",
        ",".join(f"k{number}=1" for number in range(33)),
        ",".join(f"k{number}={'x' * 256}" for number in range(32)),
    ],
)
def test_state_that_is_malformed_is_not_passed_on(value: str) -> None:
    assert parse_tracestate([value]) == ""
