# These look at files of a few bytes, and nobody waits for it.

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import httpx2
import pytest

from oxidite import FileResponse, Oxidite, Request, Response, Router
from oxidite.clock import TravelClock
from oxidite.errors import ConfigError
from oxidite.http import Handler
from oxidite.routing.static.memory import Memory
from oxidite.routing.static.site import Site
from oxidite.servers import choose_interface
from oxidite.testing import Client

LONG_AGO = 1_700_000_000
PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
IMMUTABLE = "public, max-age=31536000, immutable"


def write(path: Path, content: str | bytes, *, mtime: float = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (mtime, mtime))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory to be served, with a secret beside it."""
    write(tmp_path / "secret.txt", "secret")
    write(tmp_path / "public-not" / "secret.txt", "secret")
    root = tmp_path / "public"
    write(root / "index.html", "<h1>home</h1>")
    write(root / "app.js", "let a = 1")
    write(root / "docs" / "index.html", "<h1>docs</h1>")
    write(root / "docs" / "a b.txt", "spaces")
    write(root / "empty" / "x.txt", "x")
    write(root / ".env", "secret")
    write(root / ".git" / "config", "secret")
    write(root / "docs" / ".hidden", "secret")
    write(root / "config.py~", "secret")
    write(root / "app.js.bak", "secret")
    return root


def serving(root: Path, prefix: str = "/assets", **options: Any) -> Client:
    app = Oxidite()
    app.static(prefix, root, **options)
    return Client(app, raise_errors=False)


async def test_a_file_is_served_under_its_path(root: Path) -> None:
    async with serving(root) as client:
        response = await client.get("/assets/app.js")
        nested = await client.get("/assets/docs/a%20b.txt")

    assert response.text == "let a = 1"
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["vary"] == "accept-encoding"
    assert nested.text == "spaces"


async def test_a_file_has_conditions_ranges_and_head(root: Path) -> None:
    async with serving(root) as client:
        for _ in range(2):  # the second time from memory
            response = await client.get("/assets/app.js")
            tag = response.headers["etag"]
            again = await client.get("/assets/app.js", headers={"if-none-match": tag})
            part = await client.get("/assets/app.js", headers={"range": "bytes=4-4"})
            failed = await client.get("/assets/app.js", headers={"if-match": '"x"'})
            head = await client.head("/assets/app.js")

            assert again.status_code == 304
            assert (part.status_code, part.text) == (206, "a")
            assert failed.status_code == 412
            assert head.headers == response.headers


async def test_a_directory_is_its_index_and_its_path_gets_a_slash(root: Path) -> None:
    async with serving(root) as client:
        index = await client.get("/assets/")
        nested = await client.get("/assets/docs/")
        redirects = [
            (await client.get(path)).headers.get("location")
            for path in ("/assets", "/assets/docs", "/assets/docs?q=1")
        ]
        followed = await client.get("/assets/docs", follow_redirects=True)
        without = await client.get("/assets/empty"), await client.get("/assets/empty/")

    assert index.text == "<h1>home</h1>"
    assert nested.text == "<h1>docs</h1>"
    # Relative, so that no proxy can make them wrong.
    assert redirects == ["./assets/", "./docs/", "./docs/?q=1"]
    assert followed.text == "<h1>docs</h1>"
    assert [each.status_code for each in without] == [404, 404]


async def test_without_an_index_directories_are_not_found(root: Path) -> None:
    async with serving(root, index=None) as client:
        answers = [await client.get(f"/assets{path}") for path in ("", "/", "/docs", "/docs/")]

    assert [each.status_code for each in answers] == [404] * 4


async def test_a_directory_that_is_called_like_an_index_is_none(root: Path) -> None:
    (root / "empty" / "index.html").mkdir()

    async with serving(root) as client:
        assert (await client.get("/assets/empty/")).status_code == 404


async def test_a_disk_that_fails_is_not_a_missing_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    async with serving(root) as client:
        with monkeypatch.context() as patched:
            patched.setattr(os, "open", fail)
            assert (await client.get("/assets/app.js")).status_code == 500
        assert (await client.get("/assets/app.js")).status_code == 200


async def test_a_file_is_not_a_directory(root: Path) -> None:
    async with serving(root) as client:
        assert (await client.get("/assets/app.js/")).status_code == 404
        assert (await client.get("/assets/app.js/x")).status_code == 404


# What must not get out.

TRAVERSAL = [
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "%252e%252e%252fsecret.txt",
    "docs/../../secret.txt",
    "docs/..%2f..%2fsecret.txt",
    "..\\secret.txt",
    "..%5csecret.txt",
    "docs%5c..%5c..%5csecret.txt",
    "....//secret.txt",
    "..;/secret.txt",
    "..%00/secret.txt",
    "app.js%00.txt",
    "..%c0%afsecret.txt",
    "%c0%ae%c0%ae/secret.txt",
    "..%u2215secret.txt",
    "\u2025/secret.txt",
    "/secret.txt",
    "//etc/passwd",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "C:/Windows/win.ini",
    "C:%5cWindows%5cwin.ini",
    "docs/C:secret.txt",
    "%5c%5cserver%5cshare",
    "file:///etc/passwd",
    "../public-not/secret.txt",
    "..%2fpublic-not%2fsecret.txt",
    "./app.js",
    "docs/./index.html",
    "docs//index.html",
    "docs/../app.js",
    ".env",
    ".git/config",
    "docs/.hidden",
    "%2eenv",
    "config.py~",
    "app.js.bak",
    "APP.JS.BAK",
    "app.js%0d%0aset-cookie:x",
    "a" * 5000,
    "a/" * 3000,
]


@pytest.mark.parametrize("path", TRAVERSAL)
async def test_nothing_is_served_from_outside_or_hidden(root: Path, path: str) -> None:
    app = Oxidite()
    app.static("/assets", root)

    status, body = await raw_get(app, "/assets/" + path)

    assert status in (400, 404)
    assert b"secret" not in body
    assert b"root:" not in body


async def raw_get(app: Oxidite, target: str) -> tuple[int, bytes]:
    """Ask as a server would that leaves the path as it came, and only decodes it."""
    from urllib.parse import unquote_to_bytes

    path = unquote_to_bytes(target).decode("utf-8", "replace")
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": target.encode(),
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
    }
    async with app.running():
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent)


async def test_a_link_leads_only_to_what_is_inside(root: Path, tmp_path: Path) -> None:
    (root / "inside.js").symlink_to("app.js")
    (root / "manual").symlink_to("docs")
    (root / "outside.txt").symlink_to(tmp_path / "secret.txt")
    (root / "beside").symlink_to(tmp_path / "public-not")
    (root / "up").symlink_to("..")
    (root / "environment").symlink_to(".env")
    (root / "loop").symlink_to("loop")
    (root / "app.js.gz").symlink_to(tmp_path / "secret.txt")

    async with serving(root) as client:
        inside = [await client.get(f"/assets/{name}") for name in ("inside.js", "manual/")]
        outside = [
            await client.get(f"/assets/{name}")
            for name in (
                "outside.txt",
                "beside",
                "beside/",
                "beside/secret.txt",
                "up/secret.txt",
                "up/public/app.js.bak",
                "environment",
                "loop",
                "app.js.gz",
            )
        ]
        twin = await client.get("/assets/app.js", headers={"accept-encoding": "gzip"})

    assert [each.text for each in inside] == ["let a = 1", "<h1>docs</h1>"]
    assert [each.status_code for each in outside] == [404] * len(outside)
    assert twin.text == "let a = 1"
    assert "content-encoding" not in twin.headers


async def test_the_directory_itself_may_be_a_link(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(root)

    async with serving(tmp_path / "current") as client:
        assert (await client.get("/assets/app.js")).text == "let a = 1"


async def test_a_pipe_is_not_found_and_nobody_waits(root: Path) -> None:
    os.mkfifo(root / "pipe")

    async with serving(root) as client:
        assert (await client.get("/assets/pipe")).status_code == 404


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "does not exist"), ("app.js", "is no directory")],
)
def test_a_directory_that_is_not_there_is_told_at_the_start(
    root: Path, name: str, words: str
) -> None:
    app = Oxidite()
    app.static("/assets", root / name)

    with pytest.raises(
        ConfigError, match=rf"static\('/assets'\): the directory {root / name} {words}"
    ):
        _ = app.table


# Among other routes.


async def test_other_methods_are_told_what_there_is(root: Path) -> None:
    async with serving(root) as client:
        post = await client.post("/assets/app.js")
        options = await client.options("/assets/app.js")
        missing = await client.post("/assets/missing")

    assert post.status_code == 405
    assert post.headers["allow"] == "GET, HEAD, OPTIONS"
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert missing.status_code == 404


@pytest.fixture
def app(root: Path) -> Oxidite:
    """An interface, and a single-page application at the root."""
    app = Oxidite()
    api = Router("/api")

    @api.get("/posts/{id:int}")
    async def show(id: int) -> int:
        return id

    @api.post("/posts")
    async def create() -> str:
        return "created"

    @app.get("/health")
    async def health() -> str:
        return "well"

    @app.post("/login")
    async def login() -> str:
        return "in"

    app.include(api)
    app.static("/", root, spa=True)
    app.static("/media", root / "docs")
    return app


async def test_a_page_of_an_application_answers_a_browser_anywhere(app: Oxidite) -> None:
    async with Client(app) as client:
        answers = [
            await client.get(path, headers=PAGE)
            for path in ("/", "/settings", "/users/3/edit", "/healthy", "/apis")
        ]
        head = await client.head("/settings", headers=PAGE)

    assert [each.text for each in answers] == ["<h1>home</h1>"] * 5
    assert all(each.headers["cache-control"] == "no-cache" for each in answers)
    assert head.status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/typo", 404),
        ("/api/typo/deep/down", 404),
        ("/api/posts/seven", 404),
        ("/api", 404),
        ("/api/posts", 405),
        ("/login", 405),
        ("/media/missing.png", 404),
    ],
)
async def test_the_page_never_hides_what_another_route_says(
    app: Oxidite, path: str, status: int
) -> None:
    async with Client(app) as client:
        page = await client.get(path, headers=PAGE)
        program = await client.get(path)

    assert page.status_code == program.status_code == status
    assert program.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"accept": "*/*"},
        {"accept": "application/json"},
        {"accept": "text/html;q=0, */*"},
        {"accept": "image/avif,image/*,*/*;q=0.8"},
        {**PAGE, "sec-fetch-mode": "cors"},
        {**PAGE, "sec-fetch-mode": "no-cors"},
    ],
)
async def test_who_does_not_go_to_a_page_is_told_the_truth(
    app: Oxidite, headers: dict[str, str]
) -> None:
    async with Client(app) as client:
        response = await client.get("/settings", headers=headers)

    assert response.status_code == 404


async def test_routes_go_before_files(app: Oxidite, root: Path) -> None:
    write(root / "health", "a file")

    async with Client(app) as client:
        assert (await client.get("/health")).text == "well"
        assert (await client.get("/app.js")).text == "let a = 1"
        assert (await client.post("/settings", headers=PAGE)).status_code == 404


async def test_below_a_prefix_the_page_answers_beside_an_interface(root: Path) -> None:
    app = Oxidite()
    app.static("/app", root, spa=True)

    @app.get("/app/api/posts/{id:int}")
    async def show(id: int) -> int:
        return id

    async with Client(app) as client:
        answers = [
            await client.get(path, headers=PAGE)
            for path in ("/app/settings", "/app/api/psts", "/app/api/posts/1", "/elsewhere")
        ]

    assert [each.status_code for each in answers] == [200, 404, 200, 404]


async def test_the_page_may_be_another_file(root: Path) -> None:
    write(root / "docs" / "app.html", "<h1>app</h1>")

    async with serving(root, "/", spa="docs/app.html") as client:
        assert (await client.get("/anything", headers=PAGE)).text == "<h1>app</h1>"
        assert (await client.get("/")).text == "<h1>home</h1>"


async def test_a_page_that_is_not_there_is_404(root: Path) -> None:
    async with serving(root, "/", spa="missing.html") as client:
        assert (await client.get("/anything", headers=PAGE)).status_code == 404


async def test_a_router_serves_files_under_its_prefix_with_its_middleware(root: Path) -> None:
    async def guard(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.headers["x-guarded"] = "yes"
        return response

    router = Router("/inner", middleware=[guard])
    router.static("/files", root, name="files")
    app = Oxidite()
    app.include(router, "/outer")

    async with Client(app) as client:
        response = await client.get("/outer/inner/files/app.js")

    assert response.text == "let a = 1"
    assert response.headers["x-guarded"] == "yes"
    assert app.url("files", file_path="docs/a b.txt") == "/outer/inner/files/docs/a%20b.txt"


def test_an_application_with_files_needs_no_streams(root: Path) -> None:
    app = Oxidite()
    app.static("/assets", root)

    @app.get("/report")
    async def report() -> FileResponse:
        return FileResponse(root / "app.js")

    assert choose_interface(app, rsgi=True)[0] == "rsgi"


# Compressed forms.


@pytest.fixture
def compressed(root: Path) -> Path:
    for ending in ("br", "zst", "gz"):
        write(root / f"app.js.{ending}", f"{ending} of app.js")
    return root


async def get_raw(client: Client, path: str, **headers: str) -> tuple[httpx2.Response, bytes]:
    """Get without decoding."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = client.build_request("GET", path, headers=fields)
    if "accept_encoding" not in headers:
        del request.headers["accept-encoding"]
    response = await client.send(request, stream=True)
    body = b"".join([chunk async for chunk in response.aiter_raw()])
    return response, body


