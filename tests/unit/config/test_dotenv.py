from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from oxidite.config.dotenv import parse_dotenv


def values(text: str) -> dict[str, str]:
    lines, problems = parse_dotenv(text, ".env")
    assert problems == []
    return {name: line.value for name, line in lines.items()}


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_dotenv(text, ".env")[1]]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("A=", ""),
        ("  A  =  1  ", "1"),
        ("export A=1", "1"),
        ("export\tA=1", "1"),
        ("A=two words", "two words"),
        ("A=1 # comment", "1"),
        ("A=1\t# comment", "1"),
        ("A= # comment", ""),
        ("A=#1", "#1"),
        ("A=1#2", "1#2"),
        ("A=a=b", "a=b"),
        ("A=it's", "it's"),
        ('A=say "hi"', 'say "hi"'),
        (r"A=C:\new", r"C:\new"),
        ("A=$HOME/${B}", "$HOME/${B}"),
        ("A=\u00a0x\u2028", "\u00a0x\u2028"),
        ("A=1\r\n", "1"),
        ("A='1'", "1"),
        ("A=''", ""),
        ("A=' 1 '", " 1 "),
        ("A='1' # comment", "1"),
        ("A='1'# comment", "1"),
        (r"A='\n$HOME\'", r"\n$HOME" + "\\"),
        ("A='say \"hi\" # no comment'", 'say "hi" # no comment'),
        ("A='one\ntwo\n'", "one\ntwo\n"),
        ('A="1"', "1"),
        ('A=""', ""),
        ('A="it\'s # no comment"  # comment', "it's # no comment"),
        (r'A="\n\r\t\\\"\'\$"', "\n\r\t\\\"'$"),
        (r'A="\\n"', r"\n"),
        ('A="one\ntwo"', "one\ntwo"),
        ('A="one\r\ntwo"\r\n', "one\ntwo"),
        ('A="${B} $(rm -rf)"', "${B} $(rm -rf)"),
    ],
)
def test_a_value_is_read_as_written(line: str, value: str) -> None:
    assert values(line) == {"A": value}


def test_comments_and_blank_lines_are_skipped() -> None:
    assert values("\n# A=1\n   # B=2\n \t\nC=3\n#") == {"C": "3"}


def test_a_byte_order_mark_is_skipped() -> None:
    assert values("\ufeffA=1") == {"A": "1"}


def test_a_variable_may_be_called_export() -> None:
    assert values("export=1\nexport export=2") == {"export": "2"}


def test_of_two_lines_with_one_name_the_last_counts() -> None:
    assert values("A=1\nA=2") == {"A": "2"}


def test_each_value_knows_its_line_after_values_of_several_lines() -> None:
    lines, _ = parse_dotenv("A='1\n2\n3'\n\nB=1\r\nC=\"\n\"\nD=1", ".env")

    assert {name: line.number for name, line in lines.items()} == {"A": 1, "B": 5, "C": 6, "D": 8}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hunter2", ".env:1: expected NAME=value, or a comment after #"),
        ("=hunter2", ".env:1: expected NAME=value, or a comment after #"),
        ("1A=hunter2", ".env:1: expected NAME=value, or a comment after #"),
        ("A-B=hunter2", ".env:1: expected NAME=value, or a comment after #"),
        ("export A", ".env:1: expected NAME=value, or a comment after #"),
        ("Ä=hunter2", ".env:1: expected NAME=value, or a comment after #"),
        ("A='hunter2", ".env:1: the quote ' is not closed"),
        ('A="hunter2', '.env:1: the quote " is not closed'),
        ('A="hunter2\\"', '.env:1: the quote " is not closed'),
        ('A="hunter2\\', '.env:1: the quote " is not closed'),
        ("A='hunter2' x", ".env:1: only a comment may follow the closing quote"),
        (r'A="\d"', r".env:1: in double quotes \ is followed by one of n r t " + "\\ \" ' $"),
        ("A=hun\0ter2", ".env:1: a value cannot contain NUL"),
    ],
)
def test_a_malformed_line_is_told_by_its_number_and_not_by_its_text(
    text: str, problem: str
) -> None:
    assert problems(text) == [problem]


def test_every_malformed_line_is_told() -> None:
    found = problems("A=1\nbad\nB=2\n\nalso bad\n'\nC='1\n2' x")

    assert [each.partition(": ")[0] for each in found][:4] == [
        ".env:2",
        ".env:5",
        ".env:6",
        ".env:7",
    ]


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


def in_double_quotes(value: str) -> str:
    escapes = {"\\": r"\\", '"': r"\"", "\r": r"\r", "$": r"\$"}
    return '"' + "".join(escapes.get(char, char) for char in value) + '"'


def as_is(value: str) -> str:
    plain = value.isprintable() and value.strip() == value and not value.startswith(("'", '"'))
    return value if plain and "#" not in value else in_double_quotes(value)


def in_single_quotes(value: str) -> str:
    return f"'{value}'" if "'" not in value and "\r" not in value else in_double_quotes(value)


@given(
    st.lists(
        st.tuples(names, texts, st.sampled_from([in_double_quotes, in_single_quotes, as_is])),
        max_size=6,
    ),
    st.sampled_from(["", "\n# comment", "\n\n   \n"]),
    st.sampled_from(["", "export "]),
)
@example([("A", "\\", in_double_quotes), ("B", "#", as_is)], "", "")
def test_what_is_written_by_the_rules_is_read_back(
    entries: list[tuple[str, str, object]], between: str, export: str
) -> None:
    written = []
    for name, value, write in entries:
        assert callable(write)
        written.append(f"{export}{name}={write(value)}{between}")

    assert values("\n".join(written)) == {name: value for name, value, _ in entries}


@given(st.text(st.sampled_from("AB=\"'\\ \t\n\r#nx$\0é"), max_size=60))
def test_any_text_is_read_or_told_with_a_line_that_exists(text: str) -> None:
    lines, found = parse_dotenv(text, ".env")

    numbers = [line.number for line in lines.values()]
    numbers += [int(problem.subject.removeprefix(".env:")) for problem in found]
    assert all(1 <= number <= text.count("\n") + 1 for number in numbers)
    assert not any("\0" in line.value for line in lines.values())


@pytest.mark.parametrize(
    "text",
    ["A='" * 50_000, "A='\n" * 50_000, 'A="\\\n' * 50_000, "A= " + " \t" * 100_000 + "x",
     "A=" + " #" * 100_000, "\\" * 200_000, 'A="' + "\\" * 200_000, "A\n" * 100_000],
)  # fmt: skip
def test_the_worst_of_long_texts_are_read_to_their_end(text: str) -> None:
    # Milliseconds each; a parser whose time is the square of the length would not end.
    lines, found = parse_dotenv(f"{text}\nLAST=1", ".env")

    assert "LAST" in lines or found
