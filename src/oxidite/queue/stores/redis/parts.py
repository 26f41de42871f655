"""What the scripts of the store have in common, in Lua: parts, each of which builds on those before it.

``KEYS[1]`` is what all keys begin with, and ``ARGV[1]`` how far a test has travelled in time. The keys::

    j:<id>        a job, as a hash            e:<id>      its last errors, as a list
    all           the ids, in their order     n           jobs by queue, task and state
    r:<queue>     what is due, by priority    s:<queue>   what is not yet, by time
    f:<group>     what is due of a group      fr:<queue>  the groups that have such, where they take turns
    p:<group>     what its group holds back   gw:<queue>  the groups held back, by when they may go on
    g:<queue>     how many run, by group      t:<group>   when the next of a group may begin (GCRA)
    q:<queue>     limits, pause, how many run qs, qp      the queues with settings, and those that pause
    w:<worker>    what a worker runs          c:<worker>  what of it is to be cancelled
    ws, wa, wl    leases, what workers say of themselves, what they were given last
    ww            the workers that wait: by which number, and how many jobs they want
    u:<key>       unique jobs, by state and time                       end:<state>  ended ones, by when they go
    b:<id>, be    batches, and those that have ended                   m:<minute>, ms  the statistics
    sc:<name>, sn schedules, and their names                           lead           roles
    i:<queue>     who waits for a job of it: processes, or workers     k:<process>    the channel to tell them
    ev:<event>    what was signalled            ew:<event>  the jobs that listen for it

A place in a queue is ``due, number, priority, id`` in bytes that sort as they should: so what is due comes
in the order of its time, and goes from one set to another without a look at the job.
"""

from __future__ import annotations

__all__ = [
    "BASE",
    "CLAIMING",
    "ENDING",
    "FITTING",
    "HANDING",
    "JOBS",
    "PUSHING",
    "RUNNING",
    "STATISTICS",
    "WAKING",
]

BASE = """
local P = KEYS[1]
local call = redis.call
local t = call('TIME')
local NOWS = string.format('%.6f', tonumber(t[1]) + tonumber(t[2]) / 1e6 + tonumber(ARGV[1]))
local NOW = tonumber(NOWS)

local function digits(number) return string.format('%.17g', number) end

-- A server without memory refuses the first thing that a script writes, unless it takes no memory, and then
-- nothing more. So what frees memory in the end, or keeps leases alive, begins with this.
local function even_if_full() call('DEL', P .. '!') end

-- Two names as one that no others make.
local function both(a, b) return #a .. ':' .. a .. b end

local function is_due(queue) return call('EXISTS', P .. 'r:' .. queue, P .. 'fr:' .. queue) > 0 end
"""

# Who waits is told once: one process for what was pushed, and the next by who leaves something behind. With HANDING
# the first is given it at once.
WAKING = """
local touched = {}
local hand_over

local function wake(queue)
  while true do
    local who = call('SPOP', P .. 'i:' .. queue)
    if not who then return end
    local process, worker = string.match(who, '^(%S+) (.+)$')
    if worker and hand_over and hand_over(queue, process, worker) then
      hand_over = nil
      if not is_due(queue) then return end
    -- Nobody listens for a process that has gone.
    elseif call('PUBLISH', P .. 'k:' .. (process or who), 'q' .. queue) > 0 then
      return
    end
  end
end

local function wake_touched()
  for queue in pairs(touched) do wake(queue) end
end
"""

