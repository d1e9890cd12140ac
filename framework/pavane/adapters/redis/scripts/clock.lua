-- The time of every transition: Redis's own clock, in milliseconds. The only place that asks for it.

local Clock = {}

function Clock.now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
