from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite import HTMLResponse, Oxidite, Request, Response, StreamingResponse
from oxidite.cli.dev.policy import hash_source
from oxidite.cli.dev.wrapper import DevApp
from oxidite.errors import ConfigError
from oxidite.http import Handler, Middleware
from oxidite.middleware import CSP, NONCE, CSPNonce, csp_nonce, security_headers
from oxidite.testing import Client

POLICY = "content-security-policy"
REPORT_ONLY = "content-security-policy-report-only"


def application(*middleware: Middleware) -> Oxidite:
    app = Oxidite(middleware=middleware)

    @app.get("/")
    async def index() -> dict[str, str]:
        return {"title": "a"}

    @app.get("/page")
    async def page(nonce: CSPNonce) -> HTMLResponse:
        return HTMLResponse(f'<script nonce="{nonce}"></script>')

    return app


async def test_what_is_set_unless_said_keeps_browsers_careful_and_no_api_from_working() -> None:
    async with Client(application(security_headers())) as client:
        response = await client.get("/")

    assert dict(response.headers) == {
        "content-type": "application/json",
        "content-length": "13",
        "x-content-type-options": "nosniff",
        "referrer-policy": "strict-origin-when-cross-origin",
        "x-frame-options": "DENY",
        "cross-origin-opener-policy": "same-origin",
    }


async def test_errors_have_the_fields_too() -> None:
    app = application(security_headers())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async with Client(app, raise_errors=False) as client:
        for path in ("/nowhere", "/broken"):
            assert (await client.get(path)).headers["x-content-type-options"] == "nosniff"


async def test_each_field_can_be_another_or_none() -> None:
    middleware = security_headers(
        referrer=None,
        frame="SAMEORIGIN",
        opener=None,
        resource="same-site",
        embedder="require-corp",
    )

    async with Client(application(middleware)) as client:
        headers = (await client.get("/")).headers

    assert "referrer-policy" not in headers
    assert "cross-origin-opener-policy" not in headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-site"
    assert headers["cross-origin-embedder-policy"] == "require-corp"