JOBS = """
local counts = {}

local function count(queue, task, state, by)
  local field = both(queue, task) .. state
  counts[field] = (counts[field] or 0) + by
end

local function write_counts()
  for field, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', P .. 'n', field, by) == 0 then call('HDEL', P .. 'n', field) end
  end
end

-- Numbers that only grow; taken by the hundred, as a script may need many.
local number, last = 0, 0
local function next_number()
  if number == last then
    last = call('INCRBY', P .. 'seq', 100)
    number = last - 100
  end
  number = number + 1
  return number
end

local function job_of(packed)
  local h = cmsgpack.unpack(packed)
  return {
    id = h[1], key = P .. 'j:' .. h[1], queue = h[2], task = h[3], priority = h[4], delay = h[5], at = h[6],
    keep = h[7], group = h[8], batch = h[9], unique = h[10], states = h[11], period = h[12],
    conflict = h[13],
  }
end

local function load(id)
  local v = call('HMGET', P .. 'j:' .. id, 'h', 's', 'n', 'm', 'x', 'o', 't', 'k', 'r', 'l')
  if not v[1] then return nil end
  local job = job_of(v[1])
  job.state, job.attempt, job.place, job.cancel, job.worker = v[2], tonumber(v[3] or 0), v[4], v[5], v[6]
  job.pushed, job.keep, job.started, job.listeners = tonumber(v[7]), tonumber(v[8] or job.keep), v[9], v[10]
  return job
end

-- Note another state, or none, where jobs are counted by it.
local function shift(job, state)
  if job.state then count(job.queue, job.task, job.state, -1) end
  if state then count(job.queue, job.task, state, 1) end
  if job.unique then
    local key, entry = P .. 'u:' .. job.unique, struct.pack('>d', job.pushed) .. job.id
    if state then call('ZADD', key, 0, state .. entry) end
    if job.state then call('ZREM', key, job.state .. entry) end
  end
  job.state = state
end

-- Whether the groups of a queue take turns.
local fair = {}
local function is_fair(queue)
  if fair[queue] == nil then fair[queue] = call('HGET', P .. 'q:' .. queue, 'fair') == '1' end
  return fair[queue]
end

local function line(queue, group) return P .. 'f:' .. both(queue, group or '') end

-- Put a place among those that are due.
local function make_due(queue, group, score, place)
  if not is_fair(queue) then
    call('ZADD', P .. 'r:' .. queue, score, place)
  elseif call('ZADD', line(queue, group), score, place) == 1 then
    call('ZADD', P .. 'fr:' .. queue, 0, group or '')
  end
end

-- Whether a place was in the line of a group; one without places has no turn.
local function take_out(queue, group, place)
  local key = line(queue, group)
  if call('ZREM', key, place) == 0 then return false end
  if call('EXISTS', key) == 0 then call('ZREM', P .. 'fr:' .. queue, group or '') end
  return true
end

-- Put a job where it is claimed from; return its place, to be kept in it.
local function put(job, due)
  local place = struct.pack('>ddh', math.max(due, 0), next_number(), job.priority) .. job.id
  if due <= NOW then
    make_due(job.queue, job.group, -job.priority, place)
  else
    call('ZADD', P .. 's:' .. job.queue, digits(due), place)
  end
  -- Who waits looks every second, and so knows by itself of what is due later.
  if due - NOW < 2 then touched[job.queue] = true end
  return place
end

local function held(job) return P .. 'p:' .. both(job.queue, job.group) end

local function take_away(job)
  if call('ZREM', P .. 'r:' .. job.queue, job.place) == 1 then return end
  if call('ZREM', P .. 's:' .. job.queue, job.place) == 1 then return end
  if take_out(job.queue, job.group, job.place) then return end
  if job.group then call('ZREM', held(job), job.place) end
end

local function wait(job, due)
  shift(job, 'w')
  call('HSET', job.key, 's', 'w', 'm', put(job, due))
end

-- Go on from what was saved: with other data, from what fits that, and without what it has listened for.
local function save_anew(job, saved)
  call('HDEL', job.key, 'v', 'we', 'wa', 'wp', 'wv')
  if saved then call('HSET', job.key, 'v', saved) end
end

local function set_args(job, args, version)
  call('HSET', job.key, 'a', args)
  save_anew(job)
  if version == '' then return end
  -- The version is the first of an array.
  local body = call('HGET', job.key, 'b')
  local rest = cmsgpack.unpack_one(body, 1)
  call('HSET', job.key, 'b', string.sub(body, 1, 1) .. version .. string.sub(body, rest + 1))
end

local function forget(job)
  local before = job.state
  shift(job, nil)
  if before ~= 'w' and before ~= 'r' then call('ZREM', P .. 'end:' .. before, job.id) end
  call('ZREM', P .. 'all', job.id)
  call('DEL', job.key, P .. 'e:' .. job.id)
end
"""

