"""A report as one HTML page, which loads nothing and works without its script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from pathlib import PurePath
from urllib.parse import quote

from oxidite.middleware.debug.assets import POLICY, SCRIPT, STYLE
from oxidite.middleware.debug.failure import Failure
from oxidite.middleware.debug.frames import Frame, Gap, Variable
from oxidite.middleware.debug.printable import printable
from oxidite.middleware.debug.report import Report
from oxidite.middleware.debug.source import Line
from oxidite.middleware.debug.summary import Row, Summary
from oxidite.security.redact import MASK

__all__ = ["page_of"]

_TITLE = 120
_LONG = 140

_LED_TO = {
    "cause": ("Caused by", "it was raised from this"),
    "context": ("While handling", "this was being handled when it was raised"),
}


def page_of(report: Report, markdown: str) -> str:
    """Return the page; ``markdown`` is what its button copies."""
    failure, request = report.failure, report.request
    title = f"{failure.title[:_TITLE]} · {request.method} {request.path}"
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="content-security-policy" content="{escape(POLICY)}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            '<meta name="robots" content="noindex">',
            f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>",
            *_header(report),
            '<main class="wrap">',
            *_traceback(failure, outermost=True),
            *_led(failure),
            *_request(request),
            *_paste(markdown),
            "</main>",
            *_footer(report),
            f"<script>{SCRIPT}</script></body></html>",
        )
    )


def _text(text: str) -> str:
    return escape(printable(text))


# The head of the page: what, where, for which request.


def _header(report: Report) -> Iterator[str]:
    failure, request = report.failure, report.request
    yield '<header><div class="wrap"><div class="top"><p class="request">'
    yield f'<span class="method">{_text(request.method)}</span><code>{_text(request.path)}</code>'
    if request.pattern is not None and request.pattern != request.path:
        yield f' <span class="route">matched <code>{_text(request.pattern)}</code></span>'
    yield '</p><button id="copy" type="button" hidden>Copy as Markdown</button></div>'
    yield f'<p class="kind">{_kind(failure)}</p>'
    if failure.message:
        long = len(failure.message) > _LONG or "\n" in failure.message.strip()
        kind = ' class="long" tabindex="0"' if long else ""
        yield f"<h1{kind}>{_text(failure.message)}</h1>"
    yield from _notes(failure)
    yield from _where(failure)
    yield "</div></header>"


def _kind(failure: Failure) -> str:
    module = f'<span class="module">{_text(failure.module)}.</span>' if failure.module else ""
    return f"{module}{_text(failure.name)}"


def _notes(failure: Failure) -> Iterator[str]:
    for note in failure.notes:
        yield f'<p class="notes">{_text(note)}</p>'


def _where(failure: Failure) -> Iterator[str]:
    frame = _first(failure)
    if frame is not None:
        yield f'<p class="at">in <code>{_text(frame.function)}</code> at '
        yield f'<code class="place">{_text(frame.location)}</code></p>'


def _first(failure: Failure) -> Frame | None:
    """Return the frame to look at first: the user's innermost, else the innermost."""
    frames = [each for each in reversed(failure.frames) if isinstance(each, Frame)]
    users = [each for each in frames if not each.is_library]
    return next(iter(users or frames), None)


# Exceptions and their frames.


def _traceback(failure: Failure, *, outermost: bool) -> Iterator[str]:
    if failure.frames:
        if outermost:
            yield "<section><h2>Traceback <small>most recent call first</small></h2>"
        first = _first(failure)
        groups = groupby(reversed(failure.frames), key=lambda each: _folds(each, first))
        for folds, group in groups:
            frames = list(group)
            if folds:
                yield from _library(frames)
            else:
                for frame in frames:
                    yield from _frame(frame, is_open=True, variables_open=frame is first)
        if outermost:
            yield "</section>"


def _folds(each: Frame | Gap, first: Frame | None) -> bool:
    return isinstance(each, Frame) and each.is_library and each is not first


def _led(failure: Failure) -> Iterator[str]:
    """The exceptions that led to this one, and those inside it."""
    for number, member in enumerate(failure.members, 1):
        yield from _other(member, f"{number} of {len(failure.members)}", "in this group")
    if failure.previous is not None:
        yield from _other(failure.previous, *_LED_TO[failure.relation])
    if failure.left_out:
        yield '<p class="gap">There are more exceptions, which are left out.</p>'


