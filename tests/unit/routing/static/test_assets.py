# These look at files of a few bytes, and nobody waits for it.

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from oxidite import Oxidite, Router
from oxidite.errors import ConfigError
from oxidite.routing.static import Assets
from oxidite.testing import Client

IMMUTABLE = "public, max-age=31536000, immutable"


def write(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "web"
    write(root / "app.css", "body { background: url(logo.svg) }")
    write(root / "logo.svg", "<svg/>")
    write(root / "js" / "app.min.js", "let a = 1")
    write(root / "LICENSE", "free")
    write(root / ".env", "secret")
    return root


@pytest.fixture
def assets(root: Path) -> Assets:
    return Assets(root)


@pytest.fixture
def app(assets: Assets) -> Oxidite:
    app = Oxidite()
    app.static("/assets", assets)
    return app


async def test_a_file_has_a_url_that_holds_a_digest_of_its_content(
    app: Oxidite, assets: Assets
) -> None:
    async with Client(app) as client:
        urls = [assets.url(name) for name in ("app.css", "js/app.min.js", "LICENSE")]
        answers = [await client.get(url) for url in urls]

    assert re.fullmatch(r"/assets/app\.[0-9a-f]{12}\.css", urls[0])
    assert re.fullmatch(r"/assets/js/app\.min\.[0-9a-f]{12}\.js", urls[1])
    assert re.fullmatch(r"/assets/LICENSE\.[0-9a-f]{12}", urls[2])
    assert [each.headers["cache-control"] for each in answers] == [IMMUTABLE] * 3
    assert answers[0].text == "body { background: url(logo.svg) }"
    assert answers[0].headers["content-type"] == "text/css; charset=utf-8"


async def test_the_same_content_has_the_same_url_everywhere(
    app: Oxidite, assets: Assets, root: Path
) -> None:
    other = Assets(root)
    second = Oxidite()
    second.static("/assets", other)

    async with Client(app), Client(second):
        assert assets.url("app.css") == other.url("app.css")


async def test_what_no_digest_names_is_asked_for_anew(app: Oxidite) -> None:
    # A style sheet that nobody has built names its images as they are.
    async with Client(app) as client:
        response = await client.get("/assets/logo.svg")

    assert response.text == "<svg/>"
    assert response.headers["cache-control"] == "no-cache"


async def test_a_digest_that_is_not_current_is_404(app: Oxidite) -> None:
    async with Client(app) as client:
        assert (await client.get("/assets/app.000000000000.css")).status_code == 404


async def test_a_compressed_form_is_sent_for_a_digest_too(
    app: Oxidite, assets: Assets, root: Path
) -> None:
    write(root / "app.css.br", "compressed")
    async with Client(app) as client:
        request = client.build_request(
            "GET", assets.url("app.css"), headers={"accept-encoding": "br"}
        )
        response = await client.send(request, stream=True)
        body = b"".join([chunk async for chunk in response.aiter_raw()])

    assert response.headers["content-encoding"] == "br"
    assert body == b"compressed"
    assert response.headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize("name", ["app.cs", ".env", "../web/app.css", ""])
async def test_an_asset_that_is_not_there_is_told_with_its_nearest(
    app: Oxidite, assets: Assets, name: str
) -> None:
    async with Client(app):
        with pytest.raises(ConfigError, match="There is no asset") as caught:
            assets.url(name)

    if name == "app.cs":
        assert "Did you mean 'app.css'?" in str(caught.value)


async def test_a_compressed_form_is_no_asset_of_its_own(
    app: Oxidite, assets: Assets, root: Path
) -> None:
    write(root / "app.css.br", "compressed")
    async with Client(app):
        assert assets.url("app.css")
        with pytest.raises(ConfigError, match=r"There is no asset 'app\.cs\.br'"):
            assets.url("app.cs.br")


def test_assets_that_nothing_serves_have_no_urls(assets: Assets) -> None:
    with pytest.raises(ConfigError, match="not served yet"):
        assets.url("app.css")


async def test_a_file_that_comes_later_is_found(app: Oxidite, assets: Assets, root: Path) -> None:
    async with Client(app) as client:
        write(root / "late.css", "late")

        assert (await client.get(assets.url("late.css"))).text == "late"


async def test_in_development_a_change_has_a_new_url_and_the_old_one_is_gone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OXIDITE_ENV", "development")
    assets = Assets(root)
    app = Oxidite()
    app.static("/assets", assets)

    async with Client(app, raise_errors=False) as client:
        before = assets.url("app.css")
        assert assets.url("app.css") == before
        write(root / "app.css", "changed")
        after = assets.url("app.css")

        assert after != before
        assert (await client.get(after)).text == "changed"
        assert (await client.get(before)).status_code == 404
        (root / "app.css").unlink()
        with pytest.raises(ConfigError, match="There is no asset"):
            assets.url("app.css")


async def test_a_file_that_was_changed_in_place_is_not_served_under_the_old_digest(
    app: Oxidite, assets: Assets, root: Path
) -> None:
    async with Client(app) as client:
        before = assets.url("app.css")
        write(root / "app.css", "changed in place")
        stale = await client.get(before)
        after = assets.url("app.css")

        assert stale.status_code == 404
        assert after != before
        assert (await client.get(after)).text == "changed in place"


async def test_assets_of_a_router_have_its_prefix(root: Path) -> None:
    assets = Assets(root)
    router = Router("/site")
    router.static("/a", assets)
    app = Oxidite()
    app.include(router, "/outer")

    async with Client(app) as client:
        url = assets.url("app.css")
        assert url.startswith("/outer/site/a/app.")
        assert (await client.get(url)).status_code == 200


async def test_assets_at_the_root(root: Path) -> None:
    assets = Assets(root)
    app = Oxidite()
    app.static("/", assets)

    async with Client(app) as client:
        url = assets.url("LICENSE")
        assert url.startswith("/LICENSE.")
        assert (await client.get(url)).text == "free"


def test_assets_have_one_place(root: Path) -> None:
    app = Oxidite()
    app.static("/{tenant}/assets", Assets(root))

    with pytest.raises(ConfigError, match="it has parameters"):
        _ = app.table


def test_a_directory_of_assets_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    app = Oxidite()
    app.static("/assets", Assets(tmp_path / "dist"))

    with pytest.raises(ConfigError, match="dist does not exist"):
        _ = app.table


def test_style_sheets_of_a_script_are_known_by_a_manifest_only(
    app: Oxidite, assets: Assets
) -> None:
    _ = app.table

    with pytest.raises(ConfigError, match="Only a manifest"):
        assets.styles("js/app.min.js")


# With a manifest, as Vite writes it.

VITE = {
    "src/main.ts": {
        "file": "assets/main-4889e940.js",
        "src": "src/main.ts",
        "isEntry": True,
        "css": ["assets/main-b82dbe22.css"],
        "assets": ["assets/logo-0ab0f9cd.png"],
        "imports": ["_shared-83069a53.js"],
        "dynamicImports": ["src/lazy.ts"],
    },
    "src/lazy.ts": {"file": "assets/lazy-5e2b0a3f.js", "css": ["assets/lazy-1.css"]},
    "_shared-83069a53.js": {
        "file": "assets/shared-83069a53.js",
        "css": ["assets/shared-a834bfc3.css"],
        "imports": ["src/main.ts"],
    },
}


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    dist = tmp_path / "dist"
    write(dist / ".vite" / "manifest.json", msgspec.json.encode(VITE).decode())
    write(dist / "assets" / "main-4889e940.js", "main")
    write(dist / "assets" / "logo-0ab0f9cd.png", "png")
    write(dist / "favicon.ico", "icon")
    return dist


async def test_a_manifest_tells_the_urls_and_what_is_immutable(dist: Path) -> None:
    assets = Assets(dist, manifest=dist / ".vite" / "manifest.json")
    app = Oxidite()
    app.static("/static", assets)

    async with Client(app) as client:
        assert assets.url("src/main.ts") == "/static/assets/main-4889e940.js"
        assert assets.styles("src/main.ts") == [
            "/static/assets/main-b82dbe22.css",
            "/static/assets/shared-a834bfc3.css",
        ]
        built = [await client.get("/static/assets/" + VITE_FILE) for VITE_FILE in BUILT]
        other = await client.get("/static/favicon.ico")
        hidden = await client.get("/static/.vite/manifest.json")
        unknown = await client.get("/static/assets/main-00000000.js")
        with pytest.raises(
            ConfigError, match=r"no asset 'src/man\.ts' .*Did you mean 'src/main\.ts'"
        ):
            assets.url("src/man.ts")

    assert [each.headers["cache-control"] for each in built] == [IMMUTABLE] * 2
    assert other.headers["cache-control"] == "no-cache"
    assert hidden.status_code == unknown.status_code == 404


BUILT = ("main-4889e940.js", "logo-0ab0f9cd.png")


async def test_a_manifest_may_be_names_by_names(dist: Path) -> None:
    write(dist / "names.json", '{"main.js": "/assets/main-4889e940.js"}')
    assets = Assets(dist, manifest=dist / "names.json")
    app = Oxidite()
    app.static("/", assets)

    async with Client(app) as client:
        assert assets.url("main.js") == "/assets/main-4889e940.js"
        assert (await client.get("/assets/main-4889e940.js")).headers["cache-control"] == IMMUTABLE
        assert assets.styles("main.js") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, r"cannot be read \(No such file or directory\). Build the assets first"),
        ("[]", "is no manifest of assets: Expected `object`"),
        ('{"a": {}}', "is no manifest of assets: .* missing required field `file`"),
        ("{", "is no manifest of assets: .* truncated"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_told_at_the_start(
    dist: Path, content: str | None, words: str
) -> None:
    if content is not None:
        write(dist / "m.json", content)
    app = Oxidite()
    app.static("/", Assets(dist, manifest=dist / "m.json"))

    with pytest.raises(ConfigError, match=words):
        _ = app.table