PUSHING = """
local count_in_batch

-- The newest job of that key which is in one of the states, and was not pushed too long ago.
local function in_the_way(job)
  local found, newest = nil, job.period and NOW - job.period or -1
  for state in string.gmatch(job.states, '.') do
    local above = '(' .. string.char(string.byte(state) + 1)
    local entry = call('ZREVRANGEBYLEX', P .. 'u:' .. job.unique, above, '[' .. state, 'LIMIT', 0, 1)[1]
    if entry then
      local pushed = struct.unpack('>d', entry, 2)
      if pushed > newest then found, newest = string.sub(entry, 10), pushed end
    end
  end
  return found
end

local function replace(id, job, due, args, body)
  local other = load(id)
  if job.conflict == 'skip' or other.state ~= 'w' then return end
  if job.conflict ~= 'replace_time' then
    set_args(other, args, string.sub(body, 2, (cmsgpack.unpack_one(body, 1))))
  end
  if job.conflict ~= 'replace_args' then
    take_away(other)
    call('HSET', other.key, 'm', put(other, due))
  end
end

local function push(packed, args, body)
  local job = job_of(packed)
  local id, key = job.id, job.key
  if call('EXISTS', key) == 1 then return {id, 0} end
  local due = job.at or NOW + job.delay
  local other = job.unique and in_the_way(job)
  if other then
    replace(other, job, due, args, body)
    -- It is as good as done: nobody else will count it.
    if job.batch then count_in_batch(job.batch, true) end
    return {other, 0}
  end
  job.pushed = NOW
  call('HSET', key, 'h', packed, 'a', args, 'b', body, 't', NOWS, 's', 'w', 'm', put(job, due))
  call('ZADD', P .. 'all', 0, id)
  shift(job, 'w')
  return {id, 1}
end

local function push_all(from, many)
  local pushed = {}
  for i = from, from + many * 3 - 1, 3 do pushed[#pushed + 1] = push(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
  return pushed
end

local function push_packed(packed)
  local parts = cmsgpack.unpack(packed)
  for i = 1, #parts, 3 do push(parts[i], parts[i + 1], parts[i + 2]) end
end

local function end_batch(id)
  local key = P .. 'b:' .. id
  local v = call('HMGET', key, 'total', 'completed', 'failed', 'success', 'failure', 'always')
  if tonumber(v[2]) + tonumber(v[3]) < tonumber(v[1]) then return end
  call('HSET', key, 'ended', NOWS)
  call('ZADD', P .. 'be', NOWS, id)
  push_packed(tonumber(v[3]) > 0 and v[5] or v[4])
  push_packed(v[6])
end

count_in_batch = function(id, completed)
  local key = P .. 'b:' .. id
  local v = call('HMGET', key, 'total', 'ended')
  if not v[1] or v[2] then return end
  call('HINCRBY', key, completed and 'completed' or 'failed', 1)
  end_batch(id)
end
"""

ENDING = """
-- End a job; what else is to be noted of it comes as fields.
local function finish(job, state, keep, ...)
  shift(job, state)
  if job.batch then count_in_batch(job.batch, state == 'c') end
  for who in string.gmatch(job.listeners or '', '%S+') do call('PUBLISH', P .. 'k:' .. who, 'j' .. job.id) end
  if keep <= 0 then return forget(job) end
  call('HSET', job.key, 's', state, 'e', NOWS, 'k', digits(keep), ...)
  call('HDEL', job.key, 'x', 'o', 'l')
  call('ZADD', P .. 'end:' .. state, digits(NOW + keep), job.id)
end
"""

