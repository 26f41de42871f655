"""What a browser shows while the code does not work."""

from __future__ import annotations

from html import escape

__all__ = ["OVERLAY_STYLE", "failure_page", "overlay"]

_REFRESH = 2  # seconds
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.5 ui-monospace,monospace;margin:0"

# Not in attributes: a policy can let in one element by its hash, but attributes only all together.
OVERLAY_STYLE = (
    "#oxidite-reload{all:initial;position:fixed;inset:auto 0 0 0;z-index:2147483647;"
    "max-height:60vh;overflow:auto;padding:1rem 1.25rem;color:#fff;background:#3b0d0d;"
    "border-top:3px solid #ff5c5c}"
    "#oxidite-reload>p{all:unset;display:block;font:600 14px/1.5 system-ui,sans-serif;"
    "margin:0 0 .5rem}"
    f"#oxidite-reload>pre{{all:unset;display:block;{_PRE}}}"
)
"""For a ``<style>`` element; it never changes, so that its hash does not either."""


def overlay(text: str) -> bytes:
    """Return what lies over a page of the last good code, if ``OVERLAY_STYLE`` is in it too."""
    return (
        '<div id="oxidite-reload" role="alert">'
        "<p>The changed code does not work. This page is from before the change.</p>"
        f"<pre>{escape(text)}</pre></div>"
    ).encode()


def failure_page(text: str) -> bytes:
    """Return the page for when nothing works; it loads itself again until something does."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Does not start</title>'
        f'<meta http-equiv="refresh" content="{_REFRESH}">'
        '<meta name="viewport" content="width=device-width">'
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:10vh auto;"
        f"padding:0 1rem;color-scheme:light dark}}pre{{{_PRE}}}</style>"
        "<h1>The application does not start</h1>"
        f"<pre>{escape(text)}</pre><p>This page loads itself again.</p></html>"
    ).encode()
