"""What the store of jobs asks of Redis: each script is one step for everybody.

They have in common what ``redis_lua`` says. Whatever is long is done in steps of a bounded size, so that no
call keeps the server from others: who calls asks again.
"""

from __future__ import annotations

from oxidite.drivers.redis import Script
from oxidite.queue.stores.redis_lua import (
    BASE,
    CLAIMING,
    ENDING,
    FITTING,
    JOBS,
    PUSHING,
    RUNNING,
    STATISTICS,
    WAKING,
)

__all__ = [
    "BATCH",
    "BEAT",
    "CANCEL",
    "COUNT",
    "DELETE",
    "ENTER",
    "EXCHANGE",
    "EXIT",
    "FIRE",
    "GET",
    "LEAD",
    "LIMIT",
    "PASS",
    "PAUSE",
    "PRUNE",
    "PUSH",
    "QUEUES",
    "RESCUE",
    "RESULTS",
    "RETRY",
    "SAVE",
    "SCHEDULE",
    "WAIT",
]

_PUSHING = BASE + WAKING + JOBS + PUSHING
_RUNNING = _PUSHING + ENDING + RUNNING
_CHANGING = _RUNNING + FITTING

# ARGV: how many jobs, three parts of each, and then the batch that begins with them.
PUSH = Script(
    _PUSHING
    + """
local many = tonumber(ARGV[2])
local i = 3 + many * 3
local batch = ARGV[i]
if batch and call('EXISTS', P .. 'b:' .. batch) == 0 then
  local parts, after = {}, i + 3
  for _, name in ipairs({'success', 'failure', 'always'}) do
    local some = {}
    for n = 1, tonumber(ARGV[after]) * 3 do some[n] = ARGV[after + n] end
    after = after + 1 + #some
    parts[#parts + 1] = name
    parts[#parts + 1] = cmsgpack.pack(some)
  end
  call('HSET', P .. 'b:' .. batch, 'total', ARGV[i + 1], 'completed', 0, 'failed', 0, 'about', ARGV[i + 2],
    unpack(parts))
  end_batch(batch)
end
local pushed = push_all(3, many)
write_counts()
wake_touched()
return pushed
"""
)

ENTER = Script(
    BASE
    + """
call('ZADD', P .. 'ws', digits(NOW + tonumber(ARGV[4])), ARGV[2])
call('HSET', P .. 'wa', ARGV[2], ARGV[3])
call('HDEL', P .. 'wl', ARGV[2])
"""
)

BEAT = Script(
    BASE
    + """
local worker = ARGV[2]
local lease = tonumber(call('ZSCORE', P .. 'ws', worker) or 0)
if lease <= NOW then return {1, {}, {}} end
even_if_full()
call('ZADD', P .. 'ws', digits(NOW + tonumber(ARGV[3])), worker)
return {0, call('SMEMBERS', P .. 'c:' .. worker), call('SMEMBERS', P .. 'qp')}
"""
)

_LEAVING = """
-- What a worker is forgotten with, once it has no more jobs.
local function forget_worker(worker)
  call('ZREM', P .. 'ws', worker)
  call('HDEL', P .. 'wa', worker)
  call('HDEL', P .. 'wl', worker)
  call('DEL', P .. 'c:' .. worker)
end
"""

# Returns whether something is left.
EXIT = Script(
    _RUNNING
    + _LEAVING
    + """
even_if_full()
local worker = ARGV[2]
local running = P .. 'w:' .. worker
for _, id in ipairs(call('SRANDMEMBER', running, 500)) do give_back(load(id)) end
local left = call('EXISTS', running)
if left == 0 then forget_worker(worker) end
write_all()
return left
"""
)

RESCUE = Script(
    _RUNNING
    + _LEAVING
    + """
local poison, rescued = tonumber(ARGV[2]), 0
local gone = call('ZRANGEBYSCORE', P .. 'ws', '-inf', NOWS, 'LIMIT', 0, 100)
if #gone == 0 then return {0, 0} end
even_if_full()
for _, worker in ipairs(gone) do
  local running = P .. 'w:' .. worker
  for _, id in ipairs(call('SRANDMEMBER', running, 500 - rescued)) do
    local job = load(id)
    rescued = rescued + 1
    if call('HINCRBY', job.key, 'c', 1) >= poison then
      stop(job)
      finish(job, 'd', job.keep)
    else
      give_back(job)
    end
  end
  if call('EXISTS', running) == 0 then forget_worker(worker) end
  if rescued >= 500 then break end
end
write_all()
return {rescued, (rescued >= 500 or #gone == 100) and 1 or 0}
"""
)

