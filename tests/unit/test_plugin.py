from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oxidite.errors import ConfigError
from oxidite.plugin import AnyPlugin, Plugin, discover

PLUGIN = """
class Plugin:
    name = {name!r}

    def install(self, app):
        app.append(self.name)
"""

Install = Callable[..., None]


class Greeter:
    """A plugin as an application would write it."""

    name = "greeter"

    def __init__(self, word: str) -> None:
        self.word = word

    def install(self, app: list[str]) -> None:
        app.append(self.word)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package that offers one plugin, for the length of a test."""
    installed: list[str] = []

    def install(
        module: str, name: str, *, source: str | None = None, target: str = "Plugin"
    ) -> None:
        site = tmp_path / module
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source or PLUGIN.format(name=name))
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[oxidite.plugins]\n{name} = {module}:{target}\n")
        monkeypatch.syspath_prepend(site)
        installed.append(module)

    yield install
    for module in installed:
        sys.modules.pop(module, None)


def names(plugins: list[AnyPlugin]) -> list[str]:
    return [plugin.name for plugin in plugins if plugin.name.startswith("oxtest")]


def test_a_plugin_needs_a_name_and_one_method() -> None:
    app: list[str] = []
    plugin: Plugin[list[str]] = Greeter("hello")

    plugin.install(app)

    assert app == ["hello"]


def test_installed_plugins_are_found_sorted_by_name(install: Install) -> None:
    install("oxtest_second", "oxtest-b")
    install("oxtest_first", "oxtest-a")

    found = discover()

    assert names(found) == ["oxtest-a", "oxtest-b"]
    app: list[str] = []
    for plugin in found:
        plugin.install(app)
    assert [name for name in app if name.startswith("oxtest")] == ["oxtest-a", "oxtest-b"]


def test_a_function_may_make_the_plugin(install: Install) -> None:
    source = PLUGIN.format(name="oxtest-made") + "\ndef make():\n    return Plugin()\n"
    install("oxtest_made", "oxtest-made", source=source, target="make")

    assert names(discover()) == ["oxtest-made"]


def test_an_excluded_plugin_is_not_even_imported(install: Install) -> None:
    install("oxtest_wanted", "oxtest-wanted")
    install("oxtest_unwanted", "oxtest-unwanted", source="raise SystemExit")

    assert names(discover(exclude=["oxtest-unwanted", "not-installed"])) == ["oxtest-wanted"]
    assert "oxtest_unwanted" not in sys.modules


def test_two_plugins_with_one_name_are_refused(install: Install) -> None:
    install("oxtest_one", "oxtest-twin")
    install("oxtest_two", "oxtest-twin")

    with pytest.raises(ConfigError, match="Two plugins are called 'oxtest-twin'") as caught:
        discover()

    assert "oxtest_one:Plugin" in caught.value.message
    assert "oxtest_two:Plugin" in caught.value.message
    assert names(discover(exclude=["oxtest-twin"])) == []


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import oxtest_no_such_module", "oxtest_no_such_module"),
        ("class Other: ...", "Plugin"),
        ("class Plugin:\n    def __init__(self, needed): ...", "needed"),
        ("Plugin = 5", "not callable"),
    ],
)
def test_a_plugin_that_cannot_be_made_is_named_with_the_reason(
    install: Install, source: str, reason: str
) -> None:
    install("oxtest_broken", "oxtest-broken", source=source)

    with pytest.raises(ConfigError, match=r"'oxtest-broken'.*cannot be made") as caught:
        discover()

    assert reason in caught.value.message
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("class Plugin:\n    name = 'oxtest-odd'", "no method install"),
        (PLUGIN.format(name="other"), "calls itself 'other'"),
        ("class Plugin:\n    def install(self, app): ...", "calls itself None"),
    ],
)
def test_what_is_no_plugin_is_refused(install: Install, source: str, message: str) -> None:
    install("oxtest_odd", "oxtest-odd", source=source)

    with pytest.raises(ConfigError, match=message):
        discover()
