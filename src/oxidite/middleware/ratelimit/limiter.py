"""The middleware that holds requests to limits."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from typing import Literal

from oxidite import clock
from oxidite.errors import ServiceUnavailableError
from oxidite.http.declared import declares
from oxidite.http.middleware import complete, ordered
from oxidite.http.request import Request
from oxidite.http.response import Response
from oxidite.http.types import Handler, Middleware
from oxidite.middleware.ratelimit.fields import FieldStyle
from oxidite.middleware.ratelimit.keys import Key, by_address, exempted
from oxidite.middleware.ratelimit.plans import Cost, Plans, RateLimitedError, check_cost, parsed
from oxidite.rates.base import Claim, RateStore, Verdict
from oxidite.rates.memory import MemoryRates
from oxidite.rates.rules import Rule

__all__ = ["rate_limit"]

_logger = logging.getLogger("oxidite.ratelimit")

_QUIET = 1.0  # seconds between two lines about a store that fails


def rate_limit(
    *rules: str | Rule,
    key: Key = by_address,
    cost: Cost = 1,
    store: RateStore | None = None,
    exempt: Iterable[str] = (),
    fields: FieldStyle = "draft",
    on_failure: Literal["allow", "refuse"] = "allow",
    prefix: str = "",
) -> Middleware:
    """Answer 429 to who sends more than ``rules`` allow, and tell everybody what is left.

    Rules are texts such as ``"10/minute"`` or a ``Rule``; a request that one of them refuses takes
    nothing from the others. ``key`` names the one who is limited, ``exempt`` are networks that are not.
    Routes may add rules, or do without these, in their ``meta``: see ``limit``. Without a ``store``
    the counts are in memory, of each process its own; in a shared one ``prefix`` keeps them apart from
    other limits. When the store fails, requests are let through, or refused with 503.

    Raises:
        ConfigError: a rule or a network cannot be read, or a request costs more than there ever is.
    """
    general = parsed(rules)
    check_cost(cost, general)
    plans = Plans(general, cost=cost, style=fields)
    counts = _Counts(MemoryRates() if store is None else store, refuse=on_failure == "refuse")
    is_exempt = exempted(exempt)

    # A request that is refused should not cost what these do.
    @complete
    @declares(raises=[RateLimitedError])
    @ordered(outside=["decompression", "csrf", "idempotency"])
    async def middleware(request: Request, call_next: Handler) -> Response:
        plan = plans.of(request)
        if not plan.rules or (is_exempt is not None and is_exempt(request)):
            return await call_next(request)
        claims = plan.claims(request, key, prefix)
        verdicts = await counts.acquire(claims) if claims else ()
        if not verdicts:
            return await call_next(request)
        for verdict in verdicts:
            if not verdict.allowed:
                raise plan.refusal(request, verdicts)
        if plan.holds:
            response = await counts.holding(claims, request, call_next)
        else:
            response = await call_next(request)
        plan.writer.write(request, response.headers, verdicts)
        return response

    return middleware


class _Counts:
    """A store that may fail."""

    def __init__(self, store: RateStore, *, refuse: bool) -> None:
        self._store = store
        self._refuse = refuse
        self._failed_at = -math.inf

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Return the verdicts; none when the store failed and requests are let through."""
        try:
            return await self._store.acquire(claims)
        except Exception as exc:
            # Once in a while: it fails for every request, and logs are files on a disk.
            now = clock.monotonic()
            if now - self._failed_at >= _QUIET:
                self._failed_at = now
                _logger.exception("the store of rate limits failed")
            if self._refuse:
                raise ServiceUnavailableError(headers={"retry-after": "1"}) from exc
            return ()

    async def holding(
        self, claims: Sequence[Claim], request: Request, call_next: Handler
    ) -> Response:
        """Give the place back when the request has been answered, to the last byte of a stream."""
        held = [claim for claim in claims if claim.rule.algorithm == "concurrency"]
        try:
            response = await call_next(request)
        except BaseException:
            await self._release(held)
            raise
        if response.complete:
            await self._release(held)
        else:
            request.after_response(self._release, held)
        return response

    async def _release(self, held: Sequence[Claim]) -> None:
        try:
            await self._store.release(held)
        except Exception:
            _logger.exception("the store of rate limits failed; it gives the place up in time")
