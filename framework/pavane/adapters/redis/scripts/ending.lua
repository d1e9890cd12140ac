-- Phases and marks of a run. Follows core/ending.py.

-- Drop what only a running run has: timers, the deadline, the reasons it was stalled for.
local function leave_running(record)
  for _, field in ipairs(waiting_fields(record, 't')) do drop_waiting(record, field) end
  record.head.deadline_at = 0
  record.head.void_at = 0
  record.head.stalled = {}
end

local function finish(record, ending, at, cause)
  local head = record.head
  head.phase = ending
  head.ended_at = at
  head.chain = ''
  leave_running(record)
  remember(record, ending, at, { cause = cause, reason = head.reason })
  report(record, 'pavane.run_ended', at, '', { 'status', ending, 'reason', head.reason })
end

local function stall(record, reason, at)
  local head = record.head
  if not is_run(record) or terminal(record) or contains(head.stalled, reason) then return end
  head.stalled[#head.stalled + 1] = reason
  sorted(head.stalled)
  remember(record, 'stalled', at, { reason = reason })
  report(record, 'pavane.run_stalled', at, '', { 'reason', reason })
end

local function unstall(record, reason, at)
  local head = record.head
  if contains(head.stalled, reason) then
    head.stalled = without(head.stalled, reason)
    remember(record, 'unstalled', at, { reason = reason })
  end
end