# What a worker was given last is kept, by the number of the call: if the answer never came, its next call does
# not know that number, and what it was given goes back. A call that comes late gives nothing.
EXCHANGE = Script(
    _RUNNING
    + STATISTICS
    + CLAIMING
    + """
local worker, limit, from, call_number, known_number =
  ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

local function take_over(outcome, result, error)
  local job = load(outcome[1])
  if not job or job.state ~= 'r' or job.attempt ~= outcome[2] then return false end
  local kind = outcome[3]
  stop(job)
  if outcome[7] then
    local errors = P .. 'e:' .. job.id
    call('RPUSH', errors, error)
    call('LTRIM', errors, -10, -1)
  end
  note(job, kind, outcome[5])
  if kind == 'R' or kind == 'd' then call('HINCRBY', job.key, 'f', 1) end
  if kind == 'R' or kind == 'S' or kind == 'B' then
    wait_or_cancel(job, NOW + outcome[4])
  elseif outcome[6] then
    finish(job, kind, outcome[8] or job.keep, 'z', result)
  else
    finish(job, kind, outcome[8] or job.keep)
  end
  return true
end

local function given()
  local kept = call('HGET', P .. 'wl', worker)
  if not kept then return end
  local whose, before = string.match(kept, '^(%S+) (%d+)')
  before = tonumber(before)
  if whose == from and before >= call_number then return true end
  if whose ~= from or before ~= known_number then
    for id in string.gmatch(string.sub(kept, #whose + 2), ' (%x+)') do
      local job = load(id)
      if job and job.state == 'r' and job.worker == worker then give_back(job) end
    end
  end
end

local i = 8
even_if_full()
local refused, ready = {}, {}
for _ = 1, tonumber(ARGV[7]) do
  local outcome = cmsgpack.unpack(ARGV[i])
  if take_over(outcome, ARGV[i + 1], ARGV[i + 2]) then
    push_all(i + 3, outcome[9])
  else
    refused[#refused + 1] = outcome[1]
  end
  i = i + 3 + outcome[9] * 3
end
local lease = tonumber(call('ZSCORE', P .. 'ws', worker) or 0)
if lease > NOW and limit > 0 and not given() then
  for n = i, #ARGV do
    if #ready < limit then claim(worker, ARGV[n], limit, ready) end
  end
  local ids = {from, call_number}
  for _, each in ipairs(ready) do ids[#ids + 1] = string.sub(each[5], 19) end
  call('HSET', P .. 'wl', worker, table.concat(ids, ' '))
end
write_minutes()
write_all()
return {ready, refused}
"""
)

SAVE = Script(
    BASE
    + """
local key = P .. 'j:' .. ARGV[2]
local v = call('HMGET', key, 's', 'n')
if v[1] ~= 'r' or v[2] ~= ARGV[3] then return 0 end
for i = 4, #ARGV, 2 do call('HSET', key, ARGV[i], ARGV[i + 1]) end
return 1
"""
)

_ROWS = """
local function row(id)
  local v = call('HMGET', P .. 'j:' .. id,
    'h', 's', 'a', 'b', 'n', 'f', 'c', 't', 'm', 'r', 'e', 'o', 'x', 'p', 'z')
  v[16] = call('LRANGE', P .. 'e:' .. id, 0, -1)
  return v
end

local function size(v) return #v[3] + #v[4] + #(v[15] or '') end
"""

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

# ARGV[3] tells whether ARGV[4] are new arguments.
RETRY = Script(
    _CHANGING
    + """
local retried = 0
for i = 5, #ARGV do
  local job = load(ARGV[i])
  if job and job.state ~= 'r' and fits(job) then
    retried = retried + 1
    local place = put(job, NOW)
    if job.state == 'w' then take_away(job) else call('ZREM', P .. 'end:' .. job.state, job.id) end
    shift(job, 'w')
    call('HDEL', job.key, 'f', 'c', 'e', 'z', 'p')
    call('HSET', job.key, 's', 'w', 'm', place)
    if ARGV[3] == '1' then call('HSET', job.key, 'a', ARGV[4]) end
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

# The oldest of a queue: the first of each priority, of what was due meanwhile, and of each group held back.
QUEUES = Script(
    BASE
    + """
local function oldest(queue)
  local found = NOW
  local function see(place)
    if place then found = math.min(found, (struct.unpack('>d', place))) end
  end
  local above = '-inf'
  for _ = 1, 100 do
    local first = call('ZRANGEBYSCORE', P .. 'r:' .. queue, above, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if #first == 0 then break end
    see(first[1])
    above = '(' .. first[2]
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
call('ZUNIONSTORE', P .. 'gw:' .. queue, 1, P .. 'gw:' .. queue, 'WEIGHTS', 0)
wake(queue)
"""
)

# How long nothing is to be claimed, as far as is known now; who asks is told if that changes.
WAIT = Script(
    BASE
    + WAKING
    + JOBS
    + PUSHING
    + ENDING
    + RUNNING
    + CLAIMING
    + """
local soonest = NOW + 1e9

local function first(key)
  local found = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or NOW + 1e9)
  soonest = math.min(soonest, found)
end

local function look(queue)
  local found = settings(queue)
  if found.paused or (found.running and found.n >= found.running) then return end
  if call('EXISTS', P .. 'r:' .. queue) == 1 then
    local left = found.count and until_next(found.tat, found.count, found.per) or 0
    soonest = math.min(soonest, NOW + math.max(left, 0))
  end
  first(P .. 's:' .. queue)
  first(P .. 'gw:' .. queue)
end

for i = 3, #ARGV do look(ARGV[i]) end
if soonest <= NOW then return '0' end
even_if_full()
for i = 3, #ARGV do call('SADD', P .. 'i:' .. ARGV[i], ARGV[2]) end
return digits(soonest - NOW)
"""
)

PASS = Script(
    BASE
    + WAKING
    + """
if call('EXISTS', P .. 'r:' .. ARGV[2], P .. 's:' .. ARGV[2], P .. 'gw:' .. ARGV[2]) > 0 then wake(ARGV[2]) end
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
    _PUSHING
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
