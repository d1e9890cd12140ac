-- Phases and marks of a run. Follows core/ending.py.

local Ending = {}

local STEPS_LISTED = 100

-- Drop what only a running run has: timers, the deadline, the reasons it was stalled for.
function Ending.leave_running(record)
  for _, field in ipairs(Record.waiting_fields(record, 't')) do Record.drop_waiting(record, field) end
  record.head.deadline_at = 0
  record.head.void_at = 0
  record.head.stalled = {}
end

-- The steps of a failed run that began and that nobody undoes, in the order they began.
function Ending.not_undone(record)
  local rows = {}
  for _, step in ipairs(Record.all_steps(record)) do
    local row = Record.step_of(record, step)
    if row.first_token > 0 and not row.closing and not row.undo then rows[#rows + 1] = row end
  end
  table.sort(rows, function(a, b) return a.first_token < b.first_token end)
  local steps = {}
  for i, row in ipairs(rows) do steps[i] = row.step end
  return steps
end

-- Steps as the detail of a line: the first of them by name, and how many they are.
function Ending.in_detail(name, steps)
  return { [name] = table.concat(steps, ' ', 1, math.min(#steps, STEPS_LISTED)), [name .. '_count'] = tostring(#steps) }
end

-- `left`: the steps that would have been undone, if the run was to be left as it is.
function Ending.finish(record, ending, at, cause, left)
  local head = record.head
  Pausing.end_pause(record, at, '', ending)
  head.phase = ending
  head.ended_at = at
  head.chain = ''
  Ending.leave_running(record)
  local detail
  if left then
    detail = Ending.in_detail('left', left)
  elseif ending ~= 'completed' then
    local kept = Ending.not_undone(record)
    if #kept > 0 then detail = Ending.in_detail('not_undone', kept) end
  end
  Record.remember(record, ending, at, { cause = cause, reason = head.reason, detail = detail })
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
