"""What can be set from outside: ``BLOG_TITLE``, ``BLOG_POSTS_PER_PAGE``, ``BLOG_SAMPLES``, ``BLOG_SECRET``.

And ``DATABASE_URL`` and ``QUEUE_URL``, which `database.py` reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from oxidite.config import Secret, load_with_origins


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of the blog, and what they are if nobody says otherwise."""

    title: Annotated[str, Meta(min_length=1, max_length=60)] = "The Oxide Notebook"
    posts_per_page: Annotated[int, Meta(ge=1, le=100)] = 10
    samples: bool = True
    secret: Secret[str] | None = None


# With the origins, so that `oxidite config show` can tell where each value comes from.
loaded = load_with_origins(Settings, prefix="BLOG_")
settings = loaded.settings
