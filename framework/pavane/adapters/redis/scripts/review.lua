-- What a tick does to one record. Follows core/agenda.py.

local Review = {}

-- The fields of `waiting` of one sort whose time has come, earliest first.
function Review.due_fields(record, sort, at)
  local found = {}
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', Record.name_of(record, 'agenda'), '-inf', at)) do
    if string.sub(field, 1, 1) == sort then found[#found + 1] = field end
  end
  return found
end

function Review.retry_rows(record, at)
  local due = {}
  for _, field in ipairs(Lists.sorted(Review.due_fields(record, 'o', at))) do
    Outbox.put_off(record, Record.waiting_of(record, field), at)
    due[#due + 1] = string.sub(field, 2)
  end
  return due
end

-- Turn each due timer into an outbox row, earliest first. An ending event ends the run now.
function Review.fire_timers(record, at)
  for _, field in ipairs(Review.due_fields(record, 't', at)) do
    local timer = Record.drop_waiting(record, field)
    if not timer then break end -- the timer before it ended the run
    Record.keep_event(record, timer.event, timer.name, timer.bytes)
    Outbox.put_row(record, { id = timer.event, kind = 'event', by = timer.set_by }, at)
    local setter = Record.edit(record, timer.set_by)
    if setter then setter.emitted[#setter.emitted + 1] = timer.event end
    Record.remember(record, 'timer_fired', at, {
      event = timer.name, cause = timer.causation, detail = { key = timer.key },
    })
    record.head.updated_at = at
    Letters.end_by_event(record, timer.event, at, nil)
  end
end

function Review.pass_deadline(record, at)
  local head = record.head
  if head.deadline_at > 0 and head.deadline_at <= at and head.phase == 'running' then
    Record.remember(record, 'deadline_passed', at, {})
    Compensation.fail_run(record, 'deadline', at, {})
    head.updated_at = at
  end
end

-- In a failing run, take the leases that ran out: their holders are fenced, the outcome is unknown.
function Review.void_leases(record, at)
  local head = record.head
  if head.chain ~= 'waiting' or head.void_at <= 0 or head.void_at > at then return end
  local latest = 0
  for _, step in ipairs(Record.all_steps(record)) do
    local row = Record.step_of(record, step)
    if row.work.token ~= 0 and Leasing.counts_for_undo(row, 'step') then
      if row.work.lease_until > at then
        latest = math.max(latest, row.work.lease_until)
      else
        Record.edit(record, step)
        Leasing.lose_lease(record, row, row.work, 'step', at)
        if row.state == 'running' then row.state = 'refused' end
      end
    end
  end
  head.void_at = latest
  head.updated_at = at
  Compensation.start_chain_when_clear(record, at, '')
end

-- Mark a run that nothing moves any more; the next begin takes the mark off. One that waits for a join is listed as
-- waiting, unless a lease or a retry says that it is at work: then nothing but this mark would tell.
function Review.mark_idle(record, at)
  local head = record.head
  if not head.idle_after or Record.terminal(record) or head.idle_at <= 0 or head.idle_at > at then return end
  local idle_after = head.idle_after
  if head.updated_at + idle_after > at then
    head.idle_at = head.updated_at + idle_after
    return
  end
  local leases = head.leases + head.other_leases
  local leased = leases > 0 and head.lease_max > at
  local joins = leases == 0 and head.retrying == 0 and Joining.is_waited_for(record)
  local waits = head.paused_at > 0 or head.held > 0 or head.timers > 0 or joins
  if leased or waits or head.outbox > 0 or head.retry_max > at then
    head.idle_at = at + idle_after
    return
  end
  head.idle_at = 0
  Ending.stall(record, 'idle', at)
end

-- Do what is due in a record and save it; the rows to publish.
function Review.review(record, at)
  local rows = Review.retry_rows(record, at)
  Pausing.release_held(record, at)
  Review.fire_timers(record, at)
  Review.pass_deadline(record, at)
  Review.void_leases(record, at)
  Review.mark_idle(record, at)
  for _, id in ipairs(record.fresh) do rows[#rows + 1] = id end
  record.head.due = -1 -- its entry in the index is written anew, even if it was wrong
  local found = Outbox.publications(record, rows)
  Keep.save(record)
  return found
end