async def test_what_the_handler_sets_itself_stays() -> None:
    app = application(security_headers(csp=CSP(default_src="'self'")))

    @app.get("/own")
    async def own() -> Response:
        return Response("own", headers={"X-Frame-Options": "SAMEORIGIN", POLICY: "default-src *"})

    async with Client(app) as client:
        headers = (await client.get("/own")).headers

    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert headers.get_list(POLICY) == ["default-src *"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_what_a_mounted_application_sets_itself_stays() -> None:
    inner = Oxidite()

    @inner.get("/")
    async def framed() -> Response:
        return Response("x", headers={"X-Frame-Options": "SAMEORIGIN", "Vary": "accept"})

    async def vary(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.headers.add_vary("origin")
        return response

    app = application(security_headers(), vary)
    app.mount("/inner", inner)

    async with Client(app) as client:
        headers = (await client.get("/inner/")).headers

    assert headers.get_list("x-frame-options") == ["SAMEORIGIN"]
    assert headers.get_list("vary") == ["accept", "origin"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_innermost_alone_decides() -> None:
    app = application(security_headers(csp=CSP(default_src="'self'")))

    @app.get("/framed", middleware=[security_headers(frame=None, opener=None)])
    async def framed() -> str:
        return "framed"

    async with Client(app) as client:
        headers = (await client.get("/framed")).headers

    assert "x-frame-options" not in headers
    assert POLICY not in headers
    assert headers["x-content-type-options"] == "nosniff"


async def test_an_answer_that_took_the_place_of_another_has_the_fields_too() -> None:
    async def fails(request: Request, call_next: Handler) -> Response:
        await call_next(request)
        raise RuntimeError

    app = application(security_headers(), fails)

    @app.get("/inner", middleware=[security_headers(frame=None)])
    async def inner() -> str:
        return "inner"

    async with Client(app, raise_errors=False) as client:
        response = await client.get("/inner")

    assert response.status_code == 500
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("permissions", "value"),
    [
        ({"camera": ()}, "camera=()"),
        ({"camera": [], "geolocation": ["self"]}, "camera=(), geolocation=(self)"),
        ({"display_capture": "self"}, "display-capture=(self)"),
        ({"fullscreen": ["*"]}, "fullscreen=*"),
        (
            {"payment": ("self", "https://a.example:8443")},
            'payment=(self "https://a.example:8443")',
        ),
    ],
)
async def test_features_are_given_to_whom_is_said(
    permissions: Mapping[str, Sequence[str]], value: str
) -> None:
    async with Client(application(security_headers(permissions=permissions))) as client:
        assert (await client.get("/")).headers["permissions-policy"] == value


@pytest.mark.parametrize(
    "permissions",
    [{"Camera": ()}, {"a b": ()}, {"camera": ["example.com"]}, {"camera": ['https://a"']}],
)
def test_features_that_are_written_wrongly_are_refused(
    permissions: Mapping[str, Sequence[str]],
) -> None:
    with pytest.raises(ConfigError, match="permissions: "):
        security_headers(permissions=permissions)


# Content-Security-Policy.


async def test_a_policy_is_sent_and_says_who_may_frame() -> None:
    policy = CSP(
        default_src="'self'",
        img_src=["'self'", "data:", "https://*.example.com"],
        object_src="'none'",
        upgrade_insecure_requests=True,
        sandbox=[],
    )

    async with Client(application(security_headers(csp=policy))) as client:
        headers = (await client.get("/")).headers

    assert headers[POLICY] == (
        "default-src 'self'; img-src 'self' data: https://*.example.com; object-src 'none'; "
        "upgrade-insecure-requests; sandbox; frame-ancestors 'none'"
    )


async def test_a_policy_that_says_itself_who_may_frame_is_left_so() -> None:
    policy = CSP(frame_ancestors="https://partner.example", upgrade_insecure_requests=False)

    async with Client(application(security_headers(csp=policy))) as client:
        assert (await client.get("/")).headers[POLICY] == "frame-ancestors https://partner.example"


async def test_a_policy_may_be_only_reported() -> None:
    middleware = security_headers(
        csp_report_only=CSP(default_src="'self'"), reports="/reports", frame=None
    )

    async with Client(application(middleware)) as client:
        headers = (await client.get("/")).headers

    assert POLICY not in headers
    assert headers[REPORT_ONLY] == "default-src 'self'; report-uri /reports; report-to reports"
    assert headers["reporting-endpoints"] == 'reports="/reports"'


@pytest.mark.parametrize("reports", ["reports", "http://a.example", '/a"b', "/a;b", "/a\nb", ""])
def test_reports_go_to_a_url(reports: str) -> None:
    with pytest.raises(ConfigError, match="is not the URL of reports"):
        security_headers(reports=reports)


NONCES = CSP(default_src="'self'", script_src=["'self'", NONCE], style_src=NONCE)


async def test_each_page_has_a_nonce_of_its_own_and_the_policy_has_the_same() -> None:
    seen = set()

    async with Client(application(security_headers(csp=NONCES, csp_report_only=NONCES))) as client:
        for _ in range(20):
            response = await client.get("/page")
            found = re.fullmatch(r'<script nonce="([A-Za-z0-9_-]{22})"></script>', response.text)
            assert found is not None
            for name in (POLICY, REPORT_ONLY):
                assert (
                    f"script-src 'self' 'nonce-{found[1]}'; style-src 'nonce-{found[1]}'"
                    in response.headers[name]
                )
            seen.add(found[1])

    assert len(seen) == 20


async def test_without_a_nonce_nothing_inline_runs() -> None:
    async with Client(application(security_headers(csp=NONCES))) as client:
        policy = (await client.get("/")).headers[POLICY]

    assert policy.startswith("default-src 'self'; script-src 'self'; style-src 'none'")


async def test_a_nonce_is_the_same_wherever_it_is_asked_for() -> None:
    app = application(security_headers(csp=NONCES))

    @app.get("/twice")
    async def twice(request: Request, nonce: CSPNonce) -> bool:
        return nonce == csp_nonce(request) == csp_nonce(request)

    async with Client(app) as client:
        assert (await client.get("/twice")).json() is True


async def test_what_is_in_the_browser_s_store_keeps_the_nonce_it_came_with() -> None:
    app = application(security_headers(csp=NONCES))

    @app.get("/kept")
    async def kept(nonce: CSPNonce) -> Response:
        return Response(status=304, headers={"etag": '"1"'})

    async with Client(app) as client:
        headers = (await client.get("/kept")).headers

    assert POLICY not in headers
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_stream_that_asks_too_late_is_told_so() -> None:
    app = application(security_headers(csp=NONCES))
    refusals: list[str] = []

    @app.get("/stream")
    async def stream(request: Request) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            try:
                csp_nonce(request)
            except RuntimeError as exc:
                refusals.append(str(exc))
            yield "part"

        return StreamingResponse(parts())

    async with Client(app) as client:
        assert "'none'" in (await client.get("/stream")).headers[POLICY]

    assert len(refusals) == 1
    assert "CSPNonce" in refusals[0]


def test_a_directive_that_does_not_exist_is_refused_with_the_one_meant() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'script_src'"):
        CSP(script_srcs="'self'")  # type: ignore[call-arg]  # the mistake
    with pytest.raises(ConfigError, match="no directive 'x'"):
        CSP(x="y")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("sources", "problem"),
    [
        ("self", "needs quotes of its own"),
        ("None", "needs quotes of its own"),
        ("nonce-abc", "needs quotes of its own"),
        ("'self' https:", "Several are a list"),
        ("https://a;b", "cannot be a source"),
        ("a,b", "cannot be a source"),
        ("", "cannot be a source"),
        ("é", "cannot be a source"),
        ("a\r\nx: y", "cannot be a source"),
        (["'none'", "'self'"], "stands alone"),
        (3, "is a source or a list"),
        ([3], "cannot be a source"),
    ],
)
def test_a_source_that_is_none_is_refused(sources: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        CSP(default_src=sources)


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3), st.text(max_size=8))
def test_no_source_gets_out_of_its_directive(sources: list[str], source: str) -> None:
    try:
        policy = CSP(img_src=[*sources, source], object_src="'none'")
    except ConfigError:
        return
    first, second = policy.value().split("; ")
    assert first.split() == ["img-src", *sources, source]
    assert second == "object-src 'none'"
    assert "," not in policy.value()


# Our own pages.


def styles(page: str) -> list[str]:
    return re.findall(r"<style>(.*?)</style>", page, re.DOTALL)


@pytest.mark.parametrize(
    ("debug", "path"), [(False, "/nowhere"), (False, "/broken"), (True, "/broken")]
)
async def test_pages_of_errors_look_as_they_should_under_any_policy(debug: bool, path: str) -> None:
    app = Oxidite(debug=debug, middleware=[security_headers(csp=CSP(default_src="'self'"))])

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    async with Client(app, raise_errors=False) as client:
        response = await client.get(path, headers={"accept": "text/html"})

    [policy] = response.headers.get_list(POLICY)
    [style] = styles(response.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_overlay_of_oxidite_dev_is_let_in_by_any_policy() -> None:
    app = application(security_headers(csp=NONCES))
    dev = DevApp(app)
    dev.failure = "SyntaxError"

    async with app.running(), httpx2.AsyncClient(transport=httpx2.ASGITransport(dev)) as client:
        response = await client.get("http://testserver/page")

    [policy] = response.headers.get_list(POLICY)
    [style] = styles(response.text)
    assert "SyntaxError" in response.text
    assert f"style-src 'nonce-{response.text.split(chr(34))[1]}' {hash_source(style)}" in policy
