"""What docstrings say: a summary and a description, of arguments, of fields."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Docstring", "field_docs", "own_docstring", "title_of"]

_SECTION = re.compile(
    r"^(Args|Arguments|Raises|Returns|Yields|Examples?|Notes?):[ \t]*$", re.MULTILINE
)
_ARGUMENT = re.compile(r"^ +(\*{0,2}\w+)(?: *\([^)]*\))?: *(.*(?:\n {5,}.*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Docstring:
    """A docstring in parts. ``arguments`` are from a section ``Args:``, as Google writes them."""

    summary: str = ""
    description: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, function: object) -> Docstring:
        """Read the docstring of a function; sections that are for programmers are left out."""
        text = inspect.cleandoc(getattr(function, "__doc__", None) or "")
        prose, sections = _split(text)
        summary, _, description = prose.partition("\n\n")
        return cls(_one_line(summary).rstrip("."), description.strip(), _arguments(sections))


def _split(text: str) -> tuple[str, dict[str, str]]:
    prose, *rest = _SECTION.split(text)
    return prose.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def _arguments(sections: Mapping[str, str]) -> dict[str, str]:
    text = sections.get("Args") or sections.get("Arguments") or ""
    return {name.lstrip("*"): _one_line(said) for name, said in _ARGUMENT.findall(text)}


def _one_line(text: str) -> str:
    return " ".join(text.split())


def title_of(name: str) -> str:
    """Return a name of a function as words: ``list_posts`` is "List posts"."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def own_docstring(cls: type) -> str:
    """Return the docstring of a class, and nothing that it inherits or that was made for it."""
    text = cls.__dict__.get("__doc__") or ""
    # A dataclass without a docstring gets its signature as one.
    if not isinstance(text, str) or text.startswith(f"{cls.__name__}("):
        return ""
    return _split(inspect.cleandoc(text))[0]


def field_docs(cls: type) -> dict[str, str]:
    """Return the texts below the fields of a class, by the field's name; of its bases too."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        file = getattr(sys.modules.get(each.__module__), "__file__", None)
        if file is not None and each.__module__.partition(".")[0] not in _WITHOUT_FIELDS:
            found |= _docs_in(file).get(each.__qualname__, {})
    return found


_WITHOUT_FIELDS = ("builtins", "msgspec", "pydantic", "typing")


@functools.lru_cache(maxsize=256)
def _docs_in(file: str) -> Mapping[str, Mapping[str, str]]:
    """Return the texts below fields by class: a file is read once, not once for each class."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[str, Mapping[str, str]] = {}
    _collect(tree, "", found)
    return found


def _collect(node: ast.AST, within: str, found: dict[str, Mapping[str, str]]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            found[within + child.name] = dict(_below_fields(child))
            _collect(child, f"{within}{child.name}.", found)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            _collect(child, f"{within}{child.name}.<locals>.", found)
        elif isinstance(child, ast.If | ast.Try | ast.With):
            _collect(child, within, found)


def _below_fields(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for statement, after in itertools.pairwise(cls.body):
        match statement, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, _one_line(inspect.cleandoc(text))
