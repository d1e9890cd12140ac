-- Give a dead letter's job another payload, under a new event id. Follows core/editing.py.

-- The reason why a letter stays as it is, or nil.
local function why_not_edited(record, row, letter, step)
  local phase, event = record.head.phase, Record.event_of(record, row.event)
  if letter.kind == 'undo' then return 'undo_letter' end -- its arguments come from the record
  if letter.answered then return 'answered' end
  if phase ~= 'running' and phase ~= 'completed' and not row.closing then return 'run_' .. phase end
  if row.state ~= 'dead' then return 'step_' .. row.state end
  if not event then return 'unreadable' end
  if event.name == Joining.JOINED then return 'join_letter' end -- so do a join's
  if letter.reason == 'unknown_run' then return 'unknown_run' end -- no payload changes that
  if Record.step_of(record, step) or Record.has_event(record, CALL.event.id) then return 'known_event' end
  return nil
end

-- Whether the job belongs to this record, whatever its payload says.
local function is_its_own(record, row, letter)
  if letter.kind == 'step' or row.first_token > 0 or row.replaces ~= '' then return true end
  return Record.is_run(record) and row.event == Record.bounds(record).start_event
end

-- The row of the new step: the receiver's `begin` looks for it, because any header can be forged.
local function add_row(record, row, step, at)
  local key_step = row.key_step ~= '' and row.key_step or row.step
  Record.add_step(record, Record.fill_step({
    step = step, worker = row.worker, event = CALL.event.id, state = 'retrying', closing = row.closing, started_at = at,
    redrives = row.redrives + 1, replaces = row.step, key_step = CALL.new_key and '' or key_step,
    work = Record.new_work(),
  }))
  record.head.retrying = record.head.retrying + 1
end

-- Nothing revives the old job: its letter is over, wherever its message lies.
local function close_letter(record, row, letter, at)
  row.work.generation = row.work.generation + 1
  row.work.unpublished = ''
  row.work.granted = {}
  row.replaced_by = CALL.event.id
  Letters.drop_letter(record, row, letter, at)
end

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  if not row then return 'edited', { outcome = 'gone' } end
  local step = row.worker .. ':' .. CALL.event.id
  if row.replaced_by == CALL.event.id then
    return 'edited', { outcome = 'done', rows = Outbox.publications(record, { 'job/' .. step }) }
  end
  local letter = Record.letter_at(record, CALL.letter)
  if not letter or letter.step ~= row.step or letter.generation ~= CALL.generation then
    return 'edited', { outcome = 'gone' }
  end
  local refusal = why_not_edited(record, row, letter, step)
  if refusal then return 'edited', { outcome = 'refused', reason = refusal } end
  local stays = is_its_own(record, row, letter)
  if stays then add_row(record, row, step, at) end
  close_letter(record, row, letter, at)
  Record.keep_sent(record, CALL.event)
  Outbox.put_job(record, row.worker, step, CALL.event.id, at, 0)
  Record.remember(record, 'redriven', at, {
    row = row, by = CALL.by, reason = CALL.reason,
    detail = { edited = CALL.event.id, key = stays and not CALL.new_key and 'kept' or 'new' },
  })
  record.head.updated_at = at
  return 'edited', { outcome = 'done', rows = Outbox.publications(record, record.fresh) }, record
end)
