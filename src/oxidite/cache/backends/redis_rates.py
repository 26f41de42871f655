"""Counts for limits in Redis: the algorithms of ``oxidite.rates.meters``, in Lua."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from oxidite.cache.keys import stored_key
from oxidite.drivers.redis import Redis, Script
from oxidite.rates import Claim, RateStore, Rule, Verdict

__all__ = ["RedisRates"]

_BASE = """
local now = tonumber(ARGV[1])  -- in a test that travels, otherwise empty
if not now then
  local t = redis.call('TIME')
  now = tonumber(t[1]) + tonumber(t[2]) / 1e6
end

local function load(key)
  local raw = redis.pcall('GET', key)
  if type(raw) ~= 'string' then return {} end
  local ok, state = pcall(cmsgpack.unpack, raw)
  return ok and type(state) == 'table' and state or {}
end

-- Redis clears away what is as if it were new, a little later than it is.
local function save(call, key, state, seconds)
  local ms = string.format('%.0f', math.max(math.ceil(seconds * 1000), 0) + 1000)
  return call('SET', key, cmsgpack.pack(state), 'PX', ms)
end
"""

_ACQUIRE = Script(
    _BASE
    + """
local EXACT, ROUNDING = 100, 1e-6
local kinds = {}

-- Each has: wait, the seconds until the cost can be taken; take; left, what is left and the seconds until it
-- becomes more; idle, the seconds until it is as if it were new.

kinds.fixed = {
  wait = function(s, rule)
    if now >= (s.ends or 0) then s.used = 0 end
    if s.used + rule.cost <= rule.quota then return 0 end
    local wait = math.max((s.ends or 0) - now, 0)
    return wait > 0 and wait or rule.window
  end,
  take = function(s, rule)
    if now >= (s.ends or 0) then s.ends = now + rule.window end
    s.used = s.used + rule.cost
  end,
  left = function(s, rule) return rule.quota - s.used, math.max((s.ends or 0) - now, 0) end,
  idle = function(s, rule) return s.ends - now end,
}

