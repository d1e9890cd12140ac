-- End a step with its result: row, data, events, timers and end of lease together. Follows core/step.py.

-- The step's own row and the run's data. A step that emits a failing event is never undone, late or not.
local function write_result(record, row, at, late)
  local head = record.head
  head.commits = head.commits + 1
  row.order = head.commits
  row.state = 'committed'
  row.late = late
  row.ended_at = at
  row.result = CALL.result or ''
  row.error = ''
  row.error_type = ''
  row.work.done = true
  for key, number in pairs(CALL.data or {}) do record.data[key] = Call.blob(number) end
  local fails = CALL.events and Record.is_run(record) and Record.bounds(record).fails
  if Record.is_run(record) then row.failed_run = false end
  for _, event in ipairs(CALL.events or {}) do
    Record.keep_sent(record, event)
    if fails and Lists.contains(fails, event.name) then row.failed_run = true end
  end
end

local function write_events(record, row, at)
  for _, event in ipairs(CALL.events or {}) do
    row.emitted[#row.emitted + 1] = event.id
    Outbox.put_event(record, event, at, row.step)
    Record.remember(record, 'event_emitted', at, {
      row = row, event = event.name, cause = row.event, detail = { id = event.id },
    })
  end
end

-- Set and cancel timers; none is set once the run has left `running`.
local function write_timers(record, row, at)
  local phase = record.head.phase
  for _, key in ipairs(CALL.cancelled_timers or {}) do
    if Record.drop_waiting(record, 't' .. key) then
      Record.remember(record, 'timer_cancelled', at, { row = row, detail = { key = key } })
    end
  end
  for _, timer in ipairs(CALL.timers or {}) do
    local event = timer.event
    if phase ~= 'running' then
      Record.remember(record, 'timer_cancelled', at, {
        row = row, event = event.name, reason = phase, detail = { key = timer.key },
      })
    else
      local time = Lists.contains(CALL.relative, timer.key) and at + timer.at or timer.at
      Record.put_waiting(record, 't' .. timer.key, {
        key = timer.key, at = time, set_by = row.step, event = event.id, name = event.name,
        causation = event.causation, bytes = Call.blob(event.blob),
      })
      Record.remember(record, 'timer_set', at, {
        row = row, event = event.name, detail = { key = timer.key, at = string.format('%.0f', time) },
      })
    end
  end
end

local function commit_late(record, row, at)
  Record.remember(record, 'step_late', at, { row = row, attempt = row.work.grants, reason = record.head.reason })
  Compensation.start_chain_when_clear(record, at, row.step)
  record.head.updated_at = at
  return 'late', { rows = Outbox.publications(record, record.fresh) }, record
end

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  if not row then return 'fenced' end
  if Record.committed(row) and row.work.ended_token == CALL.token then
    return row.late and 'late' or 'committed', { rows = Outbox.pending_of(record, row.step) }
  end
  if row.work.token ~= CALL.token then return 'fenced' end
  local head = record.head
  local late = head.phase == 'compensating' and not row.closing
  Leasing.end_lease(record, row, row.work, 'step', at, { outcome = late and 'late' or 'committed' })
  write_result(record, row, at, late)
  if late then return commit_late(record, row, at) end
  Record.remember(record, 'step_committed', at, { row = row, attempt = row.work.grants, cause = row.event })
  write_events(record, row, at)
  write_timers(record, row, at)
  local was_running = head.phase == 'running'
  local bounds = CALL.events and Record.is_run(record) and Record.bounds(record)
  for _, event in ipairs(bounds and CALL.events or {}) do
    local ends = Lists.contains(bounds.completes, event.name) or Lists.contains(bounds.fails, event.name)
    if ends and Letters.end_by_event(record, event.id, at, row) then break end
  end
  head.updated_at = at
  local ended = was_running and head.phase ~= 'running' and head.phase or ''
  return 'committed', { rows = Outbox.publications(record, record.fresh), run_ended = ended }, record
end)
