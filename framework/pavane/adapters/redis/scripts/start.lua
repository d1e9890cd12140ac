-- Begin a run, or attach to the one that has this id, ended or not. Follows core/run.py.

return Keep.transition(function(record, at, key)
  local event = CALL.event
  if not record then
    record = Run.new_run(key, CALL.run_id, CALL.contract, event, CALL.digest, at)
    Record.remember(record, 'run_started', at, { event = event.name, cause = event.id, by = CALL.by })
    Outbox.put_event(record, event, at, '')
    return 'started', {
      created = true, conflict = false, event_id = event.id, rows = Outbox.publications(record, record.fresh),
    }, record
  end
  local head = record.head
  local fixed = Record.fixed(record)
  local fields = { event_id = fixed.start_event, rows = Outbox.publications(record, { fixed.start_event }) }
  fields.created = event.id == fixed.start_event
  fields.conflict = not fields.created and CALL.digest ~= fixed.start_digest
  if fields.created then return 'started', fields end
  Record.remember(record, fields.conflict and 'conflict' or 'start_repeated', at, {
    event = event.name, cause = event.id, by = CALL.by,
  })
  return 'started', fields, record
end)
