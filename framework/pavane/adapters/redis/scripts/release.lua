-- Give a lease back without a recorded failure. Follows core/step.py.

-- The answer to a resent call: a step that its failing run refuses was only recorded.
local function released_before(record, row)
  if CALL.kind == 'step' and Lists.contains({ 'refused', 'undoing', 'undone', 'undo_stuck' }, row.state) then
    return 'recorded', { rows = Outbox.pending_of(record, row.step) }
  end
  return 'released'
end

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if not work then return 'fenced' end
  if work.token ~= CALL.token then
    if work.ended_token == CALL.token then return released_before(record, row) end
    return 'fenced', nil, Leasing.report_ended(work, { CALL.token }) and record or nil
  end
  local head = record.head
  local failing = head.phase == 'compensating' and CALL.kind == 'step' and not row.closing
  Leasing.end_lease(record, row, work, CALL.kind, at, { outcome = 'released', error = CALL.reason })
  head.updated_at = at
  if failing then
    row.state = 'refused'
    Record.remember(record, 'step_late', at, { row = row, attempt = work.grants, reason = 'released' })
    Compensation.start_chain_when_clear(record, at, row.step)
    return 'recorded', { rows = Outbox.publications(record, record.fresh) }, record
  end
  local after = CALL.after or 0
  work.grants = work.grants - 1
  work.next_at = after ~= 0 and at + after or 0
  head.retry_max = math.max(head.retry_max, work.next_at)
  if CALL.kind == 'step' then
    row.state = 'retrying'
    head.retrying = head.retrying + 1
  end
  return 'released', nil, record
end)
