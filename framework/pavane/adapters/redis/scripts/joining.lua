-- Joins: a worker with `on_all` runs once in a run, when one of each of its events is there. Follows core/joining.py.

local Joining = { JOINED = 'pavane.joined' }

-- Whether a delivery brings one of the events to join, and not the join's own.
function Joining.is_arrival()
  return CALL.kind == 'step' and (not CALL.event or CALL.event.id ~= CALL.join.event.id)
end

-- Why a run takes neither an arrival nor the join's job (a code), or nil.
function Joining.why_not_joined(record)
  local phase = record.head.phase
  if phase ~= 'running' and phase ~= 'completed' then return 'run_' .. phase end
  local join = Record.joins_of(record)[CALL.worker]
  if (join and join.fired) or Joining.is_arrival() then return nil end
  return 'join_open'
end

-- The id of the event of this name that has arrived, or nil.
function Joining.arrived_id(join, name)
  for _, pair in ipairs(join.arrived or {}) do
    if pair[1] == name then return pair[2] end
  end
  return nil
end

-- Record an arrival, and fire the join if it is the last. Says whether anything has changed.
function Joining.arrive(record, row, at)
  local event, spec = CALL.event, CALL.join
  if not event then return false end
  if row then Joining.settle_arrival(record, row, at) end
  local join, names = Record.joins_of(record)[CALL.worker], spec.names or {}
  if join and join.fired then return row ~= nil end
  local changed = not join or not Lists.equal(join.names or {}, names)
  join = join or { event = spec.event.id, arrived = {}, fired = false, since = at }
  join.names = names
  if Lists.contains(names, event.name) and not Joining.arrived_id(join, event.name) then
    join.arrived = join.arrived or {}
    join.arrived[#join.arrived + 1] = { event.name, event.id }
    if not Record.has_event(record, event.id) then Record.keep_sent(record, event) end
    changed = true
  end
  if not changed then return row ~= nil end
  Record.put_join(record, CALL.worker, join)
  record.head.updated_at = at
  for _, name in ipairs(names) do
    if not Joining.arrived_id(join, name) then return true end
  end
  Joining.fire(record, join, event, spec, at)
  return true
end

-- An arrival has a row only if its message was dead or given up before. It has arrived now.
function Joining.settle_arrival(record, row, at)
  local head = record.head
  if row.state == 'retrying' then head.retrying = head.retrying - 1 end
  head.commits = head.commits + 1
  row.order = head.commits
  row.state = 'committed'
  row.ended_at = at
  row.error = ''
  row.error_type = ''
  row.work.unpublished = ''
  row.work.done = true
  Record.remember(record, 'step_committed', at, { row = row, cause = row.event })
  head.updated_at = at
end

-- Write the join's one job. It has a row already if somebody delivered its event too early, and that died.
function Joining.fire(record, join, event, spec, at)
  local worker, step = CALL.worker, CALL.worker .. ':' .. join.event
  local row = Record.step_of(record, step)
  join.fired = true
  Record.put_join(record, worker, join)
  Record.keep_event(record, join.event, spec.event.name, Call.blob(spec.event.blob))
  Outbox.put_job(record, worker, step, join.event, at, row and row.work.generation or 0)
  Record.remember(record, 'gathered', at, {
    row = { step = step, worker = worker }, event = event.name, cause = event.id,
  })
end

-- The join's job, if an arrival has written it and nobody has marked it.
function Joining.pending_of_join(record, worker)
  local join = Record.joins_of(record)[worker]
  return join and Outbox.publications(record, { 'job/' .. worker .. ':' .. join.event }) or {}
end

-- The ids of the events that a job was written for, in the order of its handler's arguments; nil: it is no join's.
function Joining.joined_ids(record, row)
  local join = Record.joins_of(record)[row.worker]
  if not join or not join.fired or join.event ~= row.event then return nil end
  local ids = {}
  for i, name in ipairs(join.names or {}) do ids[i] = Joining.arrived_id(join, name) end
  return ids
end

-- A failing run fires no join any more.
function Joining.drop_open(record)
  if record.head.open == 0 then return end
  for worker, join in pairs(Record.joins_of(record)) do
    if not join.fired then record.joins[worker] = nil end
  end
  Record.count_joins(record)
end

-- Whether a running run has a join that something has arrived for and something has not.
function Joining.is_waited_for(record)
  return record.head.open > 0 and record.head.phase == 'running'
end