RUNNING = """
local known = {}

local function settings(queue)
  local found = known[queue]
  if not found then
    local v = call('HMGET', P .. 'q:' .. queue,
      'paused', 'n', 'running', 'count', 'per', 'each', 'each_count', 'each_per', 'tat', 'fair', 'turn')
    found = {
      paused = v[1], n = tonumber(v[2] or 0), before = tonumber(v[2] or 0), running = tonumber(v[3]),
      count = tonumber(v[4]), per = tonumber(v[5]), each = tonumber(v[6]), each_count = tonumber(v[7]),
      each_per = tonumber(v[8]), tat = tonumber(v[9] or 0), fair = v[10] == '1', was_fair = v[10] == '0',
      turn = v[11], turn_before = v[11],
    }
    found.limited = found.running or found.count or found.each or found.each_count
    known[queue] = found
  end
  return found
end

local function write_running()
  for queue, found in pairs(known) do
    if found.n ~= found.before then call('HSET', P .. 'q:' .. queue, 'n', found.n) end
    if found.turn ~= found.turn_before then call('HSET', P .. 'q:' .. queue, 'turn', found.turn) end
  end
end

-- Let a job no longer run, and what waits for its place go on.
local function stop(job)
  call('SREM', P .. 'w:' .. job.worker, job.id)
  if job.cancel then call('SREM', P .. 'c:' .. job.worker, job.id) end
  local found = settings(job.queue)
  found.n = found.n - 1
  if job.group then
    local running = P .. 'g:' .. job.queue
    if call('HINCRBY', running, job.group, -1) <= 0 then call('HDEL', running, job.group) end
    call('ZADD', P .. 'gw:' .. job.queue, 'XX', 0, job.group)
  end
  if found.limited then touched[job.queue] = true end
end

local function wait_or_cancel(job, due)
  if job.cancel then return finish(job, 'x', job.keep) end
  call('HDEL', job.key, 'o')
  wait(job, due)
end

local function due_of(job) return (struct.unpack('>d', job.place)) end

local function give_back(job)
  stop(job)
  wait_or_cancel(job, due_of(job))
end

local function write_all()
  write_counts()
  write_running()
  wake_touched()
end
"""

STATISTICS = """
local minutes = {}

local function note(job, kind, seconds)
  if kind == 'S' or kind == 'B' then return end
  local field = both(job.queue, job.task)
  local found = minutes[field]
  if not found then
    found = {0, 0, 0, 0, 0, 0}
    minutes[field] = found
  end
  local which = kind == 'c' and 1 or kind == 'R' and 2 or kind == 'd' and 3
  if which then found[which] = found[which] + 1 end
  found[4] = found[4] + seconds
  found[5] = math.max(found[5], seconds)
  found[6] = found[6] + math.max(tonumber(job.started or NOW) - due_of(job), 0)
end

local function write_minutes()
  local minute = digits(math.floor(NOW / 60) * 60)
  local key = P .. 'm:' .. minute
  for field, found in pairs(minutes) do
    local before = call('HGET', key, field)
    if before then
      local b = {struct.unpack('>dddddd', before)}
      for i = 1, 6 do found[i] = i == 5 and math.max(found[i], b[i]) or found[i] + b[i] end
    else
      call('ZADD', P .. 'ms', minute, minute)
    end
    call('HSET', key, field, struct.pack('>dddddd', unpack(found)))
  end
end
"""

