-- What people decide about a run: the parts that cancel and compensate share. Follows core/steering.py.

local Steering = { GIVEN_UP = 'operator' }

-- End the pause, if there is one, and begin to fail.
function Steering.give_up(record, reason, at)
  Pausing.end_pause(record, at, CALL.by, reason)
  Pausing.release_held(record, at)
  Compensation.fail_run(record, reason, at, { by = CALL.by, why = CALL.reason })
  record.head.updated_at = at
  return 'done', { rows = Outbox.publications(record, record.fresh) }, record
end

-- Note that somebody wanted another ending than the one that came first. A resent call adds no second line.
function Steering.come_too_late(record, asked, at)
  local head = record.head
  local refusal = 'run_' .. head.phase
  if head.asked == CALL.request then return 'refused', { reason = refusal } end
  head.asked = CALL.request
  Record.remember(record, 'cancel_requested', at, {
    by = CALL.by, reason = CALL.reason, detail = { asked = asked, refused = refusal },
  })
  return 'refused', { reason = refusal }, record
end
