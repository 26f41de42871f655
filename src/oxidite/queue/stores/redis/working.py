"""What workers, and who pushes, ask of Redis: each script is one step for everybody.

They have in common what ``parts`` says. Whatever is long is done in steps of a bounded size, so that no
call keeps the server from others: who calls asks again.
"""

from __future__ import annotations

from oxidite.drivers.redis import Script
from oxidite.queue.stores.redis.parts import (
    BASE,
    CLAIMING,
    ENDING,
    HANDING,
    JOBS,
    PUSHING,
    RUNNING,
    STATISTICS,
    WAKING,
)

__all__ = ["BEAT", "ENTER", "EXCHANGE", "EXIT", "PASS", "PUSH", "RESCUE", "SAVE", "WAIT"]

_PUSHING = BASE + WAKING + JOBS + PUSHING
_RUNNING = _PUSHING + ENDING + RUNNING
# ARGV: how many jobs, three parts of each, and then the batch that begins with them.
PUSH = Script(
    _PUSHING
    + HANDING
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
wake_touched()
write_counts()
return pushed
"""
)

ENTER = Script(
    BASE
    + """
call('ZADD', P .. 'ws', digits(NOW + tonumber(ARGV[4])), ARGV[2])
call('HSET', P .. 'wa', ARGV[2], ARGV[3])
call('HDEL', P .. 'wl', ARGV[2])
call('HDEL', P .. 'ww', ARGV[2])
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
  call('HDEL', P .. 'ww', worker)
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
    + CLAIMING
    + STATISTICS
    + """
local worker, limit, from, call_number, known_number =
  ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])

-- Returns whether what follows it is pushed, nil for one that is refused.
local function take_over(outcome, result, error, follower)
  local job = load(outcome[1])
  if not job or job.state ~= 'r' or job.attempt ~= outcome[2] then return nil end
  local kind = outcome[3]
  stop(job)
  if outcome[7] then
    local errors = P .. 'e:' .. job.id
    call('RPUSH', errors, error)
    call('LTRIM', errors, -10, -1)
  end
  note(job, kind, outcome[5])
  if kind == 'R' or kind == 'd' then call('HINCRBY', job.key, 'f', 1) end
  if follower and job.cancel then
    -- It was too late for this job, and not for what follows it.
    finish(job, 'x', job.keep)
    return false
  end
  -- What follows it in the same batch stands for it there.
  if job.batch and follower and cmsgpack.unpack(follower)[9] == job.batch then
    call('HSET', job.key, 'y', 1)
    job.batch = nil
  end
  -- At once, if what it waits for has come meanwhile.
  if kind == 'S' and outcome[10] and not job.cancel then
    call('HSET', job.key, 'wp', job.attempt)
    local is_here = call('HEXISTS', job.key, 'wv') == 1
    wait_or_cancel(job, is_here and NOW or NOW + outcome[4])
    return true
  end
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
  local goes_on = take_over(outcome, ARGV[i + 1], ARGV[i + 2], outcome[9] > 0 and ARGV[i + 3])
  if goes_on then
    push_all(i + 3, outcome[9])
  elseif goes_on == nil then
    refused[#refused + 1] = outcome[1]
  end
  i = i + 3 + outcome[9] * 3
end
local lease = tonumber(call('ZSCORE', P .. 'ws', worker) or 0)
if lease > NOW and not given() then
  for n = i, #ARGV do
    if #ready < limit then claim(worker, ARGV[n], limit, ready) end
  end
  note_given(worker, from, call_number, ready)
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

# How long nothing is to be claimed, as far as is known now; who asks is told if that changes. ARGV: the process, and of
# a worker its name, the number by which it would know what it is given, that of what it knows, and how much it wants.
WAIT = Script(
    _RUNNING
    + CLAIMING
    + """
local process, worker, number, known, limit = unpack(ARGV, 2, 6)
local soonest = NOW + 1e9

local function first(key)
  local found = tonumber(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or NOW + 1e9)
  soonest = math.min(soonest, found)
end

local function look(queue)
  local found = settings(queue)
  if found.paused or (found.running and found.n >= found.running) then return end
  if is_due(queue) then
    local left = found.count and until_next(found.tat, found.count, found.per) or 0
    soonest = math.min(soonest, NOW + math.max(left, 0))
  end
  first(P .. 's:' .. queue)
  first(P .. 'gw:' .. queue)
end

for i = 7, #ARGV do look(ARGV[i]) end
if soonest <= NOW then return '0' end
even_if_full()
local who = process
if worker ~= '' then
  local before = string.match(call('HGET', P .. 'wl', worker) or '', '^%S+ (%d+)')
  -- It was given something meanwhile: its next call is about that.
  if before and before ~= known then return '0' end
  call('HSET', P .. 'ww', worker, number .. ' ' .. known .. ' ' .. limit)
  who = process .. ' ' .. worker
end
for i = 7, #ARGV do call('SADD', P .. 'i:' .. ARGV[i], who) end
return digits(soonest - NOW)
"""
)

PASS = Script(
    BASE
    + WAKING
    + """
if is_due(ARGV[2]) or call('EXISTS', P .. 's:' .. ARGV[2], P .. 'gw:' .. ARGV[2]) > 0 then wake(ARGV[2]) end
"""
)
