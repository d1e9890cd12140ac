-- Leave rows to the processes of a service. KEYS[1] is where they look; ARGV are the rows. A full Redis takes them too:
-- they go as soon as somebody has looked.

return function()
  local now = Clock.now()
  for _, row in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'NX', now, row) end
end
