"""The error page and its Markdown: what they show, that it is inert, that it is bounded."""

from __future__ import annotations

import asyncio
import json
import linecache
import re
import traceback
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import cast
from urllib.parse import quote

import pytest

from oxidite.http.request import MatchedRoute, Request
from oxidite.middleware.debug import debug_markdown, debug_page
from oxidite.middleware.debug.assets import POLICY, SCRIPT, STYLE

HOSTILE = (
    "</script></textarea></title></style></pre>-->\"'`"
    "<img src=x onerror=alert(1)><svg onload=alert(1)>"
)
VOID = {"meta", "!doctype"}


class Tags(HTMLParser):
    """Every element of a page, and whether they nest as they should."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for each, attributes in self.elements if each == tag]


def caught(function: Callable[..., object], *args: object) -> Exception:
    try:
        function(*args)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what is tested
        return exc
    raise AssertionError("it did not fail")


def text_of(page: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", page))


def divide(numerator: int) -> float:
    nothing = numerator - numerator
    return numerator / nothing


class OddError(Exception):
    pass


def refuse(message: object) -> object:
    raise OddError(message)


GET = Request.of("GET", "/orders/7")


def test_the_page_has_the_error_its_place_and_the_request() -> None:
    page = debug_page(GET, caught(divide, 3), "4f2a")

    text = text_of(page)
    assert "ZeroDivisionError" in text
    assert "division by zero" in text
    assert "GET/orders/7" in text
    assert "4f2a" in text
    line = divide.__code__.co_firstlineno + 2
    assert f"test_debug.py:{line}" in text
    assert f"{Path(__file__)}:{line}" in text


def test_a_frame_has_its_lines_and_marks_the_expression() -> None:
    page = debug_page(GET, caught(divide, 3), "1")

    assert "nothing = numerator - numerator" in page
    assert "return <mark>numerator / nothing</mark>" in page


def test_a_mark_counts_characters_not_bytes() -> None:
    def wide() -> object:
        return ("é漢字", divide(3), "tail")

    assert "<mark>divide(3)</mark>" in debug_page(GET, caught(wide), "1")


def test_an_expression_over_several_lines_is_marked_on_each() -> None:
    def long() -> object:
        return refuse(
            "several lines",
        )

    page = debug_page(GET, caught(long), "1")

    assert "return <mark>refuse(</mark>" in page


def test_a_frame_has_its_local_variables() -> None:
    text = text_of(debug_page(GET, caught(divide, 31415), "1"))

    assert "numerator31415" in text
    assert "nothing0" in text


def test_frames_of_the_user_are_open_and_those_of_libraries_are_folded() -> None:
    page = debug_page(GET, caught(json.loads, "{,}"), "1")

    frames = re.findall(r'<details class="frame"( open)?><summary><code class="call">([^<]+)', page)
    opened = {name for is_open, name in frames if is_open}
    assert opened == {"caught"}
    assert {"loads", "JSONDecoder.decode"} <= {name for is_open, name in frames if not is_open}
    assert "library calls in json" in page


def test_variables_of_libraries_are_not_shown() -> None:
    page = debug_page(GET, caught(json.loads, '{"a": sentinel-in-a-library}'), "1")

    # Once, as the argument of the function above; json's own variables hold it many times.
    assert page.count("<dt>args</dt>") == 1
    assert "<dt>idx</dt>" not in page


def test_a_failure_in_libraries_alone_opens_the_innermost() -> None:
    error = caught(json.loads, "{,}")
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next

    page = debug_page(GET, error, "1")

    assert page.count('<details class="frame" open>') == 1
    assert "<dt>idx</dt>" in page


def library(tmp_path: Path) -> Callable[..., object]:
    """A function of an installed package that calls what it is given."""
    path = tmp_path / "site-packages" / "vendor" / "calls.py"
    path.parent.mkdir(parents=True)
    path.write_text("def call(function, *arguments):\n    return function(*arguments)\n")
    names: dict[str, Callable[..., object]] = {}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names["call"]


def test_an_installed_package_is_a_library(tmp_path: Path) -> None:
    page = debug_page(GET, caught(library(tmp_path), divide, 3), "1")

    assert "1 library call in vendor" in page
    assert "vendor/calls.py:2" in page


def test_so_many_variables_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    lines = [f"v{number} = {number}" for number in range(25)]
    code = compile("\n".join([*lines, "1 / 0"]), str(tmp_path / "many.py"), "exec")

    page = debug_page(GET, caught(exec, code, {}), "1")

    assert "<dt>v19</dt>" in page
    assert "<dt>v20</dt>" not in page
    assert "and 5 more" in page


def test_a_working_directory_that_is_gone_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert f"{Path(__file__)}:" in debug_page(GET, caught(divide, 3), "1")


def test_what_led_to_an_error_is_on_the_page() -> None:
    def outer() -> None:
        try:
            divide(3)
        except ZeroDivisionError as exc:
            raise OddError("translated") from exc

    def outermost() -> None:
        try:
            outer()
        except OddError:
            raise KeyError("while handling")  # noqa: B904 - the context is what is tested

    page = debug_page(GET, caught(outermost), "1")

    order = [page.index(part) for part in ("KeyError", "While handling", "Caused by")]
    assert order == sorted(order)
    assert "ZeroDivisionError" in page


def test_a_suppressed_context_is_not_shown() -> None:
    def outer() -> None:
        try:
            divide(3)
        except ZeroDivisionError:
            raise OddError("alone") from None

    error = caught(outer)
    assert "ZeroDivisionError" not in debug_markdown(GET, error, "1").rpartition("## Traceback")[2]
    assert "<h2>While handling" not in debug_page(GET, error, "1")


def test_a_group_shows_its_members() -> None:
    group = ExceptionGroup("two failed", [caught(divide, 3), caught(refuse, "second")])

    page, markdown = debug_page(GET, group, "1"), debug_markdown(GET, group, "1")

    assert "1 of 2" in page
    assert "second" in page
    assert "  | ZeroDivisionError: division by zero" in markdown


def test_notes_are_shown() -> None:
    error = OddError("with a note")
    error.add_note("look at the moon")

    assert "look at the moon" in debug_page(GET, error, "1")
    assert "look at the moon" in debug_markdown(GET, error, "1")


def test_code_that_does_not_compile_is_shown(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def f(:\n    pass\n")

    page = debug_page(GET, caught(compile, broken.read_text(), str(broken), "exec"), "1")

    assert "def f(:" in page
    assert f"{broken}:1" in page


def test_a_syntax_error_that_names_no_file_is_shown_like_any_error() -> None:
    def read() -> None:
        raise SyntaxError("made by hand")

    page = debug_page(GET, caught(read), "1")

    assert "made by hand" in page
    assert "(not compiled)" not in page


def test_a_cause_that_says_nothing_is_shown_by_its_kind() -> None:
    def read() -> None:
        raise OddError("not read") from TimeoutError()

    page = debug_page(GET, caught(read), "1")

    assert "TimeoutError" in text_of(page)
    assert page.count('<p class="said">') == 0


def test_a_frame_of_no_file_has_no_link_to_an_editor() -> None:
    names: dict[str, Callable[[], object]] = {}
    exec(compile("def run():\n  1/0", "<template>", "exec"), names)

    page = debug_page(GET, caught(names["run"]), "1")

    assert "&lt;template&gt;:2" in page
    assert [each["href"] for each in Tags(page).named("a")] == [
        f"vscode://file{quote(__file__)}:{caught.__code__.co_firstlineno + 2}"
    ]


def test_a_file_saved_since_is_read_again(tmp_path: Path) -> None:
    module = tmp_path / "edited.py"
    module.write_text("def run():\n    raise ValueError('old')\n")
    names: dict[str, Callable[[], object]] = {}
    exec(compile(module.read_text(), str(module), "exec"), names)
    linecache.getlines(str(module))
    module.write_text("# the first line is new\n# and the second\n")

    assert "# and the second" in debug_page(GET, caught(names["run"]), "1")


def test_the_variables_of_a_module_are_those_that_hold_data(tmp_path: Path) -> None:
    module = tmp_path / "loaded.py"
    module.write_text("import json\ndef show(): ...\nlimit = 4711\n_private = 1\n1 / 0\n")

    def load() -> None:
        exec(compile(module.read_text(), str(module), "exec"), {})

    page = debug_page(GET, caught(load), "1")

    assert '<dt>limit</dt><dd class="value">4711</dd>' in page
    assert not re.search(r"<dt>(json|show|_private|__builtins__)</dt>", page)


def test_code_without_a_source_is_located_nevertheless() -> None:
    names: dict[str, Callable[[], object]] = {}
    exec(compile("def run():\n  1/0", "/nowhere/at-all.py", "exec"), names)

    assert "/nowhere/at-all.py:2" in debug_page(GET, caught(names["run"]), "1")


def test_the_request_has_its_route_parameters_query_and_headers() -> None:
    request = Request.of("POST", "/orders/7?page=2&empty=", headers={"User-Agent": "curl/8"})
    request.route = cast("MatchedRoute", SimpleNamespace(path="/orders/{id:int}"))
    request.params = MappingProxyType({"id": 7})

    text = text_of(debug_page(request, OddError(), "1"))

    assert "matched /orders/{id:int}" in text
    for row in ("id7", "page2", "empty", "user-agentcurl/8"):
        assert row in text


def test_an_error_that_was_never_raised_has_a_page() -> None:
    page = debug_page(GET, OddError("never raised"), "1")

    assert "never raised" in page
    assert "Traceback" not in page.split('<textarea id="markdown"')[0]


# Inert, whatever it is made of.


def hostile_page() -> str:
    request = Request.of(
        f"GET{HOSTILE}",
        f"/{HOSTILE.replace('?', '')}?{HOSTILE}=1&q={HOSTILE}",
        headers=[("x-bad", HOSTILE), (HOSTILE, "v")],
    )
    request.route = cast("MatchedRoute", SimpleNamespace(path=f"/{HOSTILE}"))
    request.params = {HOSTILE: HOSTILE, "x": HOSTILE}
    shown = type(HOSTILE, (), {"__repr__": lambda _: HOSTILE})()
    source = f"def run(value):\n    raise kind(value)  # {HOSTILE}\n"
    path = f"/tmp/{HOSTILE.replace('/', '')}.py"
    lines = [f"{line}\n" for line in source.split("\n")]
    linecache.cache[path] = (len(source), None, lines, path)
    kind = type(HOSTILE, (Exception,), {"__module__": HOSTILE})
    names: dict[str, object] = {"kind": kind}
    exec(compile(source, path, "exec"), names)
    error = caught(cast("Callable[..., object]", names["run"]), shown)
    error.args = (HOSTILE,)
    error.add_note(HOSTILE)
    error.__cause__ = ExceptionGroup(HOSTILE, [kind(HOSTILE)])
    return debug_page(request, error, HOSTILE)


def test_nothing_of_a_request_becomes_an_element() -> None:
    tags = Tags(hostile_page())

    assert tags.open == []
    assert not {"img", "svg", "iframe", "link", "form"} & {tag for tag, _ in tags.elements}
    assert len(tags.named("script")) == len(tags.named("style")) == 1


def test_nothing_of_a_request_becomes_an_attribute() -> None:
    known = {"class", "id", "open", "hidden", "type", "tabindex", "href", "lang", "charset", "name"}
    known |= {"content", "http-equiv", "readonly", "spellcheck", "aria-label"}

    for _, attributes in Tags(hostile_page()).elements:
        assert set(attributes) <= known
        assert (attributes.get("href") or "vscode://file/").startswith("vscode://file/")


def test_script_and_style_are_constant_and_pinned_by_the_policy() -> None:
    page = hostile_page()

    tags = Tags(page)
    assert tags.texts["script"] == SCRIPT
    assert tags.texts["style"] == STYLE
    assert "</" not in SCRIPT
    policies = [each["content"] for each in tags.named("meta") if "http-equiv" in each]
    assert policies == [POLICY]
    assert POLICY.startswith("default-src 'none';")
    assert "unsafe" not in POLICY


def test_the_page_loads_nothing() -> None:
    page = debug_page(GET, caught(divide, 3), "1")

    assert not re.search(r"\b(src|action|srcset)=|@import|url\(|<link", page)
    assert re.findall(r'href="([^:"]+):', page) == ["vscode"] * page.count("href=")


def test_it_works_without_its_script() -> None:
    tags = Tags(debug_page(GET, caught(divide, 3), "1"))

    assert "hidden" in tags.named("button")[0]  # only the script can copy, so it shows the button
    assert "division by zero" in tags.texts["textarea"]


def test_the_text_to_copy_is_the_markdown() -> None:
    error = caught(refuse, HOSTILE)
    page = debug_page(GET, error, "1")

    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert area is not None
    assert unescape(area[1]) == debug_markdown(GET, error, "1")


def test_what_cannot_be_seen_is_written_as_an_escape() -> None:
    page = debug_page(GET, caught(refuse, "a\x00b\x1b[31m\u202egpj.exe\ud800"), "1")

    assert r"a\x00b\x1b[31m\u202egpj.exe\ud800" in page
    assert not set(page) & set("\x00\x1b\u202e\ud800")
    page.encode()


# The Markdown.


def test_markdown_has_the_title_the_request_the_code_and_the_traceback() -> None:
    markdown = debug_markdown(GET, caught(divide, 3), "4f2a")

    lines = markdown.splitlines()
    assert lines[0] == "# `ZeroDivisionError: division by zero`"
    assert lines[2].startswith("`GET /orders/7`, error `4f2a`, Python 3.")
    line = divide.__code__.co_firstlineno + 2
    assert f"> {line:4} |     return numerator / nothing" in lines
    assert "Traceback (most recent call last):" in lines
    assert "    return numerator / nothing" in lines
    assert "           ~~~~~~~~~~^~~~~~~~~".replace("~", "^") in lines
    assert "ZeroDivisionError: division by zero" in lines


def test_markdown_has_the_causes_in_pythons_order() -> None:
    def outer() -> None:
        try:
            divide(3)
        except ZeroDivisionError as exc:
            raise OddError("translated") from exc

    traceback = debug_markdown(GET, caught(outer), "1").rpartition("## Traceback")[2]

    first, second = traceback.split("direct cause of the following exception")
    assert "ZeroDivisionError: division by zero" in first
    assert "OddError: translated" in second


def test_nothing_ends_a_block_or_a_span_of_code_early() -> None:
    attack = "`` ` ```\n```\n![x](http://evil.example/x.png)\n@everyone"
    markdown = debug_markdown(Request.of("GET", f"/{attack}"), caught(refuse, attack), "`1`")

    fence = ""
    for line in markdown.splitlines():
        ticks = re.match(r"`{3,}", line)
        if not fence and ticks and line[len(ticks[0]) :] in ("python", "text"):
            fence = ticks[0]
        elif fence and line == fence:
            fence = ""
        elif "evil.example" in line and not fence:
            outside = re.sub(r"(`+) ?.+? ?(?<!`)\1(?!`)", "", line)
            assert "evil.example" not in outside
    assert fence == ""


# Bounded.


def test_a_typical_failure_makes_a_small_page() -> None:
    rows = [{"id": index, "name": "x" * 40} for index in range(10_000)]

    def handler(count: int) -> None:
        nested = {"rows": rows, "count": count}
        if count:
            handler(count - 1)
        refuse(nested)

    page = debug_page(GET, caught(handler, 10), "1")

    assert len(page.encode()) < 100_000


def down(count: int) -> int:
    return down(count + 1)


def ping(count: int) -> int:
    return pong(count + 1)


def pong(count: int) -> int:
    return ping(count + 1)


@pytest.mark.parametrize("function", [down, ping])
def test_endless_recursion_is_collapsed(function: Callable[[int], int]) -> None:
    error = caught(function, 0)
    assert isinstance(error, RecursionError)

    page, markdown = debug_page(GET, error, "1"), debug_markdown(GET, error, "1")

    assert re.search(r"\d{3} times in a row|… \d{3} calls left out …", page)
    assert re.search(r"the same call \d{3} more times|\d{3} calls left out", markdown)
    assert len(page) < 100_000
    assert len(markdown) < 20_000


def test_every_call_that_is_not_shown_is_counted(tmp_path: Path) -> None:
    call = library(tmp_path)

    def zig(count: int) -> object:
        return zag(count - 1) if count % 30 else call(zag, count - 1)

    def zag(count: int) -> object:
        return zig(count - 1) if count > 0 else refuse("deep")

    error = caught(zig, 300)
    depth = sum(1 for _ in traceback.walk_tb(error.__traceback__))

    lines = debug_markdown(GET, error, "1").rpartition("## Traceback")[2].splitlines()

    shown = sum(line.startswith("  File ") for line in lines)
    left_out = sum(int(line.split()[0][1:]) for line in lines if line.endswith("calls left out]"))
    assert shown < 50
    assert shown + left_out == depth


def test_a_chain_without_end_is_cut() -> None:
    errors = [OddError(str(number)) for number in range(500)]
    first = errors[0]
    for error, cause in pairwise(errors):
        error.__cause__ = cause

    page = debug_page(GET, first, "1")

    assert page.count("Caused by") == 11
    assert "which are left out" in page


def test_code_is_shown_for_so_many_calls_and_the_others_are_located() -> None:
    errors = [caught(ping, 0) for _ in range(6)]
    for error, cause in pairwise(errors):
        error.__cause__ = cause

    page = debug_page(GET, errors[0], "1")

    assert page.count('<code class="call">') > 90
    assert page.count('<pre class="code"') <= 60
    assert len(page) < 150_000


def test_a_chain_that_bites_its_tail_ends() -> None:
    first, second = caught(refuse, "first"), caught(refuse, "second")
    first.__cause__, second.__cause__ = second, first

    assert debug_page(GET, first, "1").count("Caused by") == 1


def test_a_group_of_thousands_is_cut() -> None:
    error = ExceptionGroup("many", [caught(divide, 3) for _ in range(3000)])

    page = debug_page(GET, error, "1")

    assert "1 of 11" in page
    assert "which are left out" in page
    assert len(page) < 150_000


def test_the_worst_case_is_bounded() -> None:
    def fail(depth: int) -> None:
        if depth:
            big = [str(number) * 50 for number in range(50)]
            a, b, c, d, e, f = (tuple(big),) * 6
            others = fail, a, b, c, d, e, f
            others[0](depth - 1)
        raise ExceptionGroup("x" * 100_000, [OddError("y" * 100_000) for _ in range(50)])

    headers = [(f"x-{number}", "v" * 4000) for number in range(100)]
    request = Request.of("GET", f"/{'p' * 100_000}?{'q=1&' * 10_000}", headers=headers)

    assert len(debug_page(request, caught(fail, 90), "1")) < 600_000


# Broken values and a broken renderer.


class Broken:
    def __init__(self, error: type[Exception] = ValueError) -> None:
        self.error = error
        self.asked = 0

    def __repr__(self) -> str:
        self.asked += 1
        raise self.error("no")


def test_a_repr_that_raises_says_so() -> None:
    for error in (ValueError, RecursionError, AttributeError):
        text = text_of(debug_page(GET, caught(refuse, Broken(error)), "1"))
        assert f"<Broken: its repr raised {error.__name__}>" in text


def test_a_value_is_asked_once_however_often_it_appears() -> None:
    value = Broken()

    def outer(first: object, second: object) -> None:
        both = [first, second, first]
        refuse(both)

    debug_page(GET, caught(outer, value, value), "1")

    # The exception's own message is the list, which asks once more.
    assert value.asked <= 2


def test_a_message_that_cannot_be_had_does_not_hide_the_error() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    page = debug_page(GET, MuteError(), "1")

    assert "MuteError" in page
    assert "str() raised ValueError" in page


def test_a_proxy_that_refuses_to_be_asked_is_shown_by_its_type() -> None:
    class Proxy:
        def __getattribute__(self, name: str) -> object:
            raise RuntimeError("outside of its context")

        def __repr__(self) -> str:
            raise RuntimeError("outside of its context")

    assert "Proxy: its repr raised" in debug_page(GET, caught(refuse, Proxy()), "1")


def unreadable() -> Request:
    request = Request.of("GET", "/x")
    request.params = {"x": Broken()}
    return request


@pytest.mark.parametrize("render", [debug_page, debug_markdown])
def test_a_failure_of_the_renderer_does_not_hide_the_error(
    render: Callable[[Request, Exception, str], str], caplog: pytest.LogCaptureFixture
) -> None:
    text = render(unreadable(), caught(refuse, "token=abcdef12345"), "4f2a")

    assert "OddError: token=[redacted]" in text
    assert "4f2a" in text
    assert "test_debug.py" in text
    assert "ValueError: no" in caplog.text


def test_the_plain_page_is_inert_too() -> None:
    tags = Tags(debug_page(unreadable(), caught(refuse, HOSTILE), HOSTILE))

    assert {tag for tag, _ in tags.elements} == {"meta", "title", "pre"}


async def test_variables_of_a_coroutine_are_shown() -> None:
    async def work(order: int) -> None:
        await asyncio.sleep(0)
        refuse("later")

    with pytest.raises(OddError) as info:
        await work(4711)

    assert "order4711" in text_of(debug_page(GET, info.value, "1"))