kinds.sliding = {
  wait = function(s, rule)
    local ends, amounts, used = {}, {}, 0
    for i, at in ipairs(s.ends or {}) do
      if at > now then
        ends[#ends + 1], amounts[#amounts + 1] = at, s.amounts[i]
        used = used + s.amounts[i]
      end
    end
    s.ends, s.amounts, s.used = ends, amounts, used
    local missing = used + rule.cost - rule.quota
    if missing <= 0 then return 0 end
    for i, at in ipairs(ends) do
      missing = missing - amounts[i]
      if missing <= 0 then return at - now end
    end
    return rule.window
  end,
  take = function(s, rule)
    local at, last = now + rule.window, #s.ends
    if rule.quota > EXACT then
      local step = rule.window / EXACT
      at = math.max(math.ceil(at / step) * step, at)
    end
    s.used = s.used + rule.cost
    if last > 0 and s.ends[last] >= at then
      s.amounts[last] = s.amounts[last] + rule.cost
    else
      s.ends[last + 1], s.amounts[last + 1] = at, rule.cost
    end
  end,
  left = function(s, rule)
    return rule.quota - s.used, s.ends[1] and s.ends[1] - now or 0
  end,
  idle = function(s, rule) return s.ends[#s.ends] - now end,
}

kinds.bucket = {
  wait = function(s, rule)
    local each = rule.window / rule.quota
    local late = math.max(s.full or 0, now) + rule.cost * each - now - rule.capacity * each
    return late > ROUNDING * each and late or 0
  end,
  take = function(s, rule)
    s.full = math.max(s.full or 0, now) + rule.cost * rule.window / rule.quota
  end,
  left = function(s, rule)
    local each = rule.window / rule.quota
    local missing = math.max((s.full or 0) - now, 0) / each
    local tokens = math.floor(rule.capacity - missing + ROUNDING)
    if missing == 0 then return tokens, 0 end
    local part = missing % 1
    return tokens, (part > ROUNDING and part or 1) * each
  end,
  idle = function(s, rule) return s.full - now end,
}

kinds.concurrency = {
  wait = function(s, rule)
    local held, used = {}, 0
    for token, place in pairs(s.held or {}) do
      if place[2] > now then
        held[token] = place
        used = used + place[1]
      end
    end
    s.held, s.used = held, used
    return used + rule.cost <= rule.quota and 0 or 1
  end,
  take = function(s, rule)
    local before = s.held[rule.token]
    s.held[rule.token] = {rule.cost + (before and before[1] or 0), now + rule.window}
    s.used = s.used + rule.cost
  end,
  left = function(s, rule) return rule.quota - s.used, 0 end,
  idle = function(s, rule)
    local last = now
    for _, place in pairs(s.held) do last = math.max(last, place[2]) end
    return last - now
  end,
}

local states, rules, waits, refused = {}, {}, {}, false
for i, key in ipairs(KEYS) do
  local a = 2 + (i - 1) * 6
  local rule = {
    kind = kinds[ARGV[a]], quota = tonumber(ARGV[a + 1]), window = tonumber(ARGV[a + 2]),
    capacity = tonumber(ARGV[a + 3]), cost = tonumber(ARGV[a + 4]), token = '=' .. ARGV[a + 5],
  }
  states[key] = states[key] or load(key)
  rules[i] = rule
  waits[i] = rule.kind.wait(states[key], rule)
  refused = refused or waits[i] > 0
end
if not refused then
  for i, rule in ipairs(rules) do rule.kind.take(states[KEYS[i]], rule) end
  for i, rule in ipairs(rules) do save(redis.call, KEYS[i], states[KEYS[i]], rule.kind.idle(states[KEYS[i]], rule)) end
end
local verdicts = {}
for i, rule in ipairs(rules) do
  local left, reset = rule.kind.left(states[KEYS[i]], rule)
  verdicts[i] = {math.max(left, 0), string.format('%.17g', reset), string.format('%.17g', waits[i])}
end
return verdicts
"""
)

_RELEASE = Script(
    _BASE
    + """
for i, key in ipairs(KEYS) do
  local state = load(key)
  local token, cost = '=' .. ARGV[i * 2], tonumber(ARGV[i * 2 + 1])
  local place = state.held and state.held[token]
  if place then
    place[1] = place[1] - cost
    if place[1] <= 0 then state.held[token] = nil end
    local last = now
    for _, other in pairs(state.held) do last = math.max(last, other[2]) end
    local saved = next(state.held) and save(redis.pcall, key, state, last - now)
    -- Also without memory: a place that is never given back locks out more than one too many does.
    if not saved or saved.err then redis.call('DEL', key) end
  end
end
"""
)


class RedisRates(RateStore):
    """Counts of all processes that use this server.

    Rules are known to others by what they say: two of the same name, quota, window and algorithm count
    together. What holds a place and is not given back is given up after the window of its rule.
    """

    def __init__(self, redis: Redis, prefix: str, *, travelled_to: Callable[[], str]) -> None:
        self._redis = redis
        self._prefix = prefix
        self._travelled_to = travelled_to

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Verdict]:
        """Take what is claimed if every rule allows it."""
        if not claims:
            return ()
        keys = [self._key(claim) for claim in claims]
        args: list[str | int] = [self._travelled_to()]
        for claim in claims:
            rule = claim.rule
            args += [rule.algorithm, rule.quota, repr(float(rule.window)), rule.capacity]
            args += [claim.cost, claim.token]
        reply = await self._redis.call(_ACQUIRE, keys, args)
        return [
            Verdict(float(wait) == 0, left, float(reset), float(wait))
            for left, reset, wait in cast("list[tuple[int, bytes, bytes]]", reply)
        ]

    async def release(self, claims: Sequence[Claim]) -> None:
        """Give back what was held."""
        held = [claim for claim in claims if claim.rule.algorithm == "concurrency"]
        if held:
            args: list[str | int] = [self._travelled_to()]
            for claim in held:
                args += [claim.token, claim.cost]
            await self._redis.call(_RELEASE, [self._key(claim) for claim in held], args)

    def _key(self, claim: Claim) -> str:
        return f"{self._prefix}{_name(claim.rule)}:{stored_key(claim.key)}"


def _name(rule: Rule) -> str:
    # Rules compare by identity, and another process has others: what they say is what they share.
    return f"{rule.algorithm}:{rule.quota}:{rule.window:g}:{rule.capacity}:{rule.name}"
