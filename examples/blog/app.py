"""The application and the routes of its pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from oxidite import (
    Form,
    Handler,
    HTMLResponse,
    Oxidite,
    RedirectResponse,
    Request,
    Response,
    ValidationError,
    clock,
)
from oxidite.config import load_with_origins
from oxidite.http import complete

from .api import api
from .store import NewComment, NewPost, Outbox, Store
from .views import index_page, post_page


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Set by the environment: ``BLOG_TITLE``, ``BLOG_POSTS_PER_PAGE``, ``BLOG_SAMPLES``."""

    title: Annotated[str, Meta(min_length=1, max_length=60)] = "The Oxide Notebook"
    posts_per_page: Annotated[int, Meta(ge=1, le=100)] = 10
    samples: bool = True


# With the origins, so that `oxidite config show` can tell where each value comes from.
loaded = load_with_origins(Settings, prefix="BLOG_")
settings = loaded.settings

CSS = (Path(__file__).parent / "style.css").read_bytes()

# The second line of defence: even if something got into a page unescaped, it would not run.
PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}


@complete
async def stamp(request: Request, call_next: Handler) -> Response:
    """Say how long the answer took, and that its type is to be believed."""
    started = clock.perf()
    response = await call_next(request)
    milliseconds = (clock.perf() - started) * 1000
    response.headers["server-timing"] = f"app;dur={milliseconds:.2f}"
    response.headers["x-content-type-options"] = "nosniff"
    return response


app = Oxidite(resources=[Store(samples=settings.samples), Outbox()], middleware=[stamp])
app.include(api)


@complete
async def form_again(request: Request, call_next: Handler) -> Response:
    """If the form was not filled in right, show it again with what was typed and what is wrong."""
    response = await call_next(request)
    if not isinstance(response.error, ValidationError):
        return response
    draft = dict((await request.form()).fields())
    errors = response.error.errors
    store = request.resources.get(Store)
    if "id" in request.params:
        post = store.post(request.params["id"])
        comments = store.comments(post.id)
        html = post_page(
            post, comments, site=settings.title, url=app.url, draft=draft, errors=errors
        )
    else:
        page = store.page(limit=settings.posts_per_page)
        html = index_page(page, site=settings.title, url=app.url, draft=draft, errors=errors)
    return HTMLResponse(html, 422, headers=PAGE_HEADERS)


@app.get("/")
async def index(store: Store, before: int | None = None) -> HTMLResponse:
    page = store.page(before=before, limit=settings.posts_per_page)
    html = index_page(page, site=settings.title, url=app.url)
    return HTMLResponse(html, headers=PAGE_HEADERS)


@app.post("/posts", middleware=[form_again])
async def publish(new: Form[NewPost], store: Store) -> RedirectResponse:
    post = store.publish(new)
    return RedirectResponse(app.url(show, post.id))


@app.get("/posts/{id:int}")
async def show(id: int, store: Store) -> HTMLResponse:
    post = store.post(id)
    html = post_page(post, store.comments(id), site=settings.title, url=app.url)
    return HTMLResponse(html, headers=PAGE_HEADERS)


@app.post("/posts/{id:int}/comments", middleware=[form_again])
async def comment(
    id: int, new: Form[NewComment], store: Store, outbox: Outbox, request: Request
) -> RedirectResponse:
    comment = store.comment(id, new)
    # After the response: whoever comments does not wait for somebody else's mail.
    request.after_response(outbox.tell_author, store.post(id), comment)
    return RedirectResponse(f"{app.url(show, id)}#comment-{comment.id}")


@app.get("/style.css", etag="strong", complete=True)
async def stylesheet() -> Response:
    return Response(CSS, content_type="text/css; charset=utf-8")
