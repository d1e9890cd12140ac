-- Let go of a lock, if its owner asks. KEYS[1] is the lock, ARGV[1] the owner. The token stays, so that it grows.

return function()
  if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then redis.call('HSET', KEYS[1], 'owner', '', 'until', 0) end
  return 1
end
