-- The whole record as it is stored; nothing once its retention is over. Writes nothing.

return function()
  local refusal = Call.lost()
  if refusal then return refusal end
  local key = string.sub(KEYS[1], #PREFIX + 5)
  local record = Keep.open(key, Clock.now())
  if not record then return { 'none' } end
  local answer = { 'record' }
  for _, part in ipairs({ 'run', 'events', 'data', 'waiting' }) do
    answer[#answer + 1] = redis.call('HGETALL', Record.name_of(record, part))
  end
  answer[#answer + 1] = redis.call('LRANGE', Record.name_of(record, 'history'), 0, -1)
  answer[#answer + 1] = record.head.held > 0 and redis.call('HGETALL', Record.name_of(record, 'held')) or {}
  return answer
end
