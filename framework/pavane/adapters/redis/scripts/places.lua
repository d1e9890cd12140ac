-- List members of an index in the order of their times, from behind a given one. KEYS[1] is any key of the shard.
-- The call has `indexes` (names), `from` and `until_` (scores as Redis takes them), `newest_first`, `prefix` (of the
-- members wanted, may be empty), `limit`, and `after`: the last time and member seen. Where `owners` is asked for, the
-- records that letters belong to follow, in the same order. Writes nothing.

local CHUNK = 200

local function beyond(member, score)
  local after = CALL.after
  if not after or score ~= after.at then return true end
  if CALL.newest_first then return Lists.precedes(member, after.key) end
  return Lists.precedes(after.key, member)
end

local function page(index, offset)
  if CALL.newest_first then
    return redis.call('ZREVRANGEBYSCORE', index, CALL.until_, CALL.from, 'WITHSCORES', 'LIMIT', offset, CHUNK)
  end
  return redis.call('ZRANGEBYSCORE', index, CALL.from, CALL.until_, 'WITHSCORES', 'LIMIT', offset, CHUNK)
end

local function list(index, found)
  local offset, taken = 0, 0
  while true do
    local members = page(index, offset)
    for i = 1, #members, 2 do
      local member = members[i]
      local wanted = CALL.prefix == '' or string.sub(member, 1, #CALL.prefix) == CALL.prefix
      if wanted and beyond(member, tonumber(members[i + 1])) then
        found[#found + 1] = member
        found[#found + 1] = members[i + 1]
        taken = taken + 1
        if taken == CALL.limit then return end
      end
    end
    if #members < 2 * CHUNK then return end
    offset = offset + CHUNK
  end
end

return function()
  local refusal = Call.lost()
  if refusal then return refusal end
  local found = {}
  for _, index in ipairs(CALL.indexes) do list(PREFIX .. index, found) end
  if not CALL.owners or #found == 0 then return { 'places', found, {} } end
  local letters = {}
  for i = 1, #found, 2 do letters[#letters + 1] = found[i] end
  return { 'places', found, redis.call('HMGET', PREFIX .. 'letter_of', unpack(letters)) }
end
