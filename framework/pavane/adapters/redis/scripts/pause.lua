-- Let nothing begin any more. Follows core/pausing.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head = record.head
  if Record.terminal(record) then return 'refused', { reason = 'run_' .. head.phase } end
  if head.paused_at > 0 then return 'done' end
  head.paused_at = at
  head.paused_by = CALL.by
  head.paused_reason = CALL.reason
  head.release_at = 0
  head.updated_at = at
  Record.remember(record, 'paused', at, { by = CALL.by, reason = CALL.reason })
  return 'done', nil, record
end)
