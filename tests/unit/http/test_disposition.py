from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.disposition import content_disposition
from oxidite.http.headers import header_value


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("my report.pdf", 'attachment; filename="my report.pdf"'),
        (
            "naïve café.txt",
            "attachment; filename=\"naive cafe.txt\"; filename*=UTF-8''na%C3%AFve%20caf%C3%A9.txt",
        ),
        (
            "日本.pdf",
            "attachment; filename=\"download.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf",
        ),
        ("日本", "attachment; filename=\"download\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("50%.txt", "attachment; filename=\"50_.txt\"; filename*=UTF-8''50%25.txt"),
        (".profile", 'attachment; filename=".profile"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\temp\\x.exe", 'attachment; filename="x.exe"'),
        (
            "a\r\nset-cookie: x.txt",
            "attachment; filename=\"a__set-cookie_ x.txt\"; filename*=UTF-8''a__set-cookie%3A%20x.txt",
        ),
        # The name would be shown as "photo_exe.jpg".
        (
            "photo_\u202egpj.exe",
            'attachment; filename="photo__gpj.exe"',
        ),
    ],
)
def test_names_are_written(name: str, field: str) -> None:
    assert content_disposition(name) == field


@pytest.mark.parametrize("name", ["", " ", ".", "..", "/", "a/", "a/..", "\\"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        content_disposition(name)


@given(st.text(min_size=1))
def test_no_name_breaks_out_of_the_field(name: str) -> None:
    try:
        field = content_disposition(name)
    except ValueError:
        return

    header_value(field)
    match = re.fullmatch(
        r"attachment; filename=\"([^\"\\/\x00-\x1f\x7f-\uffff]+)\"(?:; filename\*=UTF-8''(\S+))?",
        field,
    )
    assert match is not None
    extended = unquote(match[2] or "", errors="strict")
    assert not set(extended) & {"/", "\\", "\r", "\n", "\x00"}