# Limits: evenly in time, and as many at once as there may be (GCRA). A queue that is full, or too fast, is left
# as it is; of a group that is, jobs are put aside until it may go on, so that they stand in nobody's way.
CLAIMING = """
local FULL = 1e15  -- until one of the group stops
local MOST = 1000  -- that are looked at in one step

local function until_next(tat, count, per)
  local at = math.max(tat, NOW) + per / count
  return at - NOW - per, at
end

local function group_of(place)
  return cmsgpack.unpack(call('HGET', P .. 'j:' .. string.sub(place, 19), 'h'))[8]
end

local function bring_due(queue)
  local due = call('ZRANGEBYSCORE', P .. 's:' .. queue, '-inf', NOWS, 'LIMIT', 0, MOST)
  if #due == 0 then return end
  for _, place in ipairs(due) do
    make_due(queue, is_fair(queue) and group_of(place), -struct.unpack('>h', place, 17), place)
  end
  call('ZREM', P .. 's:' .. queue, unpack(due))
end

local function let_go_on(queue, limit)
  local waking = P .. 'gw:' .. queue
  local groups = call('ZRANGEBYSCORE', waking, '-inf', NOWS, 'LIMIT', 0, 100)
  local each = math.min(limit, math.ceil(MOST / math.max(#groups, 1)))
  for _, group in ipairs(groups) do
    local aside = P .. 'p:' .. both(queue, group)
    local first = call('ZRANGE', aside, 0, each - 1, 'WITHSCORES')
    for i = 1, #first, 2 do make_due(queue, group, first[i + 1], first[i]) end
    if #first > 0 then call('ZREMRANGEBYRANK', aside, 0, #first / 2 - 1) end
    if call('EXISTS', aside) == 0 then call('ZREM', waking, group) end
  end
end

-- When the next job of a group may begin: not before, or nil for now.
local function held_until(queue, found, group)
  if not group then return nil end
  if found.each and tonumber(call('HGET', P .. 'g:' .. queue, group) or 0) >= found.each then return FULL end
  if not found.each_count then return nil end
  local key = P .. 't:' .. both(queue, group)
  local left, at = until_next(tonumber(call('GET', key) or 0), found.each_count, found.each_per)
  if left > 1e-6 then return NOW + left end
  return nil, key, at
end

local function start(worker, id, place, v)
  local job = job_of(v[1])
  job.state, job.pushed, job.attempt = 'w', tonumber(v[4]), tonumber(v[5] or 0) + 1
  shift(job, 'r')
  call('HSET', job.key, 's', 'r', 'n', job.attempt, 'r', NOWS, 'o', worker)
  call('SADD', P .. 'w:' .. worker, id)
  if job.group then call('HINCRBY', P .. 'g:' .. job.queue, job.group, 1) end
  return {v[1], v[2], v[3], v[4], place, digits(job.attempt), v[6], v[7], v[8]}
end

-- How many may begin now, as far as the queue is concerned; and when the next may count as begun.
local function room(found, wanted)
  if found.running then wanted = math.min(wanted, found.running - found.n) end
  if wanted <= 0 or not found.count then return wanted end
  local left, at = until_next(found.tat, found.count, found.per)
  return left <= 1e-6 and 1 or 0, at
end

-- Put where it belongs what was due before it was said whether the groups take turns.
local function sort_anew(queue, found)
  local ring = P .. 'fr:' .. queue
  if found.fair then
    local due = call('ZPOPMIN', P .. 'r:' .. queue, MOST)
    for i = 1, #due, 2 do make_due(queue, group_of(due[i]), due[i + 1], due[i]) end
    return
  end
  local left = MOST
  while left > 0 do
    local group = call('ZRANGE', ring, 0, 0)[1]
    if not group then return call('HDEL', P .. 'q:' .. queue, 'fair') end
    local due = call('ZPOPMIN', line(queue, group), left)
    for i = 1, #due, 2 do make_due(queue, group, due[i + 1], due[i]) end
    left = left - math.max(#due / 2, 1)
    if call('EXISTS', line(queue, group)) == 0 then call('ZREM', ring, group) end
  end
end

-- The first of the group that follows another one, and which group that is.
local function pop_after(queue, turn)
  local ring = P .. 'fr:' .. queue
  local group = turn and call('ZRANGEBYLEX', ring, '(' .. turn, '+', 'LIMIT', 0, 1)[1]
  group = group or call('ZRANGE', ring, 0, 0)[1]
  if not group then return {} end
  local popped = call('ZPOPMIN', line(queue, group))
  if call('EXISTS', line(queue, group)) == 0 then call('ZREM', ring, group) end
  return popped, group
end

local function claim(worker, queue, limit, ready)
  local found = settings(queue)
  if found.paused then return end
  bring_due(queue)
  if call('EXISTS', P .. 'gw:' .. queue) == 1 then let_go_on(queue, limit) end
  if found.fair or found.was_fair then sort_anew(queue, found) end
  local looked, turn = 0, found.turn
  while #ready < limit and looked < MOST do
    local many, at = room(found, limit - #ready)
    if many <= 0 then return end
    local popped
    if found.fair then
      popped, turn = pop_after(queue, turn)
    else
      popped = call('ZPOPMIN', P .. 'r:' .. queue, found.limited and 1 or many)
    end
    if #popped == 0 then return end
    for i = 1, #popped, 2 do
      looked = looked + 1
      local place = popped[i]
      local id = string.sub(place, 19)
      local v = call('HMGET', P .. 'j:' .. id, 'h', 'a', 'b', 't', 'n', 'f', 'c', 'v')
      local group = found.limited and cmsgpack.unpack(v[1])[8]
      local later, key, group_at = held_until(queue, found, group)
      if later then
        call('ZADD', P .. 'p:' .. both(queue, group), popped[i + 1], place)
        call('ZADD', P .. 'gw:' .. queue, digits(later), group)
      else
        ready[#ready + 1] = start(worker, id, place, v)
        found.n = found.n + 1
        if found.fair then found.turn = turn end
        if at then
          found.tat = at
          call('HSET', P .. 'q:' .. queue, 'tat', digits(at))
        end
        if key then call('SET', key, digits(group_at), 'PX', string.format('%.0f', found.each_per * 1000 + 60000)) end
      end
    end
  end
  -- For others: they are told one by one, as each leaves something behind.
  if is_due(queue) then touched[queue] = true end
end

local function note_given(worker, from, number, ready)
  local ids = {from, number}
  for _, each in ipairs(ready) do ids[#ids + 1] = string.sub(each[5], 19) end
  call('HSET', P .. 'wl', worker, table.concat(ids, ' '))
end
"""

