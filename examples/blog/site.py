"""The pages, for people."""

from __future__ import annotations

from pathlib import Path

from oxidite import (
    Form,
    Handler,
    HTMLResponse,
    RedirectResponse,
    Request,
    Response,
    Router,
    ValidationError,
)
from oxidite.db.web import Bound
from oxidite.http import complete
from oxidite.routing import URLs

from . import store
from .mail import Outbox
from .models import NewComment, NewPost, Post
from .settings import settings
from .views import index_page, post_page

CSS = (Path(__file__).parent / "style.css").read_bytes()

# The second line of defence: even if something got into a page unescaped, it would not run.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

site = Router()


def page(html: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(html, status, headers={"content-security-policy": POLICY})


@complete
async def form_again(request: Request, call_next: Handler) -> Response:
    """If a form was not filled in right, show it again with what was typed and what is wrong."""
    response = await call_next(request)
    if not isinstance(response.error, ValidationError):
        return response
    draft = dict((await request.form()).fields())
    errors = response.error.errors
    url = request.resources.get(URLs)
    if "id" in request.params:
        post = await Post.get(request.params["id"])
        comments = await store.comments_on(post)
        html = post_page(post, comments, settings.title, url, draft=draft, errors=errors)
    else:
        posts = await store.newest(after=None, limit=settings.posts_per_page)
        html = index_page(posts, settings.title, url, draft=draft, errors=errors)
    return page(html, 422)


@site.get("/")
async def index(url: URLs, after: str | None = None) -> HTMLResponse:
    posts = await store.newest(after=after, limit=settings.posts_per_page)
    return page(index_page(posts, settings.title, url))


@site.post("/posts", middleware=[form_again])
async def publish(new: Form[NewPost], url: URLs) -> RedirectResponse:
    post = await store.publish(new)
    return RedirectResponse(url("show", id=post.id))


@site.get("/posts/{id:int}")
async def show(post: Bound[Post], url: URLs) -> HTMLResponse:
    return page(post_page(post, await store.comments_on(post), settings.title, url))


@site.post("/posts/{id:int}/comments", middleware=[form_again])
async def comment(
    post: Bound[Post], new: Form[NewComment], outbox: Outbox, url: URLs, request: Request
) -> RedirectResponse:
    comment = await store.comment(post, new)
    # After the response: whoever comments does not wait for somebody else's mail.
    request.after_response(outbox.tell_author, post, comment)
    return RedirectResponse(f"{url('show', id=post.id)}#comment-{comment.id}")


@site.get("/style.css", etag="strong", complete=True)
async def stylesheet() -> Response:
    return Response(CSS, content_type="text/css; charset=utf-8")
