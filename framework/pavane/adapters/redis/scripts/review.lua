-- What a tick does to one record. Follows core/agenda.py.

-- The fields of `waiting` of one sort whose time has come, earliest first.
local function due_fields(record, sort, at)
  local found = {}
  for _, field in ipairs(redis.call('ZRANGEBYSCORE', name_of(record, 'agenda'), '-inf', at)) do
    if string.sub(field, 1, 1) == sort then found[#found + 1] = field end
  end
  return found
end

local function retry_rows(record, at)
  local due = {}
  for _, field in ipairs(sorted(due_fields(record, 'o', at))) do
    put_off(record, waiting_of(record, field), at)
    due[#due + 1] = string.sub(field, 2)
  end
  return due
end

-- Turn each due timer into an outbox row, earliest first. An ending event ends the run now.
local function fire_timers(record, at)
  for _, field in ipairs(due_fields(record, 't', at)) do
    local timer = drop_waiting(record, field)
    if not timer then break end -- the timer before it ended the run
    keep_event(record, timer.event, timer.name, timer.bytes)
    put_row(record, { id = timer.event, kind = 'event', by = timer.set_by }, at)
    remember(record, 'timer_fired', at, { event = timer.name, cause = timer.causation, detail = { key = timer.key } })
    record.head.updated_at = at
    end_by_event(record, timer.event, at, nil)
  end
end

local function pass_deadline(record, at)
  local head = record.head
  if head.deadline_at > 0 and head.deadline_at <= at and head.phase == 'running' then
    remember(record, 'deadline_passed', at, {})
    fail_run(record, 'deadline', at, {})
    head.updated_at = at
  end
end

-- In a failing run, take the leases that ran out: their holders are fenced, the outcome is unknown.
local function void_leases(record, at)
  local head = record.head
  if head.chain ~= 'waiting' or head.void_at <= 0 or head.void_at > at then return end
  local latest = 0
  for _, step in ipairs(all_steps(record)) do
    local row = step_of(record, step)
    if row.work.token ~= 0 and counts_for_undo(row, 'step') then
      if row.work.lease_until > at then
        latest = math.max(latest, row.work.lease_until)
      else
        edit(record, step)
        lose_lease(record, row, row.work, 'step', at)
        if row.state == 'running' then row.state = 'refused' end
      end
    end
  end
  head.void_at = latest
  head.updated_at = at
  start_chain_when_clear(record, at, '')
end

-- Mark a run that nothing moves any more; the next begin takes the mark off.
local function mark_idle(record, at)
  local head = record.head
  if not head.contract or terminal(record) or head.idle_at <= 0 or head.idle_at > at then return end
  local idle_after = head.contract.idle_after
  if head.updated_at + idle_after > at then
    head.idle_at = head.updated_at + idle_after
    return
  end
  local leased = head.leases + head.other_leases > 0 and head.lease_max > at
  if leased or head.outbox > 0 or head.timers > 0 or head.retry_max > at then
    head.idle_at = at + idle_after
    return
  end
  head.idle_at = 0
  stall(record, 'idle', at)
end

-- Do what is due in a record and save it; the rows to publish.
local function review(record, at)
  local rows = retry_rows(record, at)
  fire_timers(record, at)
  pass_deadline(record, at)
  void_leases(record, at)
  mark_idle(record, at)
  for _, id in ipairs(record.fresh) do rows[#rows + 1] = id end
  record.head.due = -1 -- its entry in the index is written anew, even if it was wrong
  local found = publications(record, rows)
  save(record)
  return found
end
