-- Keep a lease. Follows core/step.py.

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if not work or work.token ~= CALL.token then return 'fenced' end
  local head = record.head
  work.lease_until = at + CALL.lease
  head.lease_max = math.max(head.lease_max, work.lease_until)
  if CALL.progress and CALL.progress >= 0 then row.progress = CALL.progress end
  if CALL.note and CALL.note ~= '' then row.note = CALL.note end
  local stopping = head.phase == 'compensating' and CALL.kind == 'step' and not row.closing
  return 'renewed', { lease_until = work.lease_until, stopping = stopping }, record
end)
