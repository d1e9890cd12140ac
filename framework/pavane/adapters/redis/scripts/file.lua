-- File a letter that lies in its queue and that the record does not list. Follows core/filing.py.

local OTHERWISE = { 'skipped', 'refused', 'undoing', 'undone', 'undo_stuck' }

local function new_row(record, at)
  return Record.add_step(record, Record.fill_step({
    step = CALL.step, worker = CALL.worker, event = CALL.event and CALL.event.id or '', started_at = at,
    work = Record.new_work(),
  }))
end

-- The reason why a job is not dead, whatever its letter says, or nil.
local function why_not_filed(row, work, at)
  if work.token ~= 0 and work.lease_until > at then return CALL.kind .. '_running' end
  if CALL.kind == 'step' and Lists.contains(OTHERWISE, row.state) then return 'step_' .. row.state end
  return nil
end

return Keep.transition(function(record, at, key)
  if not record and not CALL.own_record then return 'unknown_run' end
  if not record then
    record = Record.new_record(key, { started_at = at })
    record.new = true
  end
  local row = Record.edit(record, CALL.step) or new_row(record, at)
  local work = Record.work_of(row, CALL.kind)
  if not work then return 'filed', { outcome = 'refused', reason = 'no_undo' } end
  if Letters.letter_of(record, work) then return 'filed', { outcome = 'known' } end
  if work.done or work.generation >= CALL.generation then return 'filed', { outcome = 'gone' } end
  local refusal = why_not_filed(row, work, at)
  if refusal then return 'filed', { outcome = 'refused', reason = refusal } end
  if CALL.event and not Record.event_of(record, CALL.event.id) then Record.keep_sent(record, CALL.event) end
  if work.token ~= 0 then Leasing.lose_lease(record, row, work, CALL.kind, at) end
  work.generation = CALL.generation - 1 -- dying adds one
  Letters.die(record, row, work, CALL.kind, { letter = CALL.letter, policy = 'stall' }, at)
  work.unpublished = '' -- its message is where it belongs
  Record.remember(record, 'adopted', at, { row = row, by = CALL.by, reason = CALL.reason })
  Compensation.start_chain_when_clear(record, at, row.step)
  record.head.updated_at = at
  return 'filed', { outcome = 'done', rows = Outbox.publications(record, record.fresh) }, record
end)
