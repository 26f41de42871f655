"""Uploads are the same on every server."""

from __future__ import annotations

import httpx2
import pytest

PNG = b"\x89PNG\r\n\x1a\n"


def test_parts_arrive_without_being_kept(client: httpx2.Client) -> None:
    content = PNG.ljust(40_000_000, b"x")
    answer = client.post("/parts", data={"title": "a"}, files={"f": ("../a.png", content)})
    assert answer.status_code == 200
    found = answer.json()
    assert found["names"] == ["title None None", "f a.png image/png"]
    assert found["size"] == 40_000_001
    assert found["grown"] < 10_000_000


def test_a_file_is_spooled_and_checked(client: httpx2.Client) -> None:
    for size in (8, 4_000_000):
        answer = client.post("/picture", files={"file": ("a.png", PNG.ljust(size, b"x"))})
        assert (answer.status_code, answer.text) == (200, str(size))


@pytest.mark.parametrize("size", [1_000, 5_000_000])
def test_another_type_is_refused_with_the_reason(client: httpx2.Client, size: int) -> None:
    answer = client.post("/picture", files={"file": ("a.png", b"<svg>".ljust(size, b"x"))})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_file")


def test_what_is_too_large_is_refused_with_the_reason(client: httpx2.Client) -> None:
    answer = client.post("/picture", files={"file": ("a.png", PNG.ljust(5_050_000, b"x"))})
    assert (answer.status_code, answer.json()["code"]) == (413, "form_limit")
