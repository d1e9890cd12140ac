-- Undo: a failing run waits for its leases, then undoes step after step. Follows core/compensation.py.

local Compensation = {}

-- Steps that began, will not go on and have no undo are refused from here on.
function Compensation.settle_without_undo(record)
  for _, step in ipairs(Record.all_steps(record)) do
    local row = Record.step_of(record, step)
    if (row.state == 'running' or row.state == 'retrying') and not row.closing then
      Record.edit(record, step)
      if row.state == 'retrying' then record.head.retrying = record.head.retrying - 1 end
      row.state = 'refused'
    end
  end
end

function Compensation.needs_undo(record, row)
  local undo = row.compensation
  if not undo or row.closing or row.failed_run or row.first_token == 0 then return false end
  if not Record.known(row) then return undo.uncertain end
  if not undo.admits then return true end
  return Lists.contains(undo.admits, row.result ~= '' and Record.event_of(record, row.result).name or '')
end

-- Unknown outcomes first, latest begun first; then the committed, latest commit first. A skip has its own place.
function Compensation.undo_order(record)
  local due = {}
  for _, step in ipairs(Record.all_steps(record)) do
    local row = Record.step_of(record, step)
    if Compensation.needs_undo(record, row) then due[#due + 1] = row end
  end
  table.sort(due, function(a, b)
    if Record.committed(a) ~= Record.committed(b) then return not Record.committed(a) end
    if a.order ~= b.order then return a.order > b.order end
    return a.first_token > b.first_token
  end)
  local steps = {}
  for i, row in ipairs(due) do steps[i] = row.step end
  return steps
end

-- Write the wake-up of a step's undo.
function Compensation.wake_undo(record, step, at, by)
  local row = Record.edit(record, step)
  if row then
    row.undo = Record.new_work()
    row.state = 'undoing'
    Outbox.put_undo(record, row.step, 0, at, by)
  end
end

-- Wake what waited for this undo alone: the next step of the chain, or the causes of this one.
function Compensation.next_undos(record, done, at)
  if not record.head.parallel then
    Compensation.wake_undo(record, Record.undo_of(record)[1], at, done.step)
    return
  end
  for _, step in ipairs(done.holds_up or {}) do
    local row = Record.edit(record, step)
    if row then
      row.awaits = row.awaits - 1
      if row.awaits == 0 then Compensation.wake_undo(record, step, at, done.step) end
    end
  end
end

-- Start undoing if the run is failing and its last lease has just ended; a cancel may want it left as it is.
function Compensation.start_chain_when_clear(record, at, by)
  local head = record.head
  if head.chain ~= 'waiting' or head.leases > 0 then return end
  head.chain = 'running'
  head.void_at = 0
  Compensation.settle_without_undo(record)
  local order = Compensation.undo_order(record)
  if head.leave then
    Ending.finish(record, 'cancelled', at, nil, order)
    return
  end
  if #order == 0 then
    Ending.finish(record, head.cancelling and 'cancelled' or 'failed', at)
    return
  end
  Record.set_undo(record, order)
  if not head.parallel then
    Compensation.wake_undo(record, order[1], at, by)
    return
  end
  Branches.tie(record)
  for _, step in ipairs(order) do
    if Record.step_of(record, step).awaits == 0 then Compensation.wake_undo(record, step, at, by) end
  end
end

-- Begin to fail. `why` has `cause`, `by`, `why` (the reason that `by` gave), `row` (the step whose call does it) and
-- `end_event`.
function Compensation.fail_run(record, reason, at, why)
  local head = record.head
  head.phase = 'compensating'
  head.reason = reason
  head.end_event = why.end_event or ''
  Ending.leave_running(record)
  Ending.watch_idle(record, at)
  Joining.drop_open(record)
  head.chain = 'waiting'
  head.void_at = Leasing.latest_lease(record)
  Record.remember(record, 'compensation_started', at, {
    cause = why.cause, by = why.by, reason = reason, detail = Record.said(why.why) and { why = why.why },
  })
  Compensation.start_chain_when_clear(record, at, why.row)
end
