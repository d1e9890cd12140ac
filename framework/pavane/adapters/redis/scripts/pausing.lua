-- Pause: no job of a paused run begins, and how what was held is released. Follows core/pausing.py.

local Pausing = {}

local RELEASED_AT_ONCE = 100
local RELEASE_EVERY = 1000

-- Put the next held jobs into the outbox, in the order they came.
function Pausing.release_held(record, at)
  for _, job in ipairs(Record.take_held(record, RELEASED_AT_ONCE)) do
    if job.kind == 'undo' then
      Outbox.put_undo(record, job.step, job.generation, at, '')
    else
      Outbox.put_job(record, job.worker, job.step, job.event, at, job.generation)
    end
  end
  record.head.release_at = record.head.held > 0 and at + RELEASE_EVERY or 0
end

-- Take the mark off, if it is there, and begin to release. `reason`: what ended it, if nobody resumed the run.
function Pausing.end_pause(record, at, by, reason)
  local head = record.head
  if head.paused_at == 0 then return end
  head.paused_at = 0
  head.paused_by = ''
  head.paused_reason = ''
  Record.remember(record, 'resumed', at, { by = by, reason = reason })
  Pausing.release_held(record, at)
end
