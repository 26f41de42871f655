"""Tags as they are written, and as the store knows them."""

from __future__ import annotations

from collections.abc import Iterable

from oxidite.cache.envelope import MOST_TAGS
from oxidite.cache.keys import stored_key

__all__ = ["stored_tags"]


def stored_tags(
    prefix: str, tags: Iterable[str], *, most: int | None = MOST_TAGS
) -> tuple[str, ...]:
    """Return tags as the store knows them: each once, with the prefix of the application.

    Raises:
        TypeError: it is one text, whose letters would be the tags.
        ValueError: there are more than ``most``, which is as many as a value may have.
    """
    if isinstance(tags, str):
        raise TypeError(f"tags is a list of texts, not one: write tags=[{tags!r}].")
    found = tuple(dict.fromkeys(stored_key(prefix + tag) for tag in tags))
    if most is not None and len(found) > most:
        raise ValueError(f"A value has at most {most} tags, not {len(found)}.")
    return found
