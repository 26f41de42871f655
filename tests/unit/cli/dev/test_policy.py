"""``oxidite.cli.dev.policy``: a stylesheet is let in by a page's policy, and nothing else is."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest

from oxidite.cli.dev.policy import admit, before_policy, hash_source

HASH = "'sha256-abc='"
NAME = b"content-security-policy"


def admitting(policy: str) -> str:
    [(name, value)] = admit([(NAME, policy.encode())], HASH)
    assert name == NAME
    return value.decode()


def test_a_source_is_the_hash_of_the_content() -> None:
    assert hash_source("p{}") == f"'sha256-{b64encode(sha256(b'p{}').digest()).decode()}'"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # What rules everything goes on ruling everything else.
        ("default-src 'self'", f"default-src 'self'; style-src-elem 'self' {HASH}"),
        ("default-src 'none'", f"default-src 'none'; style-src-elem {HASH}"),
        (
            "default-src 'nonce-1' 'report-sample'; img-src *",
            f"default-src 'nonce-1' 'report-sample'; img-src *; style-src-elem 'nonce-1' 'report-sample' {HASH}",
        ),
        # What rules styles rules this one too.
        ("style-src 'self'", f"style-src 'self' {HASH}"),
        ("style-src 'none'; img-src *", f"style-src {HASH}; img-src *"),
        ("style-src", f"style-src {HASH}"),
        ("style-src 'nonce-1'", f"style-src 'nonce-1' {HASH}"),
        ("style-src 'sha256-x='", f"style-src 'sha256-x=' {HASH}"),
        ("style-src 'unsafe-inline' 'nonce-1'", f"style-src 'unsafe-inline' 'nonce-1' {HASH}"),
        ("default-src *; style-src a.example", f"default-src *; style-src a.example {HASH}"),
        (
            "style-src-elem 'self'; style-src 'unsafe-inline'; default-src 'none'",
            f"style-src-elem 'self' {HASH}; style-src 'unsafe-inline'; default-src 'none'",
        ),
        # However it is written.
        ("STYLE-SRC 'NONE'", f"STYLE-SRC {HASH}"),
        (" ;; style-src\t'self' ;", f"style-src 'self' {HASH}"),
        ("style-src 'self'; style-src *", f"style-src 'self' {HASH}; style-src *"),
        # Each of several policies forbids by itself.
        (
            "default-src 'self', style-src 'none'",
            f"default-src 'self'; style-src-elem 'self' {HASH},style-src {HASH}",
        ),
    ],
)
def test_the_hash_joins_what_rules_style_elements(policy: str, expected: str) -> None:
    assert admitting(policy) == expected


@pytest.mark.parametrize(
    "policy",
    [
        "",
        "frame-ancestors 'none'",
        "sandbox; script-src 'none'; img-src 'self'",
        # A hash beside it would shut out the styles of the page itself.
        "style-src 'self' 'unsafe-inline'",
        "default-src 'none'; style-src 'UNSAFE-INLINE'",
        "default-src 'self' 'unsafe-inline'",
        "style-src-elem 'unsafe-inline'; style-src 'none'",
        "upgrade-insecure-requests;  style-src 'unsafe-inline' ;",
    ],
)
def test_a_policy_that_forbids_no_style_stays_as_it_is(policy: str) -> None:
    assert admitting(policy) == policy


def test_every_policy_is_looked_at_and_no_other_field() -> None:
    fields = [
        (b"content-type", b"text/html"),
        (b"Content-Security-Policy", b"style-src 'self'"),
        (b"content-security-policy", b"default-src 'none'"),
        (b"content-security-policy-report-only", b"style-src a.example"),
        (b"x-content-security-policy", b"style-src 'self'"),
    ]

    assert admit(fields, HASH) == [
        (b"content-type", b"text/html"),
        (b"Content-Security-Policy", b"style-src 'self' 'sha256-abc='"),
        (b"content-security-policy", b"default-src 'none'; style-src-elem 'sha256-abc='"),
        (b"content-security-policy-report-only", b"style-src a.example 'sha256-abc='"),
        (b"x-content-security-policy", b"style-src 'self'"),
    ]


META = b'<meta http-equiv="Content-Security-Policy" content="default-src \'none\'">'


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"<!doctype html>\n<html><head>\r\n  <title>x</title>\n  ",
        "<title>\u00e4\u2028\u0085 \x0b\x1c</title>\n\t".encode(),
        b"\xff\xfe\x85\n<head>",
        b'<!-- <meta http-equiv="content-security-policy"> -->\n<meta charset="utf-8">',
        b'<script>"<meta http-equiv=content-security-policy>"</script>',
        b'<meta name="content-security-policy" http-equiv><meta http-equiv="refresh">',
    ],
)
@pytest.mark.parametrize(
    "meta",
    [META, META.lower(), META.upper(), b"<meta content=x\n http-equiv=content-security-policy>"],
)
def test_a_policy_in_the_page_is_found(before: bytes, meta: bytes) -> None:
    assert before_policy(before + meta + META + b"</head>\n<p>") == len(before)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<h1>page</h1>",
        b"<p>content-security-policy</p>",
        b'<!-- <meta http-equiv="content-security-policy"> -->',
        b'<meta http-equiv="content-security-policy',
    ],
)
def test_a_page_without_a_policy_is_left_to_its_end(page: bytes) -> None:
    assert before_policy(page) == len(page)
