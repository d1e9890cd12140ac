-- Phases and marks of a run. Follows core/ending.py.

local Ending = {}

-- Drop what only a running run has: timers, the deadline, the reasons it was stalled for.
function Ending.leave_running(record)
  for _, field in ipairs(Record.waiting_fields(record, 't')) do Record.drop_waiting(record, field) end
  record.head.deadline_at = 0
  record.head.void_at = 0
  record.head.stalled = {}
end

function Ending.finish(record, ending, at, cause)
  local head = record.head
  head.phase = ending
  head.ended_at = at
  head.chain = ''
  Ending.leave_running(record)
  Record.remember(record, ending, at, { cause = cause, reason = head.reason })
  Outbox.report(record, 'pavane.run_ended', at, '', { 'status', ending, 'reason', head.reason })
end

function Ending.stall(record, reason, at)
  local head = record.head
  if not Record.is_run(record) or Record.terminal(record) or Lists.contains(head.stalled, reason) then return end
  head.stalled[#head.stalled + 1] = reason
  Lists.sorted(head.stalled)
  Record.remember(record, 'stalled', at, { reason = reason })
  Outbox.report(record, 'pavane.run_stalled', at, '', { 'reason', reason })
end

function Ending.unstall(record, reason, at)
  local head = record.head
  if Lists.contains(head.stalled, reason) then
    head.stalled = Lists.without(head.stalled, reason)
    Record.remember(record, 'unstalled', at, { reason = reason })
  end
end