# A worker that waits has said by which number (of its calls) it would know what it is given. It is not given
# anything if it has made a call since; and what it does not hear of goes back at its next call: see `given`. All
# that this takes is within one function, as few pushes find somebody who waits, and to make fifty takes time.
HANDING = f"""
hand_over = function(queue, process, worker)
  {ENDING}
  {RUNNING}
  {CLAIMING}
  local function framed(parts)
    for i = 1, #parts do
      local part = parts[i]
      parts[i] = part and #part .. ':' .. part or '-'
    end
    return table.concat(parts)
  end

  local number, known, limit = string.match(call('HGET', P .. 'ww', worker) or '', '^(%d+) (%d+) (%d+)$')
  local from, before = string.match(call('HGET', P .. 'wl', worker) or '', '^(%S+) (%d+)')
  if not number or from ~= process or before ~= known then return false end
  if tonumber(call('ZSCORE', P .. 'ws', worker) or 0) <= NOW then return false end
  local ready, parts = {{}}, {{number, worker}}
  claim(worker, queue, tonumber(limit), ready)
  if #ready == 0 then return false end
  note_given(worker, from, number, ready)
  for _, row in ipairs(ready) do
    for i = 1, 9 do parts[#parts + 1] = row[i] end
  end
  local is_heard = call('PUBLISH', P .. 'k:' .. process, 'h' .. framed(parts)) > 0
  if not is_heard then
    for _, row in ipairs(ready) do give_back(load(string.sub(row[5], 19))) end
  end
  write_running()
  return is_heard
end
"""

FITTING = """
local filter = cmsgpack.unpack(ARGV[2])

local function fits(job)
  return (not filter[1] or filter[1] == job.queue) and (not filter[2] or filter[2] == job.task)
    and (not filter[3] or filter[3] == job.batch) and (not filter[4] or filter[4] == job.group)
    and (not filter[5] or string.find(filter[5], job.state, 1, true))
end
"""
