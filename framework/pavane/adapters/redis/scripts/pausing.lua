-- Pause: no job of a paused run begins, and how what was held is released. Follows core/pausing.py.

local Pausing = {}

local RELEASED_AT_ONCE = 100
local RELEASE_EVERY = 1000

-- Put the next held jobs into the outbox, if they are due, in the order they came. Each has a row of its own: a mark
-- of an earlier one, which may come late, must not take it away. The zeros keep the order when the relay publishes them.
function Pausing.release_held(record, at)
  local head = record.head
  if head.release_at == 0 or head.release_at > at then return end
  for _, job in ipairs(Record.take_held(record, RELEASED_AT_ONCE)) do
    local row = string.format('held/%09.0f', job.order)
    if job.kind == 'undo' then
      Outbox.put_undo(record, job.step, job.generation, at, '', row)
    else
      Outbox.put_job(record, job.worker, job.step, job.event, at, job.generation, row)
    end
  end
  head.release_at = head.held > 0 and at + RELEASE_EVERY or 0
end

-- Take the mark off, if it is there; held jobs are due now. `reason`: why, or what ended it if nobody did.
function Pausing.end_pause(record, at, by, reason)
  local head = record.head
  if head.paused_at == 0 then return end
  head.paused_at = 0
  head.paused_by = ''
  head.paused_reason = ''
  head.release_at = head.held > 0 and at or 0
  Record.remember(record, 'resumed', at, { by = by, reason = reason })
end
