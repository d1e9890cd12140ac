-- Commit an operator's event instead of a step that cannot go on. Follows core/skipping.py.

-- The reason why a step must go its own way, or nil.
local function why_not_skipped(record, row, at)
  local phase, work = record.head.phase, row.work
  if phase ~= 'running' and phase ~= 'completed' and not row.closing then return 'run_' .. phase end
  if not Lists.contains({ 'dead', 'retrying', 'running' }, row.state) then return 'step_' .. row.state end
  if work.token ~= 0 and work.lease_until > at then return 'step_running' end
  local letter = Letters.letter_of(record, work)
  return letter and letter.answered and 'answered' or nil
end

-- Nothing of the step's own is awaited any more: no holder, no retry, no letter, no mark on the run.
local function close_step(record, row, at)
  local work = row.work
  if work.token ~= 0 then Leasing.lose_lease(record, row, work, 'step', at) end
  if row.state == 'retrying' then record.head.retrying = record.head.retrying - 1 end
  local letter = Letters.letter_of(record, work)
  if letter then Letters.drop_letter(record, row, letter, at) end
  Ending.unstall(record, 'discarded:' .. row.step, at)
  work.generation = work.generation + 1 -- the letter in its queue is over
  work.granted = {}
  work.next_at = 0
  work.unpublished = ''
  work.done = true
end

-- The row as a commit would leave it, but for who did it, and its event.
local function write_skip(record, row, at)
  local head, event = record.head, CALL.event
  head.commits = head.commits + 1
  row.order = head.commits
  row.state = 'skipped'
  row.skipped = true
  row.ended_at = at
  row.result = event.id
  row.emitted[#row.emitted + 1] = event.id
  Record.remember(record, 'step_skipped', at, {
    row = row, event = event.name, cause = row.event, by = CALL.by, reason = CALL.reason,
  })
  Outbox.put_event(record, event, at, row.step)
  Record.remember(record, 'event_emitted', at, {
    row = row, event = event.name, cause = row.event, by = CALL.by, detail = { id = event.id },
  })
end

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local row = Record.edit(record, CALL.step)
  if not row then return 'refused', { reason = 'unknown_step' } end
  if row.skipped and row.result == CALL.event.id then
    return 'done', { rows = Outbox.pending_of(record, row.step) }
  end
  local refusal = why_not_skipped(record, row, at)
  if refusal then return 'refused', { reason = refusal } end
  close_step(record, row, at)
  write_skip(record, row, at)
  Letters.end_by_event(record, CALL.event.id, at, row)
  record.head.updated_at = at
  return 'done', { rows = Outbox.publications(record, record.fresh) }, record
end)
