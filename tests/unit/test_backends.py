from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult

import pytest

from oxidite.backends import BackendRegistry
from oxidite.errors import ConfigError, MissingExtraError, UnknownBackendError

BACKEND = """
class Backend:
    def __init__(self, url, resources):
        self.url, self.resources = url, resources

    @classmethod
    def from_url(cls, url, *, resources):
        return cls(url, resources)
"""

Install = Callable[..., None]


@dataclass
class Memory:
    """A backend that remembers what it was made from."""

    url: SplitResult
    resources: Sequence[object]

    @classmethod
    def from_url(cls, url: SplitResult, *, resources: Sequence[object] = ()) -> Memory:
        return cls(url, resources)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package of one module for the length of a test."""
    installed: list[str] = []

    def install(module: str, source: str = BACKEND, *, group: str = "", **offers: str) -> None:
        site = tmp_path / module
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in offers.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) if group else "")
        monkeypatch.syspath_prepend(site)
        installed.append(module)

    yield install
    for module in installed:
        sys.modules.pop(module, None)


@pytest.fixture
def backends() -> BackendRegistry[Memory]:
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})
    backends.register("memory", Memory.from_url)
    return backends


def test_a_registered_factory_gets_the_parts_of_the_url(backends: BackendRegistry[Memory]) -> None:
    made = backends.create("memory://user@host:99/7?size=3")

    assert (made.url.hostname, made.url.port, made.url.path, made.url.query) == (
        "host",
        99,
        "/7",
        "size=3",
    )
    assert made.resources == ()


def test_the_opened_resources_reach_the_backend(backends: BackendRegistry[Memory]) -> None:
    database = object()

    assert backends.create("memory://", resources=[database]).resources == [database]


@pytest.mark.parametrize("url", ["memory", "memory://", "MEMORY://", "Memory:"])
def test_a_scheme_is_found_bare_and_in_any_case(
    backends: BackendRegistry[Memory], url: str
) -> None:
    assert backends.create(url).url.scheme == "memory"


def test_a_builtin_backend_is_imported_when_its_scheme_is_asked_for(install: Install) -> None:
    install("oxtest_lazy")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "cache", {"lazy": ("oxtest_lazy:Backend", "redis")}
    )
    assert "oxtest_lazy" not in sys.modules

    made = backends.create("lazy://here")

    assert made.url.hostname == "here"
    assert type(made).__module__ == "oxtest_lazy"
    assert type(backends.create("lazy://there")) is type(made)


def test_a_missing_driver_says_which_extra_to_install(install: Install) -> None:
    install("oxtest_driver", "import oxtest_no_such_driver")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "storage", {"s3": ("oxtest_driver:Backend", "s3")}
    )

    with pytest.raises(MissingExtraError, match="storage backend s3://") as caught:
        backends.create("s3://bucket")

    assert caught.value.extra == "s3"
    assert "pip install 'oxidite[s3]'" in caught.value.message
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_a_missing_module_of_our_own_is_not_blamed_on_an_extra(install: Install) -> None:
    install("oxtest_ours", "import oxidite.no_such_module")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "cache", {"ours": ("oxtest_ours:Backend", "redis")}
    )

    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught:
        backends.create("ours://")

    assert not isinstance(caught.value, MissingExtraError)


def test_a_backend_that_needs_no_extra_names_none(install: Install) -> None:
    install("oxtest_none", "import oxtest_no_such_driver")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "cache", {"none": ("oxtest_none:Backend", None)}
    )

    with pytest.raises(ModuleNotFoundError) as caught:
        backends.create("none://")

    assert not isinstance(caught.value, MissingExtraError)


def test_a_mistake_inside_a_driver_is_not_hidden(install: Install) -> None:
    install("oxtest_old", "from json import no_such_name")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "cache", {"old": ("oxtest_old:Backend", "redis")}
    )

    with pytest.raises(ImportError, match="no_such_name") as caught:
        backends.create("old://")

    assert not isinstance(caught.value, MissingExtraError)


def test_an_unknown_scheme_lists_the_ones_there_are(install: Install) -> None:
    install("oxtest_more", group="oxidite.cache", extra="oxtest_more:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {"redis": ("x:Y", "redis")})
    backends.register("memory", Memory.from_url)

    with pytest.raises(UnknownBackendError) as caught:
        backends.create("rediss://")

    assert caught.value.scheme == "rediss"
    assert "extra, memory, redis" in caught.value.message


@pytest.mark.parametrize(
    "url",
    ["", "//hunter2@host", "redis://:hunter2@[::1", "hunter2@host/1", "redis://hunter2\u2100@h"],
)
def test_a_url_that_cannot_be_read_is_not_repeated_in_the_error(
    backends: BackendRegistry[Memory], url: str
) -> None:
    with pytest.raises(ConfigError, match=r"cache URL cannot be read.*memory://") as caught:
        backends.create(url)

    assert "hunter2" not in caught.value.message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_an_installed_package_adds_a_scheme(install: Install) -> None:
    install("oxtest_added", group="oxidite.cache", added="oxtest_added:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})

    assert backends.create("added://host").url.hostname == "host"
    assert backends.schemes() == ("added",)


def test_an_installed_package_adds_to_its_own_kind_only(install: Install) -> None:
    install("oxtest_kind", group="oxidite.queue", added="oxtest_kind:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})

    with pytest.raises(UnknownBackendError):
        backends.create("added://")


def test_an_installed_package_never_replaces_a_builtin_scheme(install: Install) -> None:
    install("oxtest_builtin")
    install("oxtest_thief", group="oxidite.cache", redis="oxtest_thief:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry(
        "cache", {"redis": ("oxtest_builtin:Backend", "redis")}
    )

    assert type(backends.create("redis://")).__module__ == "oxtest_builtin"


def test_a_scheme_offered_by_two_packages_is_refused(install: Install) -> None:
    install("oxtest_one", group="oxidite.cache", both="oxtest_one:Backend")
    install("oxtest_two", group="oxidite.cache", both="oxtest_two:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})

    with pytest.raises(ConfigError, match="oxtest_one:Backend, oxtest_two:Backend"):
        backends.create("both://")


def test_registering_settles_which_of_two_packages_is_meant(install: Install) -> None:
    install("oxtest_one", group="oxidite.cache", both="oxtest_one:Backend")
    install("oxtest_two", group="oxidite.cache", both="oxtest_two:Backend")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})
    backends.register("both", Memory.from_url)

    assert isinstance(backends.create("both://"), Memory)


def test_a_package_that_cannot_be_loaded_is_named(install: Install) -> None:
    install("oxtest_broken", group="oxidite.cache", broken="oxtest_broken:NoSuchClass")
    backends: BackendRegistry[Memory] = BackendRegistry("cache", {})

    with pytest.raises(ConfigError, match=r"broken://.*oxtest_broken:NoSuchClass"):
        backends.create("broken://")


def test_two_registries_share_nothing() -> None:
    one: BackendRegistry[Memory] = BackendRegistry("cache", {})
    other: BackendRegistry[Memory] = BackendRegistry("cache", {})

    one.register("memory", Memory.from_url)

    assert other.schemes() == ()
