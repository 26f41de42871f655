"""Events in Redis: what was signalled, and the jobs that listen for it.

A job has the event that it listens for (``we``), what it says of that (``wa``), the attempt in which it has left its
place for it (``wp``), and what it was given (``wv``).
"""

from __future__ import annotations

from oxidite.drivers.redis import Script
from oxidite.queue.stores.redis.parts import BASE, JOBS, WAKING

__all__ = ["LISTEN", "SIGNAL"]

# ARGV: the event, its value, for how many seconds that is kept. Returns how many jobs were woken, and whether
# something is left.
SIGNAL = Script(
    BASE
    + WAKING
    + JOBS
    + """
local key, value, keep = P .. 'ev:' .. ARGV[2], ARGV[3], tonumber(ARGV[4])
call('DEL', key)
if keep > 0 then
  call('HSET', key, 'v', value, 'until', digits(NOW + keep))
  call('PEXPIRE', key, string.format('%.0f', math.ceil(keep * 1000)))
end
local woken = 0
local ids = call('SPOP', P .. 'ew:' .. ARGV[2], 500)
for _, id in ipairs(ids) do
  local job = load(id)
  local v = job and (job.state == 'w' or job.state == 'r') and call('HMGET', job.key, 'we', 'wp', 'wv')
  if v and v[1] == ARGV[2] and not v[3] then
    call('HSET', job.key, 'wv', value)
    local is_parked = job.state == 'w' and tonumber(v[2]) == job.attempt
    if is_parked and struct.unpack('>d', job.place) > NOW then
      woken = woken + 1
      take_away(job)
      call('HSET', job.key, 'm', put(job, NOW))
    end
  end
end
wake_touched()
return {woken, #ids == 500 and 1 or 0}
"""
)

# ARGV: the job, its attempt, the event, what is said of that, for how many seconds it listens at most.
LISTEN = Script(
    BASE
    + """
local key, listening = P .. 'j:' .. ARGV[2], P .. 'ew:' .. ARGV[4]
local v = call('HMGET', key, 's', 'n', 'we', 'wv')
if v[1] ~= 'r' or v[2] ~= ARGV[3] then return false end
if v[3] == ARGV[4] and v[4] then return v[4] end
local kept = call('HMGET', P .. 'ev:' .. ARGV[4], 'v', 'until')
local value = kept[1] and tonumber(kept[2]) > NOW and kept[1]
call('HSET', key, 'we', ARGV[4], 'wa', ARGV[5])
call('HDEL', key, 'wp', 'wv')
if value then
  call('HSET', key, 'wv', value)
  return value
end
call('SADD', listening, ARGV[2])
-- A day longer: the job is told that it has waited in vain when it runs, and not before.
local longest = math.ceil((tonumber(ARGV[6]) + 86400) * 1000)
if call('PTTL', listening) < longest then call('PEXPIRE', listening, string.format('%.0f', longest)) end
return false
"""
)
