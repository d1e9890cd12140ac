-- Lines of the audit, the latest first. KEYS[1] is the stream; ARGV: nothing, and the call as JSON: `from` and `until_`
-- (ids as Redis takes them) and `limit`. Writes nothing.

return function()
  return redis.call('XREVRANGE', KEYS[1], CALL.until_, CALL.from, 'COUNT', CALL.limit)
end
