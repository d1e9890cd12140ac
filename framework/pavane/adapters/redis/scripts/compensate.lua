-- Fail a running run, whatever its marks are: they may go while somebody decides. Follows core/steering.py.

return Keep.transition(function(record, at)
  if not record or not Record.is_run(record) then return 'unknown_run' end
  local head = record.head
  if head.reason == Steering.GIVEN_UP and head.end_event == '' then -- an event may have that name too
    return 'done', { rows = Outbox.pending_of(record, '') }
  end
  if head.phase ~= 'running' then return Steering.come_too_late(record, 'compensate', at) end
  return Steering.give_up(record, Steering.GIVEN_UP, at)
end)
