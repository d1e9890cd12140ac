-- Set another deadline, which must lie ahead. Follows core/steering.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head = record.head
  if head.phase ~= 'running' then return 'refused', { reason = 'run_' .. head.phase } end
  if head.deadline_at == CALL.at then return 'done' end
  if CALL.at <= at then return 'refused', { reason = 'in_the_past' } end
  Record.remember(record, 'deadline_moved', at, {
    by = CALL.by, reason = CALL.reason,
    detail = {
      at = Outbox.number(CALL.at), before = head.deadline_at > 0 and Outbox.number(head.deadline_at) or '',
    },
  })
  head.deadline_at = CALL.at
  head.updated_at = at
  return 'done', nil, record
end)
