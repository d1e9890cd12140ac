-- What a record waits for, and how it shows itself. Follows core/agenda.py.

local Agenda = {}

local LOOSE_RETENTION = 7 * 86400000

-- When the record may be forgotten; 0: not yet foreseeable.
function Agenda.expires_at(record)
  local head = record.head
  local lives = Record.is_run(record) and not Record.terminal(record)
  if lives or head.letters > 0 or head.outbox > 0 or head.timers > 0 or head.held > 0 then return 0 end
  local last = math.max(head.updated_at, head.ended_at, head.lease_max, head.retry_max)
  return last + (head.retention or LOOSE_RETENTION)
end

-- The next time that something is due; `waiting` is the earliest of the outbox and the timers, or 0.
function Agenda.due_at(record, waiting)
  local head = record.head
  local idle_at = Record.terminal(record) and 0 or head.idle_at
  local times = { waiting, head.deadline_at, head.void_at, head.release_at, idle_at, Agenda.expires_at(record) }
  local due = 0
  for _, time in ipairs(times) do
    if time > 0 and (due == 0 or time < due) then due = time end
  end
  return due
end

function Agenda.status_of(record)
  local head = record.head
  if Record.terminal(record) then return head.phase end
  if head.paused_at > 0 then return 'paused' end
  if #head.stalled > 0 then return 'stalled' end
  if head.timers == 0 and not Joining.is_waited_for(record) then return head.phase end
  local at_work = head.leases + head.other_leases > 0 or head.outbox > 0 or head.retrying > 0 or head.held > 0
  return at_work and head.phase or 'waiting'
end
