from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from oxidite.config.toml import find_lines

DOCUMENT = '''\
title = "x"            # 1
"quoted key" = 1
a.b.c = 2

[table]                # 5
key = """
fake = 1
[fake]
"""
after = 'one'
tricky = "\\"\\"\\" # '" # """
still = true
[ table . "inner" ]
key = [
  "x = 1",
]
last = \'\'\'a = 1
b = 2\'\'\'
[[items]]              # 19
name = 1
[[items]]
name = 2
'''


def test_every_table_and_key_has_its_line() -> None:
    tomllib.loads(DOCUMENT)

    assert find_lines(DOCUMENT) == {
        ("title",): 1,
        ("quoted key",): 2,
        ("a", "b", "c"): 3,
        ("table",): 5,
        ("table", "key"): 6,
        ("table", "after"): 10,
        ("table", "tricky"): 11,
        ("table", "still"): 12,
        ("table", "inner"): 13,
        ("table", "inner", "key"): 14,
        ("table", "inner", "last"): 17,
        ("items",): 19,
        ("items", "name"): 20,
    }


def test_lines_may_end_in_carriage_returns() -> None:
    assert find_lines("a = 1\r\n[t]\r\nb = 2\r\n") == {("a",): 1, ("t",): 2, ("t", "b"): 3}


@given(st.text(st.sampled_from("ab=[]\"'#.\\ \n"), max_size=80))
def test_any_text_is_searched_without_failing(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in find_lines(text).values())
