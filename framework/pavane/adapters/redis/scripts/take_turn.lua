-- core.limiting.take_turn. KEYS[1] is the limit: a string, when the turn after all that were handed out would be, in
-- microseconds; beside it a sorted set of the jobs that were too early, by their turn. ARGV: job, interval, burst.
-- The answer is the time to wait, in milliseconds; 0: the job has its turn.

local KEPT_FOR = 600000000

return function()
  local job, interval, burst = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
  local waiting, micros = KEYS[1] .. ':waiting', Clock.now() * 1000
  local next_at = tonumber(redis.call('GET', KEYS[1]) or 0)
  local at = tonumber(redis.call('ZSCORE', waiting, job) or nil)
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', Call.text(micros - KEPT_FOR))
  if not at or at <= micros - KEPT_FOR then
    local start = math.max(next_at, micros)
    next_at = start + interval
    at = start - (burst - 1) * interval
  end
  local wait = math.max(0, math.ceil((at - micros) / 1000))
  local kept = Call.text(math.ceil((next_at - micros + KEPT_FOR) / 1000))
  redis.call('SET', KEYS[1], Call.text(next_at), 'PX', kept)
  if wait > 0 then
    redis.call('ZADD', waiting, Call.text(at), job)
    redis.call('PEXPIRE', waiting, kept)
  else
    redis.call('ZREM', waiting, job)
  end
  return wait
end
