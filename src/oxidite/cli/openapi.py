"""``oxidite openapi``: the document of an application as a file, and what changed between two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from oxidite.app import Oxidite
from oxidite.cli.commands import Command
from oxidite.cli.console import bold, dim, say, write
from oxidite.cli.options import load_app
from oxidite.encoding import json_text
from oxidite.errors import ConfigError, OxiditeError
from oxidite.openapi import OpenAPI, documents_of
from oxidite.openapi.diff import Change, compare
from oxidite.openapi.yaml import to_yaml

__all__ = ["openapi"]

_BREAKING = 1
_SUFFIXES = (".json", ".yaml", ".yml")


@click.group()
def openapi() -> None:
    """Write the OpenAPI document; compare two."""


@openapi.command(cls=Command)
@click.option("--app", metavar="APP", help="The application.  [that of the project]")
@click.option("--document", metavar="NAME", help="Which document, if there are several.")
@click.option("--format", "form", type=click.Choice(["json", "yaml"]), help="[json]")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to; .yaml in its name says the format, too.  [standard output]",
)
def export(app: str | None, document: str | None, form: str | None, output: Path | None) -> None:
    """Write the document of an application; nothing of it is started.

    Examples:
      oxidite openapi export
      oxidite openapi export --app blog.main:app -o openapi.yaml
      oxidite openapi export --document internal --format yaml
    """
    content = _of_application(app, document)
    if form is None:
        form = "yaml" if output is not None and output.suffix in _SUFFIXES[1:] else "json"
    text = to_yaml(content) if form == "yaml" else f"{json_text(content)}\n"
    if output is None:
        write(text.rstrip("\n"))
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{output} cannot be written: {exc.strerror}.") from None


@openapi.command(cls=Command)
@click.argument("old")
@click.argument("new")
@click.option("--document", metavar="NAME", help="Which document of an application.")
@click.option("--breaking", "only", is_flag=True, help="Show only what breaks clients.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def diff(old: str, new: str, document: str | None, only: bool, as_json: bool) -> int:
    """Show what changed from OLD to NEW, each a file or an application.

    Ends with 1 if something of it breaks a client that was right before: an operation, an answer or
    a field that is gone, something new that is required, values that are refused now.

    Examples:
      oxidite openapi diff openapi.json blog.main:app
      oxidite openapi diff v1.json v2.json --json
    """
    try:
        changes = compare(_load(old, document), _load(new, document), old_name=old, new_name=new)
    except OxiditeError as exc:
        # Not 1, which says that something breaks.
        raise click.UsageError(exc.message) from None
    shown = [each for each in changes if each.breaking or not only]
    count = sum(each.breaking for each in changes)
    if as_json:
        write(json_text(shown))
    else:
        _write_changes(shown)
        say(f"{count} breaking, {len(changes) - count} compatible.")
    return _BREAKING if count else 0


def _write_changes(changes: Sequence[Change]) -> None:
    for change in changes:
        label = click.style("breaking  ", fg="red") if change.breaking else dim("compatible")
        write(f"{label} {bold(change.where)}  {change.message} {dim(f'[{change.code}]')}")


def _load(said: str, document: str | None) -> dict[str, Any]:
    """Return a document from a file, or of an application."""
    path = Path(said)
    if path.suffix not in _SUFFIXES:
        return _of_application(said, document)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise click.UsageError(f"{said} cannot be read: {exc}") from None
    try:
        content: object = msgspec.json.decode(text) if path.suffix == ".json" else _yaml(text, said)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise click.UsageError(f"{said} is no {path.suffix[1:].upper()}: {exc}") from None
    if not isinstance(content, dict):
        raise click.UsageError(f"{said} is not an OpenAPI document: it is no object.")
    return content


def _yaml(text: str, said: str) -> object:
    try:
        return msgspec.yaml.decode(text)
    except ImportError:
        raise click.UsageError(
            f"{said} is YAML, which needs one more package: pip install pyyaml. JSON needs none."
        ) from None


def _of_application(app: str | None, document: str | None) -> dict[str, Any]:
    found = load_app(app)
    if not isinstance(found, Oxidite):
        raise ConfigError(
            f"This is a {type(found).__name__}: only an Oxidite application has an OpenAPI document."
        )
    documents = documents_of(found)
    if document is not None and document not in documents:
        raise click.UsageError(
            f"There is no document {document!r}. There is: {', '.join(documents) or 'none'}."
        )
    plugin = documents[document] if document else next(iter(documents.values()), OpenAPI())
    built = plugin.build(found)
    for reason in built.left_out:
        say(f"Left out: {reason}")
    return built.content