@pytest.mark.parametrize(
    ("accepts", "coding"),
    [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP", "gzip"),
        ("br;q=0.5, gzip;q=0.8", "gzip"),
        ("br;q=0, *", "zstd"),
        ("*;q=0", None),
        ("identity", None),
        ("gzip;q=0.5, identity;q=0.9", None),
        ("br;q=nonsense, gzip", "gzip"),
        ("deflate", None),
        ("", None),
        (None, None),
    ],
)
async def test_the_form_is_sent_that_the_client_likes_best(
    compressed: Path, accepts: str | None, coding: str | None
) -> None:
    headers = {} if accepts is None else {"accept_encoding": accepts}

    async with serving(compressed) as client:
        response, body = await get_raw(client, "/assets/app.js", **headers)

    assert response.headers.get("content-encoding") == coding
    ending = {"br": b"br", "zstd": b"zst", "gzip": b"gz", None: None}[coding]
    assert body == (b"let a = 1" if ending is None else ending + b" of app.js")
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["vary"] == "accept-encoding"
    assert response.headers["content-length"] == str(len(body))


async def test_each_form_has_a_tag_of_its_own_and_parts_of_its_own_bytes(compressed: Path) -> None:
    async with serving(compressed) as client:
        answers = [
            await get_raw(client, "/assets/app.js", accept_encoding=coding)
            for coding in ("br", "zstd", "gzip", "identity")
        ]
        tags = [response.headers["etag"] for response, _ in answers]
        part, body = await get_raw(
            client, "/assets/app.js", accept_encoding="br", range="bytes=0-1", if_range=tags[0]
        )
        mixed, whole = await get_raw(
            client, "/assets/app.js", accept_encoding="br", range="bytes=0-1", if_range=tags[2]
        )
        again, _ = await get_raw(
            client, "/assets/app.js", accept_encoding="br", if_none_match=tags[0]
        )

    assert len(set(tags)) == 4
    assert (part.status_code, body) == (206, b"br")
    assert part.headers["content-encoding"] == "br"
    assert part.headers["content-range"] == "bytes 0-1/12"
    assert (mixed.status_code, whole) == (200, b"br of app.js")
    assert again.status_code == 304
    assert again.headers["vary"] == "accept-encoding"


