-- The record that a dead letter belongs to, if this shard has it. KEYS[1] is any key of the shard. Writes nothing.

return function()
  local refusal = Call.lost()
  if refusal then return refusal end
  return { 'owner', redis.call('HGET', PREFIX .. 'letter_of', CALL.letter) }
end
