-- Note what was published, in as many records of the shard as there are calls. Follows core/letters.py.

-- The reason of a run whose message came back: an event without a binding, a job or undo without a queue.
local function nowhere_to_go(record, row)
  if row.kind == 'event' then return 'unroutable:' .. Record.event_of(record, row.id).name end
  return 'no_queue:' .. (row.kind == 'job' and row.worker or Record.step_of(record, row.step).worker)
end

local function mark_row(record, call, id, at)
  local gone = Record.drop_waiting(record, 'o' .. id)
  if not gone then return end
  local unrouted = gone.kind == 'event' and Lists.contains(call.unrouted, id)
  if #record.head.stalled == 0 and not unrouted then return end -- nobody asks for a name
  Ending.unstall(record, nowhere_to_go(record, gone), at)
  if unrouted then
    Record.remember(record, 'unrouted', at, { event = Record.event_of(record, id).name, cause = id })
  end
end

local function mark_returned(record, id, at)
  local back = Record.waiting_of(record, 'o' .. id)
  if not back then return end
  Outbox.put_off(record, back, at, Outbox.LONGEST_RETURN)
  Ending.stall(record, nowhere_to_go(record, back), at)
end

local function mark_copy(record, copy)
  local row = Record.step_of(record, copy.step)
  local work = Record.work_of(row, copy.kind)
  if work and work.generation == copy.generation then
    Record.edit(record, copy.step)
    work.unpublished = ''
  end
end

local function mark_record(call, at)
  local record, expired = Keep.open(call.record, at)
  if expired then Keep.forget(expired) end
  if not record then return end
  for _, id in ipairs(call.rows or {}) do mark_row(record, call, id, at) end
  for _, id in ipairs(call.returned or {}) do mark_returned(record, id, at) end
  for _, copy in ipairs(call.copies or {}) do mark_copy(record, copy) end
  Keep.save(record)
end

local function mark_all()
  local refusal = Call.lost()
  if refusal then return refusal end
  local at, corrupt = Clock.now(), {}
  for _, call in ipairs(CALL.marks) do
    -- One record that cannot be read must not keep the marks of the others.
    if not pcall(mark_record, call, at) then corrupt[#corrupt + 1] = call.record end
  end
  return Call.reply('marked', { corrupt = corrupt })
end

return mark_all
