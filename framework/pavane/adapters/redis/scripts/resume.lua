-- Let jobs begin again; the first of the held ones are in the answer. Follows core/pausing.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head = record.head
  if Record.terminal(record) then return 'refused', { reason = 'run_' .. head.phase } end
  if head.paused_at == 0 then return 'done', { rows = Outbox.pending_of(record, '') } end
  Pausing.end_pause(record, at, CALL.by, CALL.reason)
  Pausing.release_held(record, at)
  head.updated_at = at
  return 'done', { rows = Outbox.publications(record, record.fresh) }, record
end)