async def test_a_form_that_is_older_than_its_file_is_not_sent(compressed: Path) -> None:
    write(compressed / "app.js", "let a = 2", mtime=LONG_AGO + 3)

    async with serving(compressed) as client:
        _, body = await get_raw(client, "/assets/app.js", accept_encoding="br, gzip")

    assert body == b"let a = 2"


async def test_compressed_forms_may_be_left_alone(compressed: Path) -> None:
    async with serving(compressed, precompressed=False) as client:
        response, body = await get_raw(client, "/assets/app.js", accept_encoding="br")

    assert body == b"let a = 1"
    assert "vary" not in response.headers


async def test_a_directory_with_the_name_of_a_form_is_none(root: Path) -> None:
    (root / "app.js.br").mkdir()

    async with serving(root) as client:
        _, body = await get_raw(client, "/assets/app.js", accept_encoding="br")

    assert body == b"let a = 1"


# Caches.


async def test_how_long_it_is_kept_may_be_said(root: Path) -> None:
    async with (
        serving(root, cache_control="public, max-age=60") as said,
        serving(root, immutable=True) as immutable,
    ):
        assert (await said.get("/assets/app.js")).headers["cache-control"] == "public, max-age=60"
        answers = [
            (await immutable.get(f"/assets/{path}")).headers["cache-control"]
            for path in ("app.js", "index.html", "", "docs/")
        ]

    # A page leads to the others, so it must be asked for anew.
    assert answers == [IMMUTABLE, "no-cache", "no-cache", "no-cache"]