def _other(failure: Failure, heading: str, explanation: str) -> Iterator[str]:
    yield f"<section><h2>{heading} <small>{explanation}</small></h2>"
    yield f'<div class="led"><p class="kind">{_kind(failure)}</p>'
    if failure.message:
        yield f'<p class="said">{_text(failure.message)}</p>'
    yield from _notes(failure)
    yield from _traceback(failure, outermost=False)
    yield from _led(failure)
    yield "</div></section>"


def _library(frames: Sequence[Frame | Gap]) -> Iterator[str]:
    calls = [each for each in frames if isinstance(each, Frame)]
    names = list(dict.fromkeys(PurePath(each.shown).parts[0].removesuffix(".py") for each in calls))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    word = "call" if len(calls) == 1 else "calls"
    yield f'<details class="calls"><summary>{len(calls)} library {word} '
    yield f'in {_text(", ".join(names[:3]))}{more}</summary><div class="inside">'
    for each in frames:
        yield from _frame(each, is_open=False, variables_open=False)
    yield "</div></details>"


def _frame(frame: Frame | Gap, *, is_open: bool, variables_open: bool) -> Iterator[str]:
    if isinstance(frame, Gap):
        yield f'<p class="gap">… {frame.count} calls left out …</p>'
        return
    yield f'<details class="frame"{" open" if is_open else ""}>'
    yield f'<summary><code class="call">{_text(frame.function)}</code>'
    if frame.repeats:
        yield f'<span class="times">{frame.repeats + 1} times in a row</span>'
    yield f'<code class="place">{_text(frame.location)}</code></summary>'
    yield from _code(frame)
    yield from _file(frame)
    yield from _variables(frame, is_open=variables_open)
    yield "</details>"


def _code(frame: Frame) -> Iterator[str]:
    if frame.lines:
        yield '<pre class="code" tabindex="0"><code>'
        for line in frame.lines:
            hit = ' class="hit"' if line.number == frame.line else ""
            yield f"<span{hit}><i>{line.number}</i>{_marked(line)}</span>"
        yield "</code></pre>"


def _marked(line: Line) -> str:
    if line.mark is None:
        return _text(line.text)
    start, end = line.mark
    before, during, after = line.text[:start], line.text[start:end], line.text[end:]
    return f"{_text(before)}<mark>{_text(during)}</mark>{_text(after)}"


def _file(frame: Frame) -> Iterator[str]:
    yield f'<p class="file"><code>{_text(frame.path)}:{frame.line}</code>'
    if PurePath(frame.path).is_absolute():
        address = f"vscode://file{quote(frame.path, errors='replace')}:{frame.line}"
        yield f'<a href="{escape(address)}">Open in VS Code</a>'
    yield "</p>"


def _variables(frame: Frame, *, is_open: bool) -> Iterator[str]:
    if frame.variables:
        yield f'<details class="vars"{" open" if is_open else ""}><summary>Local variables</summary>'
        yield from _rows(frame.variables)
        if frame.more:
            yield f'<p class="gap">and {frame.more} more</p>'
        yield "</details>"


def _rows(rows: Iterable[Row | Variable]) -> Iterator[str]:
    yield '<dl class="rows">'
    for name, value in rows:
        masked = " masked" if value == MASK else ""
        yield f'<div><dt>{_text(name)}</dt><dd class="value{masked}">{_text(value)}</dd></div>'
    yield "</dl>"


# The rest.


def _request(request: Summary) -> Iterator[str]:
    parts = (
        ("Path parameters", request.params),
        ("Query", request.query),
        ("Headers", request.headers),
    )
    if any(rows for _, rows in parts):
        yield '<section><h2>Request</h2><div class="facts">'
        for heading, rows in parts:
            if rows:
                yield f"<h3>{heading}</h3>"
                yield from _rows(rows)
        yield "</div></section>"


def _paste(markdown: str) -> Iterator[str]:
    yield '<section><h2>To paste elsewhere</h2><details class="paste"><summary>As Markdown</summary>'
    # The line feed after the tag is not part of the text, so one that begins it stays.
    yield '<textarea id="markdown" readonly spellcheck="false" aria-label="The error as Markdown">\n'
    yield f"{_text(markdown)}</textarea></details></section>"


def _footer(report: Report) -> Iterator[str]:
    yield f'<footer class="wrap"><p>Error <code>{_text(report.error_id)}</code> · '
    yield f"{_text(report.versions)}</p>"
    yield "<p>Shown because debug is on. Secrets that could be recognised are masked; look before "
    yield "you share it.</p></footer>"
