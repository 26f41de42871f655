"""Plugins: bundles of routes, middleware and resources that install themselves.

A plugin uses what every application uses; there are no hooks. Installed ones are found only when
the application asks for them, so that installing a package never changes a program.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from oxidite.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["AnyPlugin", "Plugin", "discover"]

AppT_contra = TypeVar("AppT_contra", contravariant=True)

_GROUP = "oxidite.plugins"


class Plugin(Protocol[AppT_contra]):
    """Something with a name that installs itself into an application."""

    @property
    def name(self) -> str:
        """The plugin's own name, the same in every application."""
        ...

    def install(self, app: AppT_contra) -> None:
        """Add routes, middleware, resources, error handlers or commands to ``app``.

        Called once, before the application starts. A plugin that must see all routes adds a
        resource and looks when it is opened.
        """
        ...


# An entry point says nothing about the application its plugin is for: only install() finds out.
AnyPlugin: TypeAlias = Plugin[Any]


def discover(*, exclude: Collection[str] = ()) -> list[AnyPlugin]:
    """Return the installed plugins, sorted by name: ``Oxidite(plugins=discover())``.

    A package offers one as an entry point in the group ``oxidite.plugins``, named as the plugin
    is; its target, a class or a function, is called without arguments and returns the plugin.
    Plugins named in ``exclude`` are not even imported; a name that is not installed is no error.

    Raises:
        ConfigError: two packages offer the same name, or a plugin cannot be made.
    """
    # PERF: a tenth of the import of the whole core, and few ask; benchmark `start`.
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=_GROUP):
        if point.name in exclude:
            continue
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise ConfigError(
                f"Two plugins are called {point.name!r}: {other.value} and {point.value}. "
                f"Uninstall one, or leave both out with discover(exclude=[{point.name!r}])."
            )
    return [_make(found[name]) for name in sorted(found)]


def _make(point: EntryPoint) -> AnyPlugin:
    where = f"The plugin {point.name!r} ({point.value})"
    try:
        plugin: AnyPlugin = point.load()()
    except Exception as exc:
        raise ConfigError(
            f"{where} cannot be made: {type(exc).__name__}: {exc}. Uninstall it, or leave it out "
            f"with discover(exclude=[{point.name!r}])."
        ) from exc
    if not callable(getattr(plugin, "install", None)):
        raise ConfigError(f"{where} is no plugin: {plugin!r} has no method install(app).")
    if getattr(plugin, "name", None) != point.name:
        raise ConfigError(
            f"{where} calls itself {getattr(plugin, 'name', None)!r}. "
            "Give the entry point and the plugin the same name."
        )
    return plugin