async def test_a_change_is_seen_at_once(root: Path) -> None:
    async with serving(root) as client:
        first = await client.get("/assets/app.js")
        write(root / "app.js", "let a = 2", mtime=LONG_AGO + 1)
        changed = await client.get("/assets/app.js")
        write(root / "new", "let a = 3", mtime=LONG_AGO + 1).replace(root / "app.js")
        replaced = await client.get("/assets/app.js")
        (root / "app.js").unlink()
        gone = await client.get("/assets/app.js")

    assert [each.text for each in (first, changed, replaced)] == [f"let a = {n}" for n in (1, 2, 3)]
    assert first.headers["etag"] != changed.headers["etag"]
    assert gone.status_code == 404


async def test_what_was_asked_for_a_moment_ago_is_not_read_again(
    root: Path, clock: TravelClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "large.bin", bytes(200_000))
    opened: list[str] = []
    real = os.open

    def counting(path: str, *rest: Any) -> int:
        opened.append(path.rpartition("/")[2])
        return real(path, *rest)

    async with serving(root, precompressed=False) as client:
        monkeypatch.setattr(os, "open", counting)
        for _ in range(3):
            assert (await client.get("/assets/app.js")).text == "let a = 1"
            assert (await client.head("/assets/large.bin")).status_code == 200
            assert len((await client.get("/assets/large.bin")).content) == 200_000
        in_a_moment = opened.copy()
        await clock.advance(1.0)
        await client.get("/assets/app.js")

    # The large one is looked at twice, for HEAD keeps nothing, and read three times.
    assert in_a_moment.count("app.js") == 1
    assert in_a_moment.count("large.bin") == 5
    assert opened.count("app.js") == 2


