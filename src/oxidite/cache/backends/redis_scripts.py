"""What the cache asks of Redis, in Lua: each script is one step for everybody.

A value is stored behind eight bytes, the time at which it ends by the clock of the server; the expiry of
Redis itself only clears away what has ended. ``ARGV[1]`` of each script is the time in a test that travels,
otherwise empty, ``ARGV[2]`` the channel of changes and ``ARGV[3]`` what is said there.
"""

from __future__ import annotations

from oxidite.drivers.redis import Script

__all__ = [
    "ACQUIRE",
    "ADD",
    "CLAIM",
    "DELETE",
    "EXTEND",
    "FILL",
    "INCR",
    "INVALIDATE",
    "LEAVE",
    "RELEASE",
    "RENEW",
    "SET",
    "TOUCH",
]

_BASE = """
local MONTH = '2592000000'

local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]), tonumber(t[2])
end

local function now()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local seconds, micros = clock()
  return seconds + micros / 1e6
end

-- All digits: Lua would write a large number in fourteen.
local function digits(number)
  return string.format('%.0f', number)
end

-- Milliseconds after which it may be cleared away: a little later than it ends.
local function litter(seconds)
  return digits(math.min(math.max(math.ceil(seconds * 1000), 0), 1e14) + 1000)
end

local function live(key, at)
  local raw = redis.pcall('GET', key)
  if type(raw) == 'string' and #raw >= 8 and struct.unpack('>d', raw) > at then
    return string.sub(raw, 9), raw
  end
  return false
end

local function keep(key, ttl, at, value)
  if ttl == '' then
    redis.call('SET', key, struct.pack('>d', math.huge) .. value)
  else
    ttl = tonumber(ttl)
    redis.call('SET', key, struct.pack('>d', at + ttl) .. value, 'PX', litter(ttl))
  end
end

local function publish()
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end

local function is_held(key, token, at)
  return live(key, at) == token
end
"""

# The number of the last invalidation. One that was lost begins at the time, which is above where it was;
# who calls knows how far it had come, should a new server's clock be behind.
_SEQUENCE = """
local function sequence(key, floor)
  local number = tonumber(redis.call('GET', key))
  floor = tonumber(floor)
  if number and number >= floor then return number end
  if not number then
    local seconds, micros = clock()
    floor = math.max(floor, seconds * 1e6 + micros)
  end
  redis.call('SET', key, digits(floor))
  return floor
end

-- Tags that nobody uses for a month are forgotten, which makes stale what has them.
local function know(tag, number)
  if redis.call('PEXPIRE', tag, MONTH) == 0 then
    redis.call('SET', tag, digits(number) .. ' ' .. digits(number), 'PX', MONTH)
  end
end

-- An item: KEYS has its key, that of its claim, and its tags; ARGV its value, its ttl, how many tags.
local function store(k, a, at)
  local tags = tonumber(ARGV[a + 2])
  keep(KEYS[k], ARGV[a + 1], at, ARGV[a])
  redis.call('DEL', KEYS[k + 1])
  if tags > 0 then
    local number = sequence(KEYS[1], ARGV[4])
    for i = k + 2, k + 1 + tags do know(KEYS[i], number) end
  end
  return k + 2 + tags
end
"""

SET = Script(
    _BASE
    + _SEQUENCE
    + """
local at, k, a = now(), 2, 5
while k <= #KEYS do
  k = store(k, a, at)
  a = a + 3
end
publish()
"""
)

ADD = Script(
    _BASE
    + _SEQUENCE
    + """
local at = now()
if live(KEYS[2], at) then return 0 end
store(2, 5, at)
publish()
return 1
"""
)

FILL = Script(
    _BASE
    + _SEQUENCE
    + """
local at = now()
if not is_held(KEYS[3], ARGV[8], at) then return 0 end
store(2, 5, at)
publish()
return 1
"""
)

INCR = Script(
    _BASE
    + """
local at = now()
local value, raw = live(KEYS[1], at)
-- Redis adds in 64 bits, which Lua has not: it does so elsewhere, and only what came out is taken over.
redis.call('SET', KEYS[2], value or '0')
local done = redis.pcall('INCRBY', KEYS[2], ARGV[5])
local sum = redis.call('GET', KEYS[2])
redis.call('DEL', KEYS[2])
if type(done) == 'table' then return {0, done.err} end
if value then
  redis.call('SET', KEYS[1], string.sub(raw, 1, 8) .. sum, 'KEEPTTL')
else
  keep(KEYS[1], ARGV[4], at, sum)
end
publish()
return {1, sum}
"""
)

TOUCH = Script(
    _BASE
    + """
local at = now()
local value = live(KEYS[1], at)
if not value then return 0 end
if ARGV[4] == '' then
  redis.call('SETRANGE', KEYS[1], 0, struct.pack('>d', math.huge))
  redis.call('PERSIST', KEYS[1])
else
  redis.call('SETRANGE', KEYS[1], 0, struct.pack('>d', at + tonumber(ARGV[4])))
  redis.call('PEXPIRE', KEYS[1], litter(tonumber(ARGV[4])))
end
return 1
"""
)

