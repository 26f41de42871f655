"""Idempotency-Key: a request that is sent again is answered again and not done again.

draft-ietf-httpapi-idempotency-key-header-07.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Mapping

from oxidite.errors import (
    BadRequestError,
    ConfigError,
    ConflictError,
    HTTPError,
    ServiceUnavailableError,
)
from oxidite.http.declared import declares
from oxidite.http.headers import header_value
from oxidite.http.middleware import complete
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.replies import MemoryReplies, Reply, ReplyStore

__all__ = [
    "IdempotencyConflictError",
    "IdempotencyKeyError",
    "IdempotencyMismatchError",
    "idempotency",
]

_logger = logging.getLogger("oxidite.idempotency")

# A string of RFC 9651, as the draft wants it; and bare, as many clients send it.
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_BARE = re.compile(r"[!#-\[\]-~]{1,255}")
_FIELD = "idempotency-key"
# Nothing was done, and the next time it may be: who is not known now, what is busy, who is too fast.
_NOT_FINAL = frozenset((401, 403, 408, 409, 421, 425, 429))


class IdempotencyKeyError(BadRequestError):
    """The Idempotency-Key is missing, or is none."""

    code = "idempotency_key"


class IdempotencyConflictError(ConflictError):
    """The request with this Idempotency-Key is still being answered: try again later."""

    code = "idempotency_in_progress"


class IdempotencyMismatchError(HTTPError):
    """This Idempotency-Key was sent with another request before: take a new one."""

    code = "idempotency_mismatch"
    status = 422

    @property
    def title(self) -> str:
        """The phrase of RFC 9110, the same on every Python."""
        return "Unprocessable Content"


_ERRORS = (IdempotencyKeyError, IdempotencyConflictError, IdempotencyMismatchError)


def idempotency(
    *,
    methods: Iterable[str] = ("POST", "PATCH"),
    required: bool = False,
    scope: Callable[[Request], str | None] | None = None,
    store: ReplyStore | None = None,
    ttl: float = 86400.0,
    lease: float = 600.0,
    max_reply: int = 1024 * 1024,
    documentation: str | None = None,
) -> Middleware:
    """Answer a request with an ``Idempotency-Key`` once, and give that answer again for ``ttl`` seconds.

    A key counts for its route and for who sent it: for ``scope``, such as a user's id, or else for
    Authorization and Cookie. While the first request is being answered others get 409; another
    request with the same key gets 422; without one that is ``required`` it is 400. A route may have
    ``meta={"idempotency": True}`` to require one, or ``False`` to do without.

    Failures (5xx, an exception, a cancelled request) give the key back, and so does what may go better
    the next time (401, 403, 409, 429, ...), a stream, and an answer of more than ``max_reply`` bytes.
    After ``lease`` seconds a request whose process was killed is given up. ``documentation`` is a
    URL that errors point to. The body is read into memory.

    Raises:
        ConfigError: a number is not positive.
    """
    if min(ttl, lease, max_reply) <= 0:
        raise ConfigError("ttl=, lease= and max_reply= of idempotency are more than 0.")
    link = {} if documentation is None else {"link": f'<{documentation}>; rel="describedby"'}
    for value in link.values():
        header_value(value)
    wanted = frozenset(map(str.upper, methods))
    replies = _Replies(MemoryReplies() if store is None else store, ttl, lease, max_reply, link)

    @complete
    @declares(raises=_ERRORS, methods=wanted)
    async def middleware(request: Request, call_next: Handler) -> Response:
        route = request.route
        own = None if route is None else route.meta.get("idempotency")
        if request.method not in wanted or own is False:
            return await call_next(request)
        key = _key_of(request, link)
        if key is None:
            if required or own:
                raise IdempotencyKeyError(
                    "The Idempotency-Key is missing. Send one that you use for nothing else, such as "
                    "a UUID.",
                    headers=link,
                )
            return await call_next(request)
        who = None if scope is None else scope(request)
        return await replies.answer(_stored(request, key, who), request, call_next)

    return middleware


class _Replies:
    """Answers a request, or gives the answer that was given to it before."""

    def __init__(
        self,
        store: ReplyStore,
        ttl: float,
        lease: float,
        max_reply: int,
        link: Mapping[str, str],
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._lease = lease
        self._max_reply = max_reply
        self._link = link

    async def answer(self, key: str, request: Request, call_next: Handler) -> Response:
        """Return the answer.

        Raises:
            IdempotencyMismatchError: the key belongs to another request.
            IdempotencyConflictError: the same request is being answered.
        """
        fingerprint = await _fingerprint(request)
        owner = secrets.token_hex(8)
        try:
            before = await self._store.begin(key, fingerprint, owner, lease=self._lease)
        except Exception as exc:
            # Not knowing is no reason to do it twice.
            _logger.exception("the store of replies failed")
            raise ServiceUnavailableError(headers={"retry-after": "1"}) from exc
        if before is None:
            return await self._first(key, owner, request, call_next)
        if before.fingerprint != fingerprint:
            raise IdempotencyMismatchError(headers=self._link)
        if before.reply is None:
            raise IdempotencyConflictError(headers={"retry-after": "1", **self._link})
        return _again(before.reply)

    async def _first(self, key: str, owner: str, request: Request, call_next: Handler) -> Response:
        try:
            response = await call_next(request)
        except BaseException:
            await self._end(key, owner, None)
            raise
        # The work is done: whoever cancels this now must not have it done again.
        await asyncio.shield(self._end(key, owner, response))
        return response

    async def _end(self, key: str, owner: str, response: Response | None) -> None:
        try:
            if response is not None and self._is_final(response):
                headers = list(response.headers.multi_items())
                reply = Reply(response.status, headers, response.body)
                await self._store.finish(key, owner, reply, ttl=self._ttl)
            else:
                await self._store.release(key, owner)
        except Exception:
            # The key stays taken until its lease ends, which is better than doing the work again.
            _logger.exception("the store of replies failed")

    def _is_final(self, response: Response) -> bool:
        return (
            response.complete
            and response.status < 500
            and response.status not in _NOT_FINAL
            and len(response.body) <= self._max_reply
        )


def _key_of(request: Request, link: Mapping[str, str]) -> str | None:
    values = request.headers.get_all(_FIELD) if _FIELD in request.headers else []
    if not values:
        return None
    found = _QUOTED.fullmatch(values[0])
    if len(values) == 1 and found is not None:
        return re.sub(r"\\(.)", r"\1", found[1])
    if len(values) == 1 and _BARE.fullmatch(values[0]):
        return values[0]
    raise IdempotencyKeyError(
        'The Idempotency-Key is none: it is one text of 1 to 255 characters, such as "8e03978e-40d5".',
        headers=link,
    )


def _stored(request: Request, key: str, who: str | None) -> str:
    """Return under what a request is known in the store: nothing of it can be read there."""
    fields = request.headers
    if who is None:
        credentials = (fields.get("authorization", ""), *fields.get_all("cookie"))
        parts = ["credentials", *credentials]
    else:
        parts = ["scope", who]
    route = request.route
    parts += [request.method, request.path if route is None else route.path, key]
    return _digest(part.encode("utf-8", "surrogatepass") for part in parts)


async def _fingerprint(request: Request) -> str:
    parts = (request.path, request.query_string, request.headers.get("content-type", ""))
    return _digest(
        [*(part.encode("utf-8", "surrogatepass") for part in parts), await request.body()]
    )


def _digest(parts: Iterable[bytes]) -> str:
    # With their lengths: "ab" and "c" are not "a" and "bc".
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()


def _again(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    for name, value in reply.headers:
        response.headers.add(name, value)
    response.headers["idempotent-replayed"] = "true"
    return response
