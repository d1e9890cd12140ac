-- Fail a running run; without undo it ends as soon as nothing of it runs any more. Follows core/steering.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head = record.head
  if head.cancelling and head.leave ~= CALL.undo then return 'done', { rows = Outbox.pending_of(record, '') } end
  if head.phase ~= 'running' then return Steering.come_too_late(record, 'cancel', at) end
  head.cancelling = true
  head.leave = not CALL.undo
  Record.remember(record, 'cancel_requested', at, {
    by = CALL.by, reason = CALL.reason, detail = { undo = CALL.undo and 'true' or 'false' },
  })
  return Steering.give_up(record, 'cancelled', at)
end)
