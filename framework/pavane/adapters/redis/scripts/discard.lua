-- Drop a letter. A live run that waits for it needs a decision. Follows core/letters.py.

return Keep.transition(function(record, at)
  local letter = record and Record.letter_at(record, CALL.letter)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if work and work.generation == CALL.generation + 1 and work.unpublished == 'retry' then
    return 'discarded', { outcome = 'refused', reason = 'redriven' } -- this letter may be the only message left
  end
  if not letter or not work or work.generation ~= CALL.generation then return 'discarded', { outcome = 'gone' } end
  local head, after = record.head, CALL['then'] or ''
  local waits = Record.is_run(record) and not Record.terminal(record) and not letter.answered and not row.closing
  if waits and after == '' then return 'discarded', { outcome = 'refused', reason = 'run_is_live' } end
  if waits and after == 'compensate' and (CALL.kind == 'undo' or head.phase ~= 'running') then
    return 'discarded', { outcome = 'refused', reason = 'run_' .. head.phase }
  end
  work.unpublished = ''
  Letters.drop_letter(record, row, letter, at)
  Record.remember(record, 'step_dead', at, {
    row = row, by = CALL.by, reason = 'discarded', detail = { why = CALL.reason or '' },
  })
  if waits and after == 'leave' then
    Ending.stall(record, 'discarded:' .. row.step, at)
  elseif waits then
    Pausing.end_pause(record, at, CALL.by, 'step_dead')
    Pausing.release_held(record, at)
    Compensation.fail_run(record, 'step_dead', at, { by = CALL.by, cause = row.event, row = row.step })
  end
  head.updated_at = at
  return 'discarded', { outcome = 'done', rows = Outbox.publications(record, record.fresh) }, record
end)
