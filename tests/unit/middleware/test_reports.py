from __future__ import annotations

import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import Oxidite
from oxidite.clock import TravelClock, use
from oxidite.middleware import BrowserReport, collect_reports
from oxidite.testing import Client

OLD = {"content-type": "application/csp-report"}
NEW = {"content-type": "application/reports+json; charset=utf-8"}
VIOLATION = {
    "csp-report": {
        "document-uri": "https://a.example/page",
        "blocked-uri": "https://evil.example/x.js",
        "violated-directive": "script-src",
    }
}
REPORTS = [
    {
        "age": 2,
        "type": "csp-violation",
        "url": "https://a.example/",
        "user_agent": "browser",
        "body": {"blockedURL": "inline"},
    },
    {"type": "deprecation", "url": "https://a.example/", "body": None},
]


def application(seen: list[BrowserReport] | None = None, *, per_minute: int = 60) -> Oxidite:
    app = Oxidite()
    on_report = None if seen is None else seen.append
    app.post("/reports", max_body=32_768)(collect_reports(on_report, per_minute=per_minute))
    return app


async def test_both_forms_of_reports_are_taken() -> None:
    seen: list[BrowserReport] = []

    async with Client(application(seen)) as client:
        old = await client.post("/reports", json=VIOLATION, headers=OLD)
        new = await client.post("/reports", json=REPORTS, headers=NEW)

    assert (old.status_code, new.status_code) == (204, 204)
    assert [(each.type, each.url) for each in seen] == [
        ("csp-violation", "https://a.example/page"),
        ("csp-violation", "https://a.example/"),
        ("deprecation", "https://a.example/"),
    ]
    assert [dict(each.body).get("blockedURL") for each in seen[1:]] == ["inline", None]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json"}, 415),
        (b"{}", {}, 415),
        (b"{", OLD, 400),
        (b"{}", OLD, 400),
        (b'{"csp-report": 3}', OLD, 400),
        (b"[]", OLD, 400),
        (b"{}", NEW, 400),
        (b"[3]", NEW, 400),
        (b"[" * 20_000, NEW, 400),
        (b"x" * 32_769, NEW, 413),
        (b"[]", NEW, 204),
    ],
)
async def test_what_is_no_report_is_refused(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    async with Client(application([])) as client:
        response = await client.post("/reports", content=content, headers=headers)

    assert response.status_code == status


async def test_a_report_cannot_write_lines_into_the_log_nor_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = [{"type": "x\nERROR forged", "url": "https://a.example/?token=abc123def", "body": {}}]

    async with Client(application()) as client:
        await client.post("/reports", json=report, headers=NEW)

    [record] = caplog.records
    assert (record.name, record.levelno) == ("oxidite.reports", logging.WARNING)
    assert "\n" not in record.getMessage()
    assert "abc123def" not in record.getMessage()
    assert "ERROR forged" in record.getMessage()


async def test_the_log_is_not_filled_by_whoever_likes_to(caplog: pytest.LogCaptureFixture) -> None:
    with use(TravelClock()) as clock:
        async with Client(application(per_minute=3)) as client:
            for _ in range(10):
                await client.post("/reports", json=VIOLATION, headers=OLD)
            assert len(caplog.records) == 3
            await clock.advance(60)
            await client.post("/reports", json=VIOLATION, headers=OLD)

    assert len(caplog.records) == 4
    assert "(7 more were not logged)" in caplog.records[-1].getMessage()


async def test_one_request_does_not_bring_any_number_of_reports() -> None:
    seen: list[BrowserReport] = []

    async with Client(application(seen, per_minute=1000)) as client:
        await client.post("/reports", json=[{"type": "x"}] * 1000, headers=NEW)

    assert len(seen) == 50


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner),
        max_leaves=8,
    )
)
async def test_whatever_json_comes_is_taken_or_refused(value: object) -> None:
    async with Client(application()) as client:
        for headers in (OLD, NEW):
            content = msgspec.json.encode(value)
            response = await client.post("/reports", content=content, headers=headers)
            assert response.status_code in (204, 400)
