"""Full-text search: words of texts, in whatever form of them, found by the database."""

from __future__ import annotations

from typing import Any

from oxidite.db.errors import QueryError
from oxidite.db.expressions.expressions import Call, Condition, Expr, Value
from oxidite.db.values.kinds import ENGLISH_WORDS, FLOAT, TEXT, WORDS

__all__ = ["Search", "search"]

_LONGEST = 500
"""Characters that are looked at of what is looked for: PostgreSQL refuses a word of 2 kB."""


class Search:
    """Texts in which words are looked for."""

    __slots__ = ("_language", "_texts")

    def __init__(self, texts: tuple[Expr[str, Any], ...], language: str) -> None:
        self._texts = texts
        self._language = language

    @property
    def vector(self) -> Expr[str, str]:
        """The words of the texts, for an index.

        ``index(lambda post: search(post.title, post.body).vector, using="gin")`` is used by every search
        in the same texts, in the same order and language. SQLite and MariaDB search by such an index
        alone, over columns of one table, and in them ``using`` says nothing. PostgreSQL refuses a row with
        more than 1 MB of words.
        """
        return Call("search_vector", self._texts, TEXT, (self._language,))

    def matches(self, words: str) -> Condition:
        """Tell whether the texts have words, as people type them into a search.

        All of them, ``"in quotes"`` next to each other, ``or`` between two that are as good, ``-not``
        for one that must not be there. Any text is understood, so it may come from a client; of a longer
        one the first 500 characters count. One without a word finds nothing.
        """
        return Condition("search_matches", self._and(words), (self._language,))

    def rank(self, words: str) -> Expr[float, float]:
        """Return how well the texts fit, to order by: ``order_by(found.rank(words).desc())``."""
        return Call("search_rank", self._and(words), FLOAT, (self._language,))

    def _and(self, words: str) -> tuple[Expr[Any, Any], ...]:
        if not isinstance(words, str):
            raise QueryError(f"Words are looked for, as one text, and {words!r:.100} is none.")
        kind = ENGLISH_WORDS if self._language == "english" else WORDS
        return (*self._texts, Value(words.replace("\0", " ")[:_LONGEST], kind))


def search(*texts: Expr[str, Any], language: str = "simple") -> Search:
    """Search in texts, taken as one: ``search(Post.title, Post.body).matches("cats -dogs")``.

    ``language`` is one that PostgreSQL knows, such as ``english`` or ``german``: it finds other forms of a
    word, and leaves out those that all texts have. ``simple`` takes each word as it is, but for capital
    letters. Of the languages SQLite knows English alone, and MariaDB none: there, each word is taken as it
    is. A text that is ``None`` has no words.

    Raises:
        QueryError: there is no text, or what is given is none; the language cannot be a name.
    """
    if not texts:
        raise QueryError(
            "search() takes texts to look for words in: search(Post.title, Post.body)."
        )
    for each in texts:
        if not isinstance(each, Expr) or each.kind.stored.name != "text":
            raise QueryError(
                f"search() looks for words in columns of text, and {each!r:.100} is none. Encrypted ones "
                "cannot be searched."
            )
    if not (language.isascii() and language.replace("_", "").isalpha() and len(language) < _NAME):
        raise QueryError(
            f"search(language={language!r:.100}): say one of PostgreSQL's, such as simple, english or german."
        )
    return Search(texts, language)


_NAME = 64
