-- Phases and marks of a run. Follows core/ending.py.

local Ending = {}

local LEFT_LISTED = 100

-- Drop what only a running run has: timers, the deadline, the reasons it was stalled for.
function Ending.leave_running(record)
  for _, field in ipairs(Record.waiting_fields(record, 't')) do Record.drop_waiting(record, field) end
  record.head.deadline_at = 0
  record.head.void_at = 0
  record.head.stalled = {}
end

-- `left`: the steps that would have been undone, if the run was to be left as it is.
function Ending.finish(record, ending, at, cause, left)
  local head = record.head
  Pausing.end_pause(record, at, '', ending)
  head.phase = ending
  head.ended_at = at
  head.chain = ''
  Ending.leave_running(record)
  Record.remember(record, ending, at, {
    cause = cause, reason = head.reason,
    detail = left and { left = table.concat(left, ' ', 1, math.min(#left, LEFT_LISTED)), left_count = tostring(#left) },
  })
  Outbox.report(record, 'pavane.run_ended', at, '', { 'status', ending, 'reason', head.reason })
end

-- The run has changed; it is looked at again when it may have become idle.
function Ending.watch_idle(record, at)
  local head = record.head
  head.updated_at = at
  if head.idle_at == 0 and head.idle_after and not Record.terminal(record) then head.idle_at = at + head.idle_after end
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
