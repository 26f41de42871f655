"""The application: what it is made of."""

from __future__ import annotations

from secrets import token_urlsafe

from oxidite import Handler, Oxidite, Request, Response, clock
from oxidite.http import complete
from oxidite.openapi import OpenAPI

from .api import api
from .database import db, queue
from .mail import Outbox
from .settings import loaded
from .site import site
from .store import Tables


@complete
async def stamp(request: Request, call_next: Handler) -> Response:
    """Say how long the answer took, and that its type is to be believed."""
    started = clock.perf()
    response = await call_next(request)
    milliseconds = (clock.perf() - started) * 1000
    response.headers["server-timing"] = f"app;dur={milliseconds:.2f}"
    response.headers["x-content-type-options"] = "nosniff"
    return response


app = Oxidite(
    resources=[db, queue, Tables(samples=loaded.settings.samples), Outbox()],
    # It signs the cursors of pages. Without one they are good until the process ends.
    secret=loaded.settings.secret or token_urlsafe(32),
    middleware=[stamp],
    plugins=[
        OpenAPI(
            title="The Oxide Notebook",
            version="1.0",
            description="The API of a small blog. The pages for people are not in here.",
            only=lambda route: "api" in route.tags,
            tags={"api": "Posts and comments."},
        )
    ],
)
app.include(site)
app.include(api)