# Pairs of a key and that of its claim.
DELETE = Script(
    _BASE
    + """
local at, count = now(), 0
for k = 1, #KEYS, 2 do
  if live(KEYS[k], at) then count = count + 1 end
  redis.call('UNLINK', KEYS[k], KEYS[k + 1])
end
publish()
return count
"""
)

# A server without memory must not keep what is invalid: it takes no writes, but it forgets. Of a tag that is
# not known all values are stale, and a new sequence is above all of them.
INVALIDATE = Script(
    _BASE
    + _SEQUENCE
    + """
local function forget()
  for _, key in ipairs(KEYS) do redis.call('DEL', key) end
  local seconds, micros = clock()
  return math.max(seconds * 1e6 + micros, tonumber(ARGV[4]) + 1)
end

local soft, told = ARGV[5] == '1', {}
local known = tonumber(redis.call('GET', KEYS[1])) or 0
local seconds, micros = clock()
local number = math.max(known, tonumber(ARGV[4])) + 1
if known == 0 then number = math.max(number, seconds * 1e6 + micros) end
local done = redis.pcall('SET', KEYS[1], digits(number))
local full = type(done) == 'table' and done.err
if full then number = math.max(forget(), number) end
for k = 2, #KEYS do
  local hard = digits(number)
  if not full then
    if soft then
      local before = redis.call('GET', KEYS[k])
      hard = before and string.match(before, '^%d+') or hard
    end
    redis.call('SET', KEYS[k], hard .. ' ' .. digits(number), 'PX', MONTH)
  end
  told[#told + 1] = '[' .. hard .. ',' .. digits(number) .. ']'
end
redis.call('PUBLISH', ARGV[2], ARGV[3] .. table.concat(told, ',') .. ']]')
return digits(number)
"""
)

CLAIM = Script(
    _BASE
    + _SEQUENCE
    + """
local at = now()
local number = sequence(KEYS[1], ARGV[4])
local value = live(KEYS[2], at)
local granted = 0
-- Before the tags: a server without memory refuses the first thing that a script writes, and no other.
if not live(KEYS[3], at) then
  granted = 1
  keep(KEYS[3], ARGV[6], at, ARGV[5])
end
for k = 4, #KEYS do know(KEYS[k], number) end
return {granted, digits(number), value}
"""
)

RENEW = Script(
    _BASE
    + """
local at = now()
if not is_held(KEYS[1], ARGV[4], at) then return 0 end
keep(KEYS[1], ARGV[5], at, ARGV[4])
return 1
"""
)

RELEASE = Script(
    _BASE
    + """
if is_held(KEYS[1], ARGV[4], now()) then redis.call('DEL', KEYS[1]) end
"""
)

# A lock is a hash: who holds a place, until when and with which number, and under `#` the last number. It is
# kept for a day after the last place ended; one that is made anew begins at the time, so numbers only grow.
_LOCK = """
local function place(field, at)
  local raw = redis.call('HGET', KEYS[1], field)
  if raw and struct.unpack('>d', raw) > at then return string.sub(raw, 9) end
  return false
end

local function hold(field, number, at, ttl)
  redis.call('HSET', KEYS[1], field, struct.pack('>d', at + ttl) .. number)
  local ms = math.ceil(ttl * 1000) + 86400000
  if redis.call('PTTL', KEYS[1]) < ms then redis.call('PEXPIRE', KEYS[1], digits(ms)) end
end
"""

ACQUIRE = Script(
    _BASE
    + _LOCK
    + """
local at, owner = now(), '=' .. ARGV[4]
local slots, ttl = tonumber(ARGV[5]), tonumber(ARGV[6])
local number = place(owner, at)
if not number then
  local all, taken, ended = redis.call('HGETALL', KEYS[1]), 0, {}
  for i = 1, #all, 2 do
    if all[i] ~= '#' then
      if struct.unpack('>d', all[i + 1]) > at then taken = taken + 1 else ended[#ended + 1] = all[i] end
    end
  end
  if taken >= slots then return false end
  local seconds, micros = clock()
  redis.call('HSETNX', KEYS[1], '#', digits(seconds * 1e6 + micros))
  number = digits(redis.call('HINCRBY', KEYS[1], '#', 1))
  for _, field in ipairs(ended) do redis.call('HDEL', KEYS[1], field) end
end
hold(owner, number, at, ttl)
return number
"""
)

EXTEND = Script(
    _BASE
    + _LOCK
    + """
local at, owner = now(), '=' .. ARGV[4]
local number = place(owner, at)
if not number then return 0 end
hold(owner, number, at, tonumber(ARGV[5]))
return 1
"""
)

LEAVE = Script(
    _BASE
    + _LOCK
    + """
local at, owner = now(), '=' .. ARGV[4]
local number = place(owner, at)
redis.call('HDEL', KEYS[1], owner)
return number and 1 or 0
"""
)
