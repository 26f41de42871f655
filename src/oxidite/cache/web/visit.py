"""One request at the cache: what is kept is served, or the handler is asked, once for all who wait."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress

from msgspec.structs import replace

from oxidite.cache.claims import Claim
from oxidite.cache.envelope import Envelope
from oxidite.cache.web.fields import Status, read_strings
from oxidite.cache.web.pages import Page, kept_fields, names_of
from oxidite.cache.web.policy import Refusal, Wish, judged, wish_of
from oxidite.cache.web.routes import RouteCaching, caching_of
from oxidite.cache.web.shelf import Place, Shelf
from oxidite.errors import BackendError
from oxidite.http.conditional import Validators, not_modified
from oxidite.http.dates import parse_date
from oxidite.http.files.ranges import RangeNotSatisfiableError
from oxidite.http.headers import Headers, MutableHeaders, checked_headers
from oxidite.http.request import Request
from oxidite.http.response import Response, TextResponse
from oxidite.http.types import Handler
from oxidite.protocols.base import run_after

__all__ = ["Visit"]

_logger = logging.getLogger("oxidite.cache")

_ROUNDS = 3  # answers of others that are waited for, until a request goes its own way
_CONDITIONS = ("if-none-match", "if-modified-since")
_FOR_HANDLERS = ("if-match", "if-unmodified-since")  # RFC 9111 section 4.3.2
_NOT_OF_A_PAGE = frozenset(("content-encoding", "content-length", "content-range", "content-type"))


class Visit:
    """A safe request. ``url`` is its key."""

    def __init__(
        self,
        shelf: Shelf,
        url: str,
        request: Request,
        call_next: Handler,
        *,
        name: str,
        obeys: bool,
    ) -> None:
        self._shelf = shelf
        self._url = url
        self._request = request
        self._call_next = call_next
        self._name = name
        self._obeys = obeys
        self._wish = wish_of(request.headers) if obeys else Wish()
        self._route = caching_of(request)
        self._asked = shelf.now()

    async def answer(self) -> Response:
        """Return the answer."""
        request, headers = self._request, self._request.headers
        if request.method not in ("GET", "HEAD"):
            return await self._pass("method")
        if self._route is False or any(name in headers for name in _FOR_HANDLERS):
            return await self._pass("bypass")
        place = await self._shelf.find(self._url, headers)
        if self._may_serve(place) and place.page is not None:
            self._shelf.core.counts.hits += 1
            return self._hit(place.page)
        if self._wish.only_if_cached:
            return self._told(TextResponse("It is not kept here.", 504), Status("request"))
        self._shelf.core.counts.misses += 1
        why = self._why(place)
        if why == "stale" and place.page is not None and self._is_stale_for(place.page.swr, place):
            self._shelf.core.counts.stale += 1
            self._refresh(place)
            return self._hit(place.page, fwd=Status(detail="stale while it is made anew"))
        if request.method == "HEAD" or self._wish.no_store:
            return await self._pass(why)
        if "range" in headers and place.page is None:
            return await self._pass(why)  # a part of something large, perhaps
        return await self._made(place, why)

    # What is kept

    def _may_serve(self, place: Place) -> bool:
        page = place.page
        return page is not None and self._wish.allows(
            page, self._shelf.now() - page.born, is_fresh=place.is_valid
        )

    def _why(self, place: Place) -> str:
        page = place.page
        if page is None:
            return "vary-miss" if place.names else "uri-miss"
        is_fresh = place.is_valid and self._shelf.now() - page.born < page.lifetime
        # Its own wish, and not its time: a client that asks for what is newer gets that.
        limited = self._wish.reload or self._wish.max_age is not None
        return "request" if is_fresh or limited else "stale"

    def _is_stale_for(self, seconds: float, place: Place) -> bool:
        page = place.page
        if page is None:
            return False
        # One that was invalidated softly may have time left; that is not stale for long.
        return max(0.0, self._shelf.now() - page.born - page.lifetime) < seconds

    def _hit(self, page: Page, *, fwd: Status | None = None) -> Response:
        age = max(0, int(self._shelf.now() - page.born))
        status = (Status() if fwd is None else fwd)._replace(ttl=int(page.lifetime) - age)
        try:
            return self._told(page.answer(self._request, age), status)
        except RangeNotSatisfiableError as exc:
            fields = MutableHeaders({**exc.headers, "age": str(age)})
            status.write(fields, self._name)
            exc.headers = fields
            raise

    def _told(self, response: Response, status: Status) -> Response:
        status.write(response.headers, self._name)
        return response

    # What the handler is asked for

    async def _pass(self, why: str) -> Response:
        """Let the handler answer, and keep nothing."""
        response = await self._call_next(self._request)
        self._mark(response)
        return self._told(response, Status(why, response.status))

    def _mark(self, response: Response) -> None:
        if isinstance(self._route, RouteCaching) and self._request.method in ("GET", "HEAD"):
            self._route.apply(self._request, response)

    async def _made(self, place: Place, why: str) -> Response:
        """Let the handler answer, or wait for the answer to another request."""
        shelf = self._shelf
        for _ in range(_ROUNDS):
            flight = shelf.flights.get(place.key)
            if flight is None or shelf.is_alone(place.key) or self._is_own:
                return await self._lead(place, why)
            await asyncio.wait((flight,), timeout=shelf.patience)
            if not flight.done() or flight.result() is False:
                break
            place = await shelf.find(self._url, self._request.headers)
            if self._may_serve(place) and place.page is not None:
                return self._hit(place.page, fwd=Status(why, collapsed=True))
        return await self._pass(why)

    @property
    def _is_own(self) -> bool:
        """Whether the answer is hardly one for others, or has to be newer than what is made already."""
        return self._wish.reload or "authorization" in self._request.headers

    async def _lead(self, place: Place, why: str) -> Response:
        shelf = self._shelf
        if place.key in shelf.flights or shelf.is_alone(place.key) or self._is_own:
            return (await self._claimed(place, why, waits=False))[0]
        flight = shelf.flights[place.key] = asyncio.get_running_loop().create_future()
        outcome: bool | None = None  # of one who was cancelled: another takes its place
        try:
            response, outcome = await self._claimed(place, why, waits=True)
            return response
        except Exception:
            outcome = False
            raise
        finally:
            del shelf.flights[place.key]
            flight.set_result(outcome)

    async def _claimed(self, place: Place, why: str, *, waits: bool) -> tuple[Response, bool]:
        """Ask the handler under the claim of the page; return whether others can use the answer."""
        shelf = self._shelf
        claim = shelf.claim(place.key)
        newer_than = -math.inf if place.page is None else self._asked
        # With something in its place nobody is waited for.
        nobody = None if waits else shelf.core.entry(Envelope(b""))
        try:
            async with asyncio.timeout(shelf.patience):
                entry = await claim.take(newer_than, nobody)
        except (TimeoutError, BackendError):
            return await self._pass(why), False
        if entry is nobody is not None:
            return await self._pass(why), False
        if entry is not None:
            # Another process made it meanwhile; perhaps for other fields of the request.
            before, place = place, await shelf.find(self._url, self._request.headers)
            if self._may_serve(place) and place.page is not None:
                return self._hit(place.page, fwd=Status(why, collapsed=True)), True
            if len(place.names) > len(before.names):
                # That it differs by them is known only now: all who want this one wait for one, too.
                return await self._made(place, why), True
            return await self._pass(why), False
        async with claim:
            return await self._asked_for(claim, place, why)

    async def _asked_for(self, claim: Claim, place: Place, why: str) -> tuple[Response, bool]:
        shelf, page = self._shelf, place.page
        mark, asked = shelf.core.near.mark(), shelf.now()
        try:
            response, cookies = await self._ask(page)
        except Exception:
            if page is None or not self._may_spare(place):
                raise
            _logger.exception("serving a stale answer, as the handler failed")
            return self._spared(page, why, None), True
        if page is not None and response.status >= 500 and self._may_spare(place):
            return self._spared(page, why, response.status), True
        status = Status(why, response.status)
        if page is not None and response.status == 304 and not self._is_asked(page, response):
            response = self._renewed(page, response)
        self._mark(response)
        stored, detail = await self._keep(
            claim, place, response, mark=mark, asked=asked, cookies=cookies
        )
        response = self._conditional(response)
        return self._told(response, status._replace(stored=stored, detail=detail)), stored

    async def _keep(
        self,
        claim: Claim,
        place: Place,
        response: Response,
        *,
        mark: int,
        asked: float,
        cookies: bool,
    ) -> tuple[bool, str]:
        shelf = self._shelf
        found = judged(self._request, response, shelf.limits, asked=asked, cookies=cookies)
        if isinstance(found, Refusal):
            if "authorization" not in self._request.headers:
                shelf.leave_alone(place.key)
            if place.page is not None and response.status < 500:
                await shelf.drop(place.key)
            return False, found.reason
        shelf.gather(place.key)
        stored = await shelf.put(
            claim,
            place,
            found,
            self._request.headers,
            names=names_of(response.headers.get_all("vary")),
            tags=self._tags(response),
            mark=mark,
        )
        shelf.core.counts.made += stored
        return stored, "" if stored else "too many fields or groups, or stale already"

    def _tags(self, response: Response) -> list[str]:
        groups = read_strings(response.headers.get_all("cache-groups")) or []
        own = self._route.tags_of(self._request) if isinstance(self._route, RouteCaching) else []
        return [*own, *groups]

    async def _ask(self, page: Page | None) -> tuple[Response, bool]:
        """Call the handler for a whole answer, or whether the page still is; whether it saw cookies."""
        request, headers = self._request, self._request.headers
        fields = [
            item
            for item in headers.multi_items()
            if item[0] not in (*_CONDITIONS, "range", "if-range")
        ]
        if page is not None and page.etag is not None:
            fields.append(("if-none-match", page.etag))
        if page is not None and page.modified is not None:
            fields.append(("if-modified-since", page.modified))
        cookies = request._cookies  # noqa: SLF001 - who reads them below is seen by it
        request._headers, request._cookies = Headers(fields), None  # noqa: SLF001 - as replace_body does
        try:
            response = await self._call_next(request)
            return response, request._cookies is not None  # noqa: SLF001 - as above
        finally:
            request._headers = headers  # noqa: SLF001 - as above
            request._cookies = request._cookies or cookies  # noqa: SLF001 - as above

    def _is_asked(self, page: Page, response: Response) -> bool:
        """Tell whether a 304 is about something else than the page (RFC 9111 section 4.3.3)."""
        etag = response.headers.get("etag")
        return etag is not None and page.etag is not None and _bare(etag) != _bare(page.etag)

    def _renewed(self, page: Page, response: Response) -> Response:
        """Return the page with what a 304 says of it (RFC 9111 section 3.2)."""
        new = [item for item in kept_fields(response.headers) if item[0] not in _NOT_OF_A_PAGE]
        names = {name for name, _ in new}
        renewed = Response(page.body, page.status)
        renewed.made_headers = checked_headers(
            [item for item in page.fields if item[0] not in names] + new
        )
        return renewed

    def _conditional(self, response: Response) -> Response:
        headers = self._request.headers
        if response.status != 200 or not response.complete:
            return response
        if not any(name in headers for name in _CONDITIONS):
            return response
        modified = parse_date(response.headers.get("last-modified", ""))
        validators = Validators(response.headers.get("etag"), modified)
        is_same = validators.check("GET", headers) == "same"
        return not_modified(response) if is_same else response

    # What is stale

    def _may_spare(self, place: Place) -> bool:
        page = place.page
        if page is None:
            return False
        own = 0 if page.must else self._wish.stale_if_error
        return self._is_stale_for(max(page.sie, own), place)

    def _spared(self, page: Page, why: str, status: int | None) -> Response:
        self._shelf.core.counts.stale += 1
        return self._hit(page, fwd=Status(why, status, detail="stale, as the handler failed"))

    def _refresh(self, place: Place) -> None:
        """Make a new page behind, unless that is being done."""
        if place.key in self._shelf.flights or self._request.method != "GET":
            return
        request = replace(
            self._request,
            task=None,
            opened=None,
            after=None,
            _body=b"",
            _cookies=None,
            _state=dict(self._request.state),
        )
        behind = Visit(
            self._shelf, self._url, request, self._call_next, name=self._name, obeys=False
        )
        self._shelf.core.background.spawn(behind._behind(place), name=f"renew {self._url}")

    async def _behind(self, place: Place) -> None:
        if place.key in self._shelf.flights:
            return
        request = self._request
        try:
            await self._lead(place, "stale")
        finally:
            if request.opened is not None:
                with suppress(Exception):
                    await request.opened.request.aclose()
                await request.opened.stream.aclose()
            await run_after(request)


def _bare(etag: str) -> str:
    return etag.removeprefix("W/")
