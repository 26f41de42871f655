"""What a failure looks like in development: a page for a person, Markdown to paste elsewhere.

Both show the same report: the exceptions, the code around each frame, the request. What looks like
a secret is masked while the report is made (``security/redact.py``), so no form of it ever holds one.
"""

from __future__ import annotations

from oxidite.middleware.debug.answer import debug_markdown, debug_page

__all__ = ["debug_markdown", "debug_page"]
