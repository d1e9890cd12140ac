-- Note what was published. Follows core/letters.py.

local function mark_row(record, id, at)
  local gone = Record.drop_waiting(record, 'o' .. id)
  if not gone or gone.kind ~= 'event' then return end
  local name = Record.event_of(record, id).name
  Ending.unstall(record, 'unroutable:' .. name, at)
  if Lists.contains(CALL.unrouted, id) then Record.remember(record, 'unrouted', at, { event = name, cause = id }) end
end

local function mark_returned(record, id, at)
  local back = Record.waiting_of(record, 'o' .. id)
  if not back or back.kind ~= 'event' then return end
  Outbox.put_off(record, back, at, LONGEST_RETURN)
  Ending.stall(record, 'unroutable:' .. Record.event_of(record, id).name, at)
end

local function mark_copy(record, copy)
  local row = Record.step_of(record, copy.step)
  local work = Record.work_of(row, copy.kind)
  if work and work.generation == copy.generation then
    Record.edit(record, copy.step)
    work.unpublished = ''
  end
end

return Keep.transition(function(record, at)
  if not record then return 'marked' end
  for _, id in ipairs(CALL.rows or {}) do mark_row(record, id, at) end
  for _, id in ipairs(CALL.returned or {}) do mark_returned(record, id, at) end
  for _, copy in ipairs(CALL.copies or {}) do mark_copy(record, copy) end
  return 'marked', nil, record
end)
