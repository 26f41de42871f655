"""What people ask of Redis, who look at jobs and change them; and schedules, batches, roles."""

from __future__ import annotations

from oxidite.drivers.redis import Script
from oxidite.queue.stores.redis.parts import (
    BASE,
    ENDING,
    FITTING,
    JOBS,
    PUSHING,
    RUNNING,
    WAKING,
)

__all__ = [
    "BATCH",
    "CANCEL",
    "COUNT",
    "DELETE",
    "FIRE",
    "GET",
    "LEAD",
    "LIMIT",
    "PAUSE",
    "PRUNE",
    "QUEUES",
    "RESULTS",
    "RETRY",
    "SCHEDULE",
]

_ROWS = """
local function row(id)
  local v = call('HMGET', P .. 'j:' .. id,
    'h', 's', 'a', 'b', 'n', 'f', 'c', 't', 'm', 'r', 'e', 'o', 'x', 'p', 'z', 'v', 'wa', 'wp', 'wv')
  local is_parked = v[2] == 'w' and v[18] == v[5] and not v[19]
  local found = {}
  for i = 1, 16 do found[i] = v[i] end
  found[17] = is_parked and v[17]
  found[18] = call('LRANGE', P .. 'e:' .. id, 0, -1)
  return found
end

local function size(v) return #v[3] + #v[4] + #(v[15] or '') + #(v[16] or '') end
"""

_CHANGING = BASE + WAKING + JOBS + PUSHING + ENDING + RUNNING + FITTING

# Not more than a few megabytes at once; returns how many of the ids it came to.
GET = Script(
    BASE
    + JOBS
    + FITTING
    + _ROWS
    + """
local rows, bytes, looked = {}, 0, 0
for i = 3, #ARGV do
  if bytes > 4e6 then break end
  looked = looked + 1
  local job = load(ARGV[i])
  if job and fits(job) then
    local found = row(ARGV[i])
    bytes = bytes + size(found)
    rows[#rows + 1] = found
  end
end
return {looked, rows}
"""
)

COUNT = Script(
    BASE
    + JOBS
    + FITTING
    + """
for i = 3, #ARGV do
  local job = load(ARGV[i])
  if job and fits(job) then count(job.queue, job.task, job.state, 1) end
end
local found = {}
for field, many in pairs(counts) do
  found[#found + 1] = field
  found[#found + 1] = many
end
return found
"""
)

CANCEL = Script(
    _CHANGING
    + """
local cancelled = 0
even_if_full()
for i = 3, #ARGV do
  local job = load(ARGV[i])
  if job and fits(job) then
    if job.state == 'r' and not job.cancel then
      call('HSET', job.key, 'x', 1)
      call('SADD', P .. 'c:' .. job.worker, job.id)
      cancelled = cancelled + 1
    elseif job.state == 'w' then
      take_away(job)
      finish(job, 'x', job.keep)
      cancelled = cancelled + 1
    end
  end
end
write_all()
return cancelled
"""
)

# ARGV[3] tells whether ARGV[4] are new arguments, of the version ARGV[5]; ARGV[6] whether ARGV[7] is to be gone on
# from. ARGV[8] is the attempt that a job must not have left behind.
RETRY = Script(
    _CHANGING
    + """
-- Have a batch that has not ended wait again; for a job that another one stands for it does.
local function uncount(job)
  local key = P .. 'b:' .. job.batch
  local v = call('HMGET', key, 'total', 'ended')
  if not v[1] or v[2] or call('HEXISTS', job.key, 'y') == 1 then return end
  call('HINCRBY', key, job.state == 'c' and 'completed' or 'failed', -1)
end

local retried = 0
for i = 9, #ARGV do
  local job = load(ARGV[i])
  if job and job.state ~= 'r' and fits(job) and (ARGV[8] == '' or job.attempt == tonumber(ARGV[8])) then
    retried = retried + 1
    if job.batch and job.state ~= 'w' then uncount(job) end
    local place = put(job, NOW)
    if job.state == 'w' then take_away(job) else call('ZREM', P .. 'end:' .. job.state, job.id) end
    shift(job, 'w')
    call('HDEL', job.key, 'f', 'c', 'e', 'z', 'p', 'k', 'y')
    call('HSET', job.key, 's', 'w', 'm', place)
    if ARGV[3] == '1' then set_args(job, ARGV[4], ARGV[5]) end
    if ARGV[6] == '1' then save_anew(job, ARGV[7]) end
  end
end
write_all()
return retried
"""
)

DELETE = Script(
    _CHANGING
    + """
local gone = 0
even_if_full()
for i = 3, #ARGV do
  local job = load(ARGV[i])
  if job and job.state ~= 'r' and fits(job) then
    gone = gone + 1
    if job.state == 'w' then
      take_away(job)
      if job.batch then count_in_batch(job.batch, false) end
    end
    forget(job)
  end
end
write_all()
return gone
"""
)

# Returns how many jobs, and whether something is left.
PRUNE = Script(
    BASE
    + WAKING
    + JOBS
    + """
local gone, left = 0, 0
even_if_full()
for state in string.gmatch('cxd', '.') do
  local ids = call('ZRANGEBYSCORE', P .. 'end:' .. state, '-inf', NOWS, 'LIMIT', 0, 300)
  for _, id in ipairs(ids) do
    gone = gone + 1
    forget(load(id))
  end
  if #ids == 300 then left = 1 end
end
for _, minute in ipairs(call('ZRANGEBYSCORE', P .. 'ms', '-inf', digits(NOW - 86400), 'LIMIT', 0, 300)) do
  call('DEL', P .. 'm:' .. minute)
  call('ZREM', P .. 'ms', minute)
end
for _, id in ipairs(call('ZRANGEBYSCORE', P .. 'be', '-inf', digits(NOW - tonumber(ARGV[2])), 'LIMIT', 0, 300)) do
  call('DEL', P .. 'b:' .. id)
  call('ZREM', P .. 'be', id)
end
write_counts()
return {gone, left}
"""
)

