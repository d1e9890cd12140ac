-- Review the records of a shard whose time has come. KEYS[1] is the shard's due set. Follows core/agenda.py.

local CORRUPT_PAUSE = 60000

local function review_key(key, at)
  local record, expired = Keep.open(key, at)
  if expired then Keep.forget(expired) end
  if record then return Review.review(record, at) end
  redis.call('ZREM', KEYS[1], key)
  return {}
end

local function tick()
  local refusal = Call.lost()
  if refusal then return refusal end
  local at, found, corrupt = Clock.now(), {}, {}
  local first = redis.call('ZRANGE', KEYS[1], '0', '0', 'WITHSCORES')
  if not first[2] or tonumber(first[2]) > at then -- the ordinary case, and all that an idle namespace costs
    return Call.reply('tick', { rows = found, corrupt = corrupt, next_due = tonumber(first[2] or 0), now = at })
  end
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', at, 'LIMIT', 0, CALL.limit)) do
    -- One record that cannot be read must not stop the others of its shard: it is looked at again later.
    local fine, rows = pcall(review_key, key, at)
    if fine then
      for _, row in ipairs(rows) do
        row.record = key
        found[#found + 1] = row
      end
    else
      redis.call('ZADD', KEYS[1], at + CORRUPT_PAUSE, key)
      corrupt[#corrupt + 1] = key
    end
  end
  first = redis.call('ZRANGE', KEYS[1], '0', '0', 'WITHSCORES')
  return Call.reply('tick', { rows = found, corrupt = corrupt, next_due = tonumber(first[2] or 0), now = at })
end

return tick
