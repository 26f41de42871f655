"""YAML that says what the JSON says."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from oxidite.openapi.yaml import to_yaml

TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "yes",
        "No",
        "null",
        "~",
        "1",
        "1.0",
        "0x1",
        "2026-01-01",
        "- a",
        "a: b",
        "a #b",
        "\x85",
        "é",
        "a\n",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_whatever_is_written_is_read_back(value: object) -> None:
    text = to_yaml(value)
    # 1e+16 has no point, so YAML 1.1 takes it for text. It is a number in YAML 1.2.
    if "e" not in "".join(each for each in text if each.isdigit() or each in "e+-"):
        assert yaml.safe_load(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"a": {"b": [1, {"c": "d", "e": []}], "f": {}}},
            "a:\n  b:\n    - 1\n    - c: d\n      e: []\n  f: {}\n",
        ),
        ([[1, 2], []], "- - 1\n  - 2\n- []\n"),
        ("a b", '"a b"\n'),
        ({"200": True}, '"200": true\n'),
    ],
)
def test_it_is_readable(value: object, text: str) -> None:
    assert to_yaml(value) == text