# The oldest of a queue: the first of each priority, of what was due meanwhile, and of each group in a line of its own.
QUEUES = Script(
    BASE
    + """
local function oldest(queue)
  local found = NOW
  local function see(place)
    if place then found = math.min(found, (struct.unpack('>d', place))) end
  end
  local function see_each(key, most)
    local above = '-inf'
    for _ = 1, most do
      local first = call('ZRANGEBYSCORE', key, above, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      if #first == 0 then break end
      see(first[1])
      above = '(' .. first[2]
    end
  end
  see_each(P .. 'r:' .. queue, 100)
  for _, group in ipairs(call('ZRANGE', P .. 'fr:' .. queue, 0, 99)) do
    see_each(P .. 'f:' .. both(queue, group), 10)
  end
  see(call('ZRANGE', P .. 's:' .. queue, 0, 0)[1])
  for _, group in ipairs(call('ZRANGE', P .. 'gw:' .. queue, 0, 99)) do
    see(call('ZRANGE', P .. 'p:' .. both(queue, group), 0, 0)[1])
  end
  return digits(NOW - found)
end

local counts = call('HGETALL', P .. 'n')
local names = {}
for i = 1, #counts, 2 do
  local length = string.match(counts[i], '^%d+')
  names[string.sub(counts[i], #length + 2, #length + 1 + tonumber(length))] = true
end
for _, queue in ipairs(call('SMEMBERS', P .. 'qs')) do names[queue] = true end
local queues = {}
for queue in pairs(names) do
  local v = call('HMGET', P .. 'q:' .. queue, 'paused', 'limits')
  queues[#queues + 1] = {queue, v[1] and 1 or 0, v[2], oldest(queue)}
end
return {counts, queues}
"""
)

PAUSE = Script(
    BASE
    + WAKING
    + """
local queue = ARGV[2]
if ARGV[3] == '1' then
  call('SADD', P .. 'qs', queue)
  call('SADD', P .. 'qp', queue)
  call('HSET', P .. 'q:' .. queue, 'paused', 1)
else
  call('SREM', P .. 'qp', queue)
  call('HDEL', P .. 'q:' .. queue, 'paused')
  wake(queue)
end
"""
)

# Groups that were held back are looked at anew.
LIMIT = Script(
    BASE
    + WAKING
    + """
local queue = ARGV[2]
local key = P .. 'q:' .. queue
call('SADD', P .. 'qs', queue)
call('HSET', key, 'limits', ARGV[3])
local names = {'running', 'count', 'per', 'each', 'each_count', 'each_per'}
for i, name in ipairs(names) do
  if ARGV[3 + i] == '' then call('HDEL', key, name) else call('HSET', key, name, ARGV[3 + i]) end
end
call('HDEL', key, 'tat')
-- What is due is put where it belongs by those who claim it.
local was_fair = call('HEXISTS', key, 'fair') == 1
if ARGV[10] == '1' or was_fair then call('HSET', key, 'fair', ARGV[10]) end
call('ZUNIONSTORE', P .. 'gw:' .. queue, 1, P .. 'gw:' .. queue, 'WEIGHTS', 0)
wake(queue)
"""
)

# Rows of those that have ended; the others tell the process of ARGV[2] when they do.
RESULTS = Script(
    BASE
    + _ROWS
    + """
local rows = {}
even_if_full()
for i = 3, #ARGV do
  local key = P .. 'j:' .. ARGV[i]
  local v = call('HMGET', key, 's', 'l')
  if v[1] == 'w' or v[1] == 'r' then
    local listeners = v[2] or ''
    if not string.find(listeners, ARGV[2], 1, true) and #listeners < 1000 then
      call('HSET', key, 'l', listeners .. ' ' .. ARGV[2])
    end
  elseif v[1] then
    rows[#rows + 1] = row(ARGV[i])
  end
end
return rows
"""
)

BATCH = Script(
    BASE
    + """
return call('HMGET', P .. 'b:' .. ARGV[2], 'total', 'completed', 'failed', 'about', 'ended')
"""
)

SCHEDULE = Script(
    BASE
    + """
local key = P .. 'sc:' .. ARGV[2]
if call('HSETNX', key, 'since', NOWS) == 1 and ARGV[6] ~= '' then call('HSET', key, 'last', ARGV[6]) end
call('HSET', key, 'plan', ARGV[3], 'origin', ARGV[4], 'enabled', ARGV[5])
call('SADD', P .. 'sn', ARGV[2])
"""
)

# ARGV: the name, the slot, how many jobs, three parts of each.
FIRE = Script(
    BASE
    + WAKING
    + JOBS
    + PUSHING
    + """
local key = P .. 'sc:' .. ARGV[2]
local v = call('HMGET', key, 'plan', 'last')
if not v[1] or (v[2] and tonumber(v[2]) >= tonumber(ARGV[3])) then return 0 end
call('HSET', key, 'last', ARGV[3])
push_all(5, tonumber(ARGV[4]))
write_counts()
wake_touched()
return 1
"""
)

LEAD = Script(
    BASE
    + """
local key = P .. 'lead'
local now_has = call('HGET', key, ARGV[2])
if now_has then
  local ends, who = string.match(now_has, '^(%S+) (.*)$')
  if who ~= ARGV[3] and tonumber(ends) > NOW then return 0 end
end
even_if_full()
call('HSET', key, ARGV[2], digits(NOW + tonumber(ARGV[4])) .. ' ' .. ARGV[3])
return 1
"""
)
