from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oxidite.http.streams.disposition import attachment


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("posts.csv", 'attachment; filename="posts.csv"'),
        ("two words (1).csv", 'attachment; filename="two words (1).csv"'),
        ("é.csv", "attachment; filename=\"_.csv\"; filename*=UTF-8''%C3%A9.csv"),
        ('a"b.csv', "attachment; filename=\"a_b.csv\"; filename*=UTF-8''a%22b.csv"),
        ("100%.csv", "attachment; filename=\"100_.csv\"; filename*=UTF-8''100%25.csv"),
    ],
)
def test_the_name_of_a_download(name: str, field: str) -> None:
    assert attachment(name) == field


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "a\\b", "a\nb", "a\r\nset-cookie: x", "\0"])
def test_what_is_no_name_of_a_file_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a file"):
        attachment(name)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_name_comes_back_or_is_refused(name: str) -> None:
    try:
        field = attachment(name)
    except ValueError:
        return
    assert field.isascii()
    assert field.isprintable()
    plain, _, encoded = field.removeprefix('attachment; filename="').partition(
        "\"; filename*=UTF-8''"
    )
    assert (unquote(encoded) if encoded else plain.removesuffix('"')) == name
