"""Settings of the documentation: Sphinx, MyST for Markdown, Furo for looks."""

# Sphinx calls what is connected to an event with all of its arguments.
# ruff: noqa: ARG001

from __future__ import annotations

import inspect
from importlib import import_module
from pkgutil import iter_modules, resolve_name
from typing import TYPE_CHECKING

from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

import oxidite

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

project = "Oxidite"
author = "The Oxidite maintainers"
copyright = author
release = version = oxidite.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"Oxidite {release}"
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

# Only what is ours is checked: the types of the standard library and of others have no pages here.
nitpick_ignore_regex = [(r"py:.*", r"(?!oxidite\.).*")]


def resolve_by_package(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
    """Find ``oxidite.http.request.Request`` where it is documented: ``oxidite.http.Request``.

    A name that exists and is not public stays plain text; one that does not exist is a warning.
    """
    target = str(node.get("reftarget", ""))
    parts = target.split(".")
    if node.get("refdomain") != "py" or parts[0] != "oxidite":
        return None
    objects = env.domains.python_domain.objects
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join((*parts[:end], parts[-1]))
        if name in objects:
            found = objects[name]
            here = str(node.get("refdoc", env.docname))
            return make_refnode(app.builder, here, found.docname, found.node_id, contnode, name)
    return contnode if exists(target) else None


def exists(name: str) -> bool:
    """Tell whether a dotted name leads to something."""
    try:
        resolve_name(name)
    except (ImportError, AttributeError, ValueError):
        return False
    return True


def as_fields(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Turn the section ``Raises:`` of a docstring, the only one in use, into fields."""
    if "Raises:" not in lines:
        return
    start = lines.index("Raises:")
    fields: list[str] = []
    for line in lines[start + 1 :]:
        if line.startswith("    ") and not line.startswith("     "):
            error, _, reason = line.strip().partition(": ")
            fields.append(f":raises {error}: {reason}")
        else:
            fields.append(line)
    lines[start:] = ["", *fields]


def alias_docs(name: str) -> list[str]:
    """Return the text below the definition of a public alias, wherever in the package it stands."""
    package, _, alias = name.rpartition(".")
    for module in iter_modules(getattr(import_module(package), "__path__", [])):
        docs = ModuleAnalyzer.for_module(f"{package}.{module.name}").find_attr_docs()
        if ("", alias) in docs:
            return docs["", alias]
    return []


def list_aliases(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Put names such as ``Json`` on the page of their package: autodoc finds no text for them."""
    if what != "module":
        return
    for alias in getattr(obj, "__all__", ()):
        value = getattr(obj, alias)
        if inspect.isroutine(value) or inspect.isclass(value):
            continue
        if docs := alias_docs(f"{name}.{alias}"):
            lines += ["", f".. py:data:: {alias}", "", *("   " + line for line in docs)]


def readable(
    app: Sphinx,
    what: str,
    name: str,
    obj: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str, str | None] | None:
    """Make the default of a dataclass field that is made by a function something Python can read."""
    if signature is None or "<factory>" not in signature:
        return None
    return signature.replace("<factory>", "..."), returns


def setup(app: Sphinx) -> None:
    """Connect what is above."""
    app.connect("missing-reference", resolve_by_package)
    app.connect("autodoc-process-signature", readable)
    for change in (list_aliases, as_fields):
        app.connect("autodoc-process-docstring", change)
