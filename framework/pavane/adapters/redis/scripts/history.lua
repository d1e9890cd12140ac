-- Lines of a record's history behind a given one, oldest first. Writes nothing.
-- Numbers may be missing from the sequence, so as many lines as the last one is ahead are enough to look at.

return function()
  local refusal = Call.lost()
  if refusal then return refusal end
  local record = Keep.open(string.sub(KEYS[1], #PREFIX + 5), Clock.now())
  if not record then return { 'history', {} } end
  local found, ahead = {}, record.head.seq - CALL.after
  if ahead <= 0 then return { 'history', found } end
  for _, line in ipairs(redis.call('LRANGE', Record.name_of(record, 'history'), -ahead, -1)) do
    if #found == CALL.limit then break end
    if cjson.decode(line).seq > CALL.after then found[#found + 1] = line end
  end
  return { 'history', found }
end
