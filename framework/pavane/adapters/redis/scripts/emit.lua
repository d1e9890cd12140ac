-- Bring an outside event into a running run. Follows core/run.py.

return Keep.transition(function(record, at)
  local event = CALL.event
  if not record or not Record.is_run(record) then return 'unknown_run' end
  if Record.event_of(record, event.id) then return 'emitted', { rows = Outbox.publications(record, { event.id }) } end
  if record.head.phase ~= 'running' then return 'refused', { reason = 'run_' .. record.head.phase } end
  Outbox.put_event(record, event, at, '')
  Record.remember(record, 'event_emitted', at, { event = event.name, cause = event.id, by = CALL.by })
  Letters.end_by_event(record, event.id, at, nil)
  record.head.updated_at = at
  return 'emitted', { rows = Outbox.publications(record, record.fresh) }, record
end)
