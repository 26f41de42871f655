"""The demonstration: its pages and its API, in process and over a real socket."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import cast
from uuid import uuid4

import httpx2
import pytest

from oxidite import Oxidite, clock
from oxidite.config import SettingsError, load
from oxidite.db.drivers import drivers
from oxidite.servers import choose_interface
from oxidite.testing import Client, LiveServer
from oxidite.testing.db import run_apart
from oxidite.testing.queue import assert_enqueued, assert_not_enqueued, drain

EXAMPLES = Path(__file__).parents[2] / "examples"
POSTGRES = os.environ.get(
    "OXIDITE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres"
)

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u2028<!--<script>",
)

ELEMENTS = {
    *("html", "head", "meta", "title", "link", "body", "header", "main", "footer", "section"),
    *("article", "aside", "h1", "h2", "h3", "p", "a", "time", "strong", "small", "span"),
    *("form", "label", "input", "textarea", "button", "ul", "li"),
}


@pytest.fixture(scope="module", autouse=True)
def examples_on_path() -> Iterator[None]:
    """``blog`` is importable, as it is for ``oxidite dev examples/blog/app.py``."""
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


@pytest.fixture
def blog(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("DATABASE_URL", "sqlite://")  # read when it is imported
    return importlib.import_module("blog.app")


@pytest.fixture(
    params=["memory", "file", pytest.param("postgresql", marks=pytest.mark.service("postgres"))]
)
def app(blog: ModuleType, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Oxidite]:
    """The application with an empty database: all that differs is its URL."""
    db = importlib.import_module("blog.database").db
    before, schema = db.driver, f"blog_{uuid4().hex}"
    url = {
        "memory": "sqlite://",
        "file": f"sqlite:///{tmp_path / 'blog.db'}",
        "postgresql": f"{POSTGRES}?search_path={schema}",
    }[request.param]
    if request.param == "postgresql":
        run_apart(POSTGRES, f"CREATE SCHEMA {schema}")
    db.driver = drivers.create(url)
    try:
        yield cast("Oxidite", blog.app)
    finally:
        db.driver = before
        if request.param == "postgresql":
            run_apart(POSTGRES, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
async def client(app: Oxidite) -> AsyncIterator[Client]:
    async with Client(app) as opened:
        yield opened


class Reader(HTMLParser):
    """Reads a page as a browser would: which elements, which attributes, which text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, str] = {}
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("meta", "link", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text[self._open[-1]] = self.text.get(self._open[-1], "") + data


def assert_inert(html: str) -> Reader:
    """Nothing in the page runs, and no link leads out of it."""
    page = Reader(html)
    for name, attributes in page.elements:
        assert name in ELEMENTS
        assert not [each for each in attributes if each.startswith("on") or each == "style"]
        for link in ("href", "src", "action"):
            assert attributes.get(link, "/").startswith(("/", "data:,"))
    return page


# Pages.


async def test_the_front_page_lists_the_posts_newest_first(client: Client) -> None:
    response = await client.get("/")
    page = assert_inert(response.text)
    links = [attributes.get("href") for name, attributes in page.elements if name == "a"]
    assert response.status_code == 200
    assert links == ["/", "/posts/3", "/posts/2", "/posts/1", "/api/posts"]


async def test_the_front_page_links_to_older_posts(client: Client) -> None:
    for number in range(10):
        await client.post("/posts", data={"title": f"Post {number}", "body": "…"})
    found = re.search(r'rel="next" href="(/\?after=[^"]+)"', (await client.get("/")).text)
    assert found is not None
    older = (await client.get(found[1])).text
    assert "Rust is not the end of iron" in older
    assert "Older posts" not in older


async def test_a_published_post_is_shown_where_the_form_leads(client: Client) -> None:
    data = {"title": "Hello", "body": "One.\n\nTwo.", "author": "", "summary": ""}
    response = await client.post("/posts", data=data)
    assert (response.status_code, response.headers["location"]) == (303, "/posts/4")
    page = (await client.get("/posts/4")).text
    assert "<h2>Hello</h2>" in page
    assert "<p>One.</p><p>Two.</p>" in page
    assert "Anonymous" in page


async def test_a_form_that_is_wrong_comes_back_with_what_was_typed(client: Client) -> None:
    data = {"title": " ", "body": "A text worth keeping", "author": "x" * 61}
    response = await client.post("/posts", data=data)
    page = assert_inert(response.text)
    assert response.status_code == 422
    assert "A title has 1 to 120 characters.A name has at most 60 characters." in page.text["li"]
    assert "A text worth keeping" in page.text["textarea"]
    assert (await client.get("/api/posts?limit=1")).json()["items"][0]["id"] == 3


async def test_a_comment_form_that_is_wrong_comes_back_below_its_post(client: Client) -> None:
    response = await client.post("/posts/2/comments", data={"body": "", "author": "Mo"})
    assert response.status_code == 422
    assert "<h2>Mending a cup with lacquer</h2>" in response.text
    assert "The text is missing, or too long." in response.text
    assert 'value="Mo"' in response.text


async def test_a_wrong_comment_on_a_missing_post_is_not_found(client: Client) -> None:
    response = await client.post("/posts/99/comments", data={"body": ""})
    assert response.status_code == 404


async def test_a_comment_leads_back_to_itself_and_its_author_is_told(client: Client) -> None:
    response = await client.post("/posts/3/comments", data={"body": "True.", "author": "Mo"})
    assert response.headers["location"] == "/posts/3#comment-2"
    assert 'id="comment-2"' in (await client.get("/posts/3")).text
    assert (await client.get("/api/outbox")).json() == [
        "To Ines: Mo commented on 'Rust is not the end of iron'."
    ]


async def test_a_missing_page_is_a_page_for_a_browser(client: Client) -> None:
    response = await client.get("/posts/99", headers={"accept": "text/html"})
    assert response.status_code == 404
    assert "There is no Post 99." in response.text


@pytest.mark.parametrize("text", HOSTILE)
async def test_markup_in_a_post_or_comment_is_only_text(client: Client, text: str) -> None:
    fields = {"title": text, "body": text, "author": text, "summary": text}
    where = (await client.post("/posts", data=fields)).headers["location"]
    await client.post(f"{where}/comments", data={"body": text, "author": text})

    page = assert_inert((await client.get(where)).text)
    front = assert_inert((await client.get("/")).text)

    text = text.strip()
    assert page.text["h2"] == text
    assert page.text["title"].startswith(text)
    assert page.text["p"].count(text) == 4  # the byline, the summary, the body, the comment
    assert text in page.text["strong"]
    assert text in front.text["a"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_markup_in_a_form_that_comes_back_is_only_text(client: Client, text: str) -> None:
    data = {"title": text, "body": text, "author": text * 10, "summary": text, text: text}
    response = await client.post("/posts", data=data)
    page = assert_inert(response.text)
    values = [each["value"] for name, each in page.elements if name == "input"]
    assert response.status_code == 422
    assert values == [text, text, text * 10]
    assert page.text["textarea"].strip() == text.strip()
    assert page.text["li"].endswith("There is a field that does not belong here.")


async def test_a_page_forbids_scripts_and_other_peoples_resources(client: Client) -> None:
    for path in ("/", "/posts/2"):
        policy = (await client.get(path)).headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self';")


async def test_the_stylesheet_is_fetched_once(client: Client) -> None:
    first = await client.get("/style.css")
    again = await client.get("/style.css", headers={"if-none-match": first.headers["etag"]})
    assert first.headers["content-type"] == "text/css; charset=utf-8"
    assert "http" not in first.text
    assert (again.status_code, again.content) == (304, b"")


# API.


async def test_posts_come_in_pages(client: Client) -> None:
    first = (await client.get("/api/posts", params={"limit": 2})).json()
    rest = (await client.get("/api/posts", params={"limit": 2, "after": first["next"]})).json()
    assert [post["id"] for post in first["items"]] == [3, 2]
    assert [post["id"] for post in rest["items"]] == [1]
    assert rest["next"] is None
    back = await client.get("/api/posts", params={"limit": 2, "after": rest["previous"]})
    assert back.json()["items"] == first["items"]
    assert back.links["next"]["url"].startswith("/api/posts?limit=2&after=")


async def test_a_post_is_created(client: Client) -> None:
    response = await client.post("/api/posts", json={"title": "New", "body": "Text"})
    post = response.json()
    assert response.status_code == 201
    assert (post["id"], post["title"], post["author"]) == (4, "New", "Anonymous")
    assert (await client.get("/api/posts/4")).json() == post


async def test_all_that_is_wrong_with_a_post_is_told_at_once(client: Client) -> None:
    response = await client.post("/api/posts", json={"titel": "New", "body": "", "author": 3})
    assert response.status_code == 422
    assert {each["pointer"]: each["detail"] for each in response.json()["errors"]} == {
        "#/title": "This field is required.",
        "#/titel": "There is no such field. Did you mean 'title'?",
        "#/body": "Expected `str` of length >= 1.",
        "#/author": "Expected `str`, got `int`.",
    }


async def test_a_change_leaves_alone_what_it_does_not_name(client: Client) -> None:
    before = (await client.get("/api/posts/2")).json()
    response = await client.patch("/api/posts/2", json={"title": "Mending a bowl"})
    assert response.json() == {**before, "title": "Mending a bowl"}


async def test_null_removes_the_summary_but_not_the_title(client: Client) -> None:
    without = await client.patch("/api/posts/2", json={"summary": None})
    refused = await client.patch("/api/posts/2", json={"title": None})
    assert without.json()["summary"] is None
    assert refused.status_code == 422
    assert (await client.get("/api/posts/2")).json()["title"] == "Mending a cup with lacquer"


async def test_a_deleted_post_is_gone_with_its_comments(client: Client) -> None:
    assert (await client.delete("/api/posts/2")).status_code == 204
    for path in ("/api/posts/2", "/api/posts/2/comments"):
        response = await client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, "row_not_found")


async def test_comments_are_added_and_listed(client: Client) -> None:
    created = await client.post("/api/posts/2/comments", json={"body": "Lovely.", "author": "Mo"})
    listed = (await client.get("/api/posts/2/comments")).json()
    assert created.status_code == 201
    assert [comment["author"] for comment in listed] == ["Noor", "Mo"]


async def test_an_unchanged_post_is_not_sent_again(client: Client) -> None:
    etag = (await client.get("/api/posts/2")).headers["etag"]
    same = await client.get("/api/posts/2", headers={"if-none-match": etag})
    await client.patch("/api/posts/2", json={"title": "Other"})
    other = await client.get("/api/posts/2", headers={"if-none-match": etag})
    assert (same.status_code, other.status_code) == (304, 200)


@pytest.mark.parametrize("path", ["/", "/api/posts", "/nothing-here", "/api/posts/x"])
async def test_every_answer_says_how_long_it_took(client: Client, path: str) -> None:
    assert (await client.get(path)).headers["server-timing"].startswith("app;dur=")


async def test_a_full_store_takes_no_more(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blog.store.MAX_POSTS", 4)
    monkeypatch.setattr("blog.store.MAX_COMMENTS", 1)
    last = await client.post("/api/posts", json={"title": "The last", "body": "Text"})
    assert last.status_code == 201
    for path, json in (
        ("/api/posts", {"title": "One more", "body": "Text"}),
        ("/api/posts/2/comments", {"body": "Text"}),
    ):
        response = await client.post(path, json=json)
        assert (response.status_code, response.json()["code"]) == (409, "full")


async def test_what_was_written_is_there_after_a_restart(app: Oxidite) -> None:
    is_kept = getattr(importlib.import_module("blog.database").db.driver, "path", "") is not None
    for number in (4, 5) if is_kept else (4, 4):
        async with Client(app) as client:
            response = await client.post("/api/posts", json={"title": "New", "body": "Text"})
            assert response.json()["id"] == number


def test_an_empty_folder_is_enough(tmp_path: Path) -> None:
    """Without any setting there is a file beside the program, and the tables are in it."""
    environment = {key: each for key, each in os.environ.items() if key != "DATABASE_URL"}
    for count in (3, 4):
        command = [sys.executable, "-m", "oxidite", "dev", str(EXAMPLES / "blog" / "app.py")]
        with subprocess.Popen(
            [*command, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
        ) as process:
            watchdog = threading.Timer(20, process.kill)
            watchdog.start()
            assert process.stderr is not None
            try:
                lines = iter(process.stderr.readline, "")
                url = next(found[0] for line in lines if (found := ADDRESS.search(line)))
                with httpx2.Client(
                    transport=httpx2.HTTPTransport(retries=6), base_url=url, timeout=20
                ) as browser:
                    assert len(browser.get("/api/posts").json()["items"]) == count
                    browser.post("/api/posts", json={"title": "New", "body": "Text"})
            finally:
                process.terminate()
                process.stderr.read()
                watchdog.cancel()
    assert (tmp_path / "blog.db").is_file()


def test_settings_come_from_the_environment(blog: ModuleType) -> None:
    settings_class = importlib.import_module("blog.settings").Settings
    environ = {"BLOG_TITLE": "Elsewhere", "BLOG_POSTS_PER_PAGE": "3", "BLOG_SAMPLES": "no"}
    settings = load(settings_class, prefix="BLOG_", environ=environ, dotenv=False)
    assert settings == settings_class(title="Elsewhere", posts_per_page=3, samples=False)


def test_a_setting_out_of_range_is_refused(blog: ModuleType) -> None:
    settings_class = importlib.import_module("blog.settings").Settings
    environ = {"BLOG_POSTS_PER_PAGE": "0"}
    with pytest.raises(SettingsError, match="posts_per_page"):
        load(settings_class, prefix="BLOG_", environ=environ, dotenv=False)


def test_everything_it_answers_is_complete_bytes(app: Oxidite) -> None:
    assert choose_interface(app, rsgi=True)[0] == "rsgi"


# Jobs.


async def test_whoever_publishes_first_is_welcomed_once(app: Oxidite, client: Client) -> None:
    jobs = importlib.import_module("blog.jobs")
    for title in ("One", "Two"):
        await client.post("/posts", data={"title": title, "body": "Text", "author": "Mo"})
    await assert_enqueued(jobs.queue, jobs.welcome, "Mo")
    ran = await drain(jobs.queue, resources=app.lifespan)
    assert [each.kind for each in ran] == ["completed"]
    assert (await client.get("/api/outbox")).json() == [
        "To Mo: Welcome! Your first post is there for all to read."
    ]


async def test_nobody_is_welcomed_for_a_post_that_is_not_kept(client: Client) -> None:
    store, jobs = importlib.import_module("blog.store"), importlib.import_module("blog.jobs")
    models = importlib.import_module("blog.models")

    async def publish() -> None:
        async with store.db.transaction():
            await store.publish(models.NewPost(title="New", body="Text", author="Mo"))
            await assert_enqueued(jobs.queue, jobs.welcome, "Mo")
            raise LookupError

    with pytest.raises(LookupError):
        await publish()
    await assert_not_enqueued(jobs.queue, jobs.welcome)
    assert (await client.get("/api/posts/4")).status_code == 404


async def test_every_night_the_editors_are_told_how_much_there_is(app: Oxidite) -> None:
    jobs = importlib.import_module("blog.jobs")
    with clock.use(clock.TravelClock()):
        async with Client(app) as client:
            await drain(jobs.queue, through=2 * 86_400.0, resources=app.lifespan)
            told = (await client.get("/api/outbox")).json()
    assert told == ["To the editors: There are 3 posts and 1 comments."] * 2


# Over a real socket.


def test_a_visit_over_a_real_socket(app: Oxidite) -> None:
    with (
        LiveServer(app) as server,
        httpx2.Client(base_url=server.url, follow_redirects=True, trust_env=False) as browser,
    ):
        assert browser.get("/").status_code == 200
        written = browser.post("/posts", data={"title": "From afar", "body": "Hello."})
        assert written.url.path == "/posts/4"
        commented = browser.post("/posts/4/comments", data={"body": "Hello back.", "author": "Mo"})
        assert "Hello back." in commented.text
        assert browser.get("/api/posts/4").json()["title"] == "From afar"
        assert browser.get("/api/outbox").json() == ["To Anonymous: Mo commented on 'From afar'."]
        assert browser.get("/posts/nowhere").status_code == 404


def test_broken_requests_over_a_real_socket_are_refused_politely(app: Oxidite) -> None:
    with (
        LiveServer(app) as server,
        httpx2.Client(base_url=server.url, trust_env=False) as browser,
    ):
        json = {"content-type": "application/json"}
        answers = [
            browser.post("/api/posts", content=b"{", headers=json),
            browser.post("/api/posts", content=b"[" * 100_000, headers=json),
            browser.get("/api/posts/%00"),
            browser.put("/api/posts/1"),
            browser.post("/api/posts", content=b" " * 2_000_000, headers=json),
            browser.post("/api/posts", content=b"title=x"),
        ]
        assert [each.status_code for each in answers] == [400, 400, 400, 405, 413, 415]
        assert {each.headers["content-type"] for each in answers} == {"application/problem+json"}
        assert browser.get("/api/posts").status_code == 200
