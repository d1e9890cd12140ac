-- Keep a delivery, once for each job and generation, if the run is still paused. Follows core/pausing.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head, event = record.head, CALL.event
  local nothing_to_undo = CALL.kind == 'undo' and not Record.work_of(Record.step_of(record, CALL.step), 'undo')
  if head.paused_at == 0 or nothing_to_undo then return 'not_paused' end
  local id = CALL.kind .. '/' .. Outbox.number(CALL.generation) .. '/' .. CALL.step
  if Record.is_held(record, id) then return 'held' end
  if event and not Record.has_event(record, event.id) then Record.keep_sent(record, event) end
  head.holds = head.holds + 1
  Record.put_held(record, id, {
    order = head.holds, kind = CALL.kind, worker = CALL.worker, step = CALL.step, event = event and event.id or '',
    generation = CALL.generation, since = at,
  })
  head.updated_at = at
  return 'held', nil, record
end)
