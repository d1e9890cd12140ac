-- Take or keep a lock. KEYS[1] is the lock: a hash with its owner, until when, and a token that grows with every new
-- owner. ARGV: owner, duration. The answer is the token, 0 if somebody else has it.

return function()
  local lock, at = redis.call('HMGET', KEYS[1], 'owner', 'until', 'token'), Clock.now()
  local owner, expires, token = lock[1] or '', tonumber(lock[2] or 0), tonumber(lock[3] or 0)
  if owner ~= '' and owner ~= ARGV[1] and expires > at then return 0 end
  if owner ~= ARGV[1] or expires <= at then token = token + 1 end
  redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', string.format('%.0f', at + ARGV[2]), 'token', token)
  return token
end