async def test_an_immutable_file_is_taken_from_memory_for_ever(
    root: Path, clock: TravelClock
) -> None:
    async with serving(root, immutable=True) as client:
        await client.get("/assets/app.js")
        (root / "app.js").unlink()
        await clock.advance(1e9)

        assert (await client.get("/assets/app.js")).text == "let a = 1"


async def test_what_is_kept_is_not_changed_by_what_is_done_to_an_answer(root: Path) -> None:
    async def marking(request: Request, call_next: Handler) -> Response:
        response = await call_next(request)
        response.headers.add("x-mark", "1")
        return response

    app = Oxidite(middleware=[marking])
    app.static("/assets", root)
    async with Client(app) as client:
        answers = [await client.get("/assets/app.js") for _ in range(3)]

    assert [each.headers.get_list("x-mark") for each in answers] == [["1"]] * 3


async def test_memory_is_bounded(root: Path) -> None:
    site = Site(
        root, index=None, spa=False, immutable=True, cache_control=None, precompressed=False
    )
    memory = Memory(limit=50_000)
    found = site.directory.find("app.js")

    for number in range(100):
        memory.keep(number, found, Response(bytes(10_000)), immutable=True)

    kept = [number for number in range(100) if memory.get(number) is not None]
    assert kept == [96, 97, 98, 99]


async def test_a_file_larger_than_the_memory_is_not_kept(root: Path) -> None:
    site = Site(
        root, index=None, spa=False, immutable=True, cache_control=None, precompressed=False
    )
    memory = Memory(limit=0)
    memory.keep("a", site.directory.find("app.js"), Response(b"x"), immutable=True)

    assert memory.get("a") is None
