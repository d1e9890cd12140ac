-- Record a failed attempt: a next time, or the dead letter. Follows core/step.py.

-- The answer to a resent call, or *fenced*.
local function failed_before(record, row, work, at)
  if not work or work.ended_token ~= CALL.token or work.done then return 'fenced' end
  local letter = Letters.letter_of(record, work)
  if letter then
    return 'dead', {
      letter = letter, generation = work.generation, publish = true, rows = Outbox.pending_of(record, row.step),
    }
  end
  if CALL.kind == 'step' and Lists.contains({ 'refused', 'undoing', 'undone', 'undo_stuck' }, row.state) then
    return 'recorded', { rows = Outbox.pending_of(record, row.step) }
  end
  if work.unpublished == 'retry' then
    return 'retrying', { generation = work.generation, delay = math.max(0, work.next_at - at) }
  end
  return 'fenced'
end

-- Whether this failure is the last, as the fields of *exhausted*; nil: it is not.
local function spent(row, work, at)
  local timeout = CALL.step_timeout or 0
  local reason
  if CALL.outcome == 'rejected' then
    reason = 'rejected'
  elseif work.failures + 1 >= CALL.max_attempts then
    reason = 'attempts'
  elseif CALL.kind == 'step' and timeout > 0 and at + CALL.delay >= row.started_at + timeout then
    reason = 'deadline'
  else
    return nil
  end
  return { reason = reason, attempts = work.failures + 1, error = CALL.error, error_type = CALL.error_type }
end

local function await_retry(record, row, work, at)
  local head = record.head
  work.generation = work.generation + 1
  work.unpublished = 'retry'
  work.delay = CALL.delay
  work.next_at = at + CALL.delay
  head.retry_max = math.max(head.retry_max, work.next_at)
  if CALL.kind == 'step' then
    row.state = 'retrying'
    head.retrying = head.retrying + 1
  end
  Record.remember(record, CALL.kind == 'step' and 'step_retrying' or 'undo_failed', at, {
    row = row, attempt = work.grants, reason = CALL.outcome,
    detail = { error = CALL.error, delay = string.format('%.0f', CALL.delay) },
  })
end

-- The run is failing: only the attempt's end is noted.
local function record_late(record, row, work, at)
  row.state = 'refused'
  Record.remember(record, 'step_late', at, {
    row = row, attempt = work.grants, reason = CALL.outcome, detail = { error = CALL.error },
  })
  Compensation.start_chain_when_clear(record, at, row.step)
  return 'recorded', { rows = Outbox.publications(record, record.fresh) }, record
end

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if not work or work.token ~= CALL.token then return failed_before(record, row, work, at) end
  local failing = record.head.phase == 'compensating' and CALL.kind == 'step' and not row.closing
  local exhausted = not failing and spent(row, work, at) or nil
  if exhausted and not CALL.verdict then return 'exhausted', exhausted end
  local retries = not exhausted and not failing
  Leasing.end_lease(record, row, work, CALL.kind, at, {
    outcome = CALL.outcome, error = CALL.error, error_type = CALL.error_type, delay = retries and CALL.delay or 0,
  })
  row.error = CALL.error
  row.error_type = CALL.error_type
  record.head.updated_at = at
  if failing then return record_late(record, row, work, at) end
  work.failures = work.failures + 1
  if exhausted then
    local letter = Letters.die(record, row, work, CALL.kind, CALL.verdict, at)
    return 'dead', {
      letter = letter, generation = work.generation, publish = true, rows = Outbox.publications(record, record.fresh),
    }, record
  end
  await_retry(record, row, work, at)
  return 'retrying', { generation = work.generation, delay = CALL.delay }, record
end)
