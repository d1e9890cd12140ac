-- core.limiting.give_back_turn. KEYS[1] is the limit, ARGV[1] its interval.

return function()
  local next_at = tonumber(redis.call('GET', KEYS[1]) or 0)
  local given = math.max(next_at - ARGV[1], Clock.now() * 1000)
  if next_at > 0 then redis.call('SET', KEYS[1], Call.text(given), 'KEEPTTL') end
end
