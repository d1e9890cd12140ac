-- Ask for a job's lease. Follows core/begin.py.

local CRASHES_BEFORE_ISOLATION = 2
local CRASHES_BEFORE_DEATH = 3

-- Refusals of what is no job of this record, or none yet: a row would refuse the job itself when it comes.
local NO_JOB = { 'second_start', 'not_in_run', 'join_open', 'not_edited' }

-- A new record for a starting event or an event outside workflows; nil: unknown run.
local function open_record(key, at)
  if CALL.edited then return nil end
  if CALL.contract and CALL.event then
    local record = Run.new_run(key, CALL.run_id, CALL.contract, CALL.event, CALL.digest, at)
    Record.remember(record, 'run_started', at, { event = CALL.event.name, cause = CALL.event.id })
    return record
  end
  if string.sub(key, 1, 1) == '~' and CALL.event then
    local record = Record.new_record(key, { started_at = at, updated_at = at })
    record.new = true
    return record
  end
  return nil
end

-- What the caller can tell by itself is left out: a first attempt, a whole lease, a step that starts now.
local function granted(record, row, work, at)
  local undo = CALL.kind == 'undo'
  local fields = { token = work.token, attempt = work.grants, now = at }
  if work.failures ~= 0 then fields.failures, fields.last_delay = work.failures, work.delay end
  if work.lease_until ~= at + CALL.lease then fields.lease_until = work.lease_until end
  if row.started_at ~= at then fields.step_started_at = row.started_at end
  if row.key_step ~= '' then fields.key_step = row.key_step end
  local data = record.new and {} or redis.call('HGETALL', Record.name_of(record, 'data'))
  if #data > 0 then
    fields.data = {}
    for i = 1, #data, 2 do fields.data[data[i]] = Call.attach(data[i + 1]) end
  end
  if undo then
    fields.reason = record.head.reason
    fields.unknown = not Record.known(row)
    fields.event = Call.attach(Record.event_of(record, row.event).bytes)
    if row.result ~= '' and not fields.unknown then fields.result = Call.attach(Record.event_of(record, row.result).bytes) end
  end
  if record.head.joins > 0 then
    for i, id in ipairs(Joining.joined_ids(record, row) or {}) do
      fields.joined = fields.joined or {}
      fields.joined[i] = Call.attach(Record.event_of(record, id).bytes)
    end
  end
  return 'granted', fields
end

-- A dead job's delivery is dropped; its letter is published if no mark says that it is safe.
local function answer_dead(work, letter)
  local publish = work.unpublished == 'letter' or CALL.generation >= work.generation
  return 'dead', { letter = letter, generation = work.generation, publish = publish }
end

-- What the row alone decides; nil: the job could be granted.
local function answer_from_row(record, row, work, at)
  local state = row.state
  if work.token ~= 0 and work.begin_id == CALL.begin_id then return granted(record, row, work, at) end
  if work.done then return 'committed', { rows = Outbox.pending_of(record, row.step) } end
  local letter = Letters.letter_of(record, work)
  if letter then return answer_dead(work, letter) end
  if state == (CALL.kind == 'step' and 'dead' or 'undo_stuck') then return 'refused', { reason = 'discarded' } end
  if CALL.kind == 'step' and Lists.contains({ 'refused', 'undoing', 'undone', 'undo_stuck' }, state) then
    return 'refused', { reason = 'run_' .. record.head.phase }
  end
  if CALL.generation < work.generation then
    return 'stale', {
      publish = work.unpublished, generation = work.generation, delay = math.max(0, work.next_at - at),
    }
  end
  if work.token ~= 0 and work.lease_until > at then return 'leased', { remaining = work.lease_until - at } end
  if work.next_at > at then return 'not_yet', { remaining = work.next_at - at } end
  return nil
end

-- Whether a job belongs to the run's closing branch. Decided once, then kept in the row.
local function is_closing(record, row)
  if row and (row.first_token ~= 0 or row.replaces ~= '') then return row.closing end
  if CALL.framework then return true end
  if not CALL.event or record.head.phase == 'running' then return false end
  if CALL.event.id == record.head.end_event then return true end
  local cause = CALL.cause and Record.step_of(record, CALL.cause)
  return (cause and cause.closing and Lists.contains(cause.emitted, CALL.event.id)) or false
end

-- Why the run does not take this job (a code), or nil.
local function why_refused(record, row)
  local phase = record.head.phase
  if CALL.edited and (not row or row.replaces == '') then return 'not_edited' end
  if not Record.is_run(record) then return CALL.join and 'not_in_run' or nil end
  if CALL.contract and CALL.event and CALL.event.id ~= Record.bounds(record).start_event then return 'second_start' end
  if CALL.join and CALL.kind == 'step' then return Joining.why_not_joined(record) end
  if CALL.kind == 'undo' then return phase ~= 'compensating' and 'run_' .. phase or nil end
  if phase == 'running' or phase == 'completed' then return nil end
  return not is_closing(record, row) and 'run_' .. phase or nil
end

-- Keep what the job is begun with, so that no header of a later copy is asked.
local function take_in(record, row)
  row.closing = is_closing(record, row) and Record.is_run(record)
  row.compensation = CALL.compensation
  if CALL.event then
    row.event = CALL.event.id
    if not Record.has_event(record, row.event) then Record.keep_sent(record, CALL.event) end
  end
end

-- The row of a job's first begin.
local function new_row(record, at)
  local row = Record.add_step(record, Record.fill({
    step = CALL.step, worker = CALL.worker, event = '', started_at = at, work = Record.new_work(),
  }, STEP, 'emitted'))
  take_in(record, row)
  return row
end

-- Note that a job came too late. Its row is refused for good; what is no job has none.
local function refuse(record, row, reason, at)
  if CALL.kind == 'undo' then return end
  if Lists.contains(NO_JOB, reason) then
    local event = CALL.event or { name = '', id = '' }
    Record.remember(record, 'step_refused', at, { event = event.name, cause = event.id, reason = reason })
    return
  end
  if not row then
    row = new_row(record, at)
  elseif row.state == 'retrying' then
    record.head.retrying = record.head.retrying - 1
  end
  row.state = 'refused'
  Record.remember(record, 'step_refused', at, { row = row, cause = row.event, reason = reason })
end

-- Whether the job may not be tried again, as the fields of *exhausted*; nil: it may.
local function why_exhausted(row, work, at)
  if Leasing.crashes(work) >= CRASHES_BEFORE_DEATH then
    return {
      reason = 'crash_loop', attempts = work.grants, error_type = 'CrashLoop',
      error = Leasing.crashes(work) .. ' processes ended while running this job',
    }
  end
  local timeout = CALL.kind == 'step' and CALL.step_timeout or 0
  if timeout ~= 0 and row.first_token ~= 0 and at >= row.started_at + timeout then
    return {
      reason = 'deadline', attempts = work.failures,
      error = row.error ~= '' and row.error or 'the time for all attempts of this step is over',
      error_type = row.error_type ~= '' and row.error_type or 'StepDeadline',
    }
  end
  return nil
end

-- Exhausted, with a verdict: dead-letter the job in this very call.
local function begin_dead(record, row, work, at)
  if work.token ~= 0 then Leasing.lose_lease(record, row, work, CALL.kind, at) end
  local letter = Letters.die(record, row, work, CALL.kind, CALL.verdict, at)
  record.head.updated_at = at
  return 'dead', {
    letter = letter, generation = work.generation, publish = true, rows = Outbox.publications(record, record.fresh),
  }
end

-- Grant: count the attempt, set the lease, and take the idle mark off, unless the step is a closing one.
local function begin_granted(record, row, work, at)
  local head, step = record.head, CALL.kind == 'step'
  Leasing.grant(record, row, work, CALL.kind, at, CALL.begin_id, CALL.lease, CALL.host)
  row.state = step and 'running' or 'undoing'
  Record.remember(record, step and 'step_started' or 'undo_started', at, {
    row = row, attempt = work.grants, cause = row.event,
  })
  if not row.closing and #head.stalled > 0 then Ending.unstall(record, 'idle', at) end
  Ending.watch_idle(record, at)
  return granted(record, row, work, at)
end

-- An arrival at a join. It takes the idle mark off, as a grant does.
local function begin_arrival(record, row, at)
  if row and row.work.token ~= 0 then Leasing.lose_lease(record, row, row.work, 'step', at) end -- begun before the join
  local changed = Joining.arrive(record, row, at)
  if changed then
    Ending.unstall(record, 'idle', at)
    Ending.watch_idle(record, at)
  end
  return 'recorded', { rows = Joining.pending_of_join(record, CALL.worker) }, changed and record or nil
end

local function settle(record, row, work, reported, at)
  local refusal = why_refused(record, row)
  if refusal then
    refuse(record, row, refusal, at)
    return 'refused', { reason = refusal }, record
  end
  if record.head.paused_at > 0 then return 'paused', { since = record.head.paused_at }, reported end
  if CALL.join and Joining.is_arrival() then return begin_arrival(record, row, at) end
  if not row then
    row = new_row(record, at)
    work = row.work
  elseif row.first_token == 0 then
    take_in(record, row)
  end
  if Leasing.crashes(work) == CRASHES_BEFORE_ISOLATION and not CALL.alone then return 'isolate', nil, reported end
  local exhausted = why_exhausted(row, work, at)
  if exhausted and not CALL.verdict then return 'exhausted', exhausted, reported end
  if exhausted then
    local kind, fields = begin_dead(record, row, work, at)
    return kind, fields, record
  end
  local kind, fields = begin_granted(record, row, work, at)
  return kind, fields, record
end

return Keep.transition(function(record, at, key)
  record = record or open_record(key, at)
  if not record then return 'unknown_run' end
  local row = Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if CALL.kind == 'undo' and not work then return 'refused', { reason = 'no_undo' } end
  local resent = work and work.begin_id == CALL.begin_id -- what it reports was written the first time
  local reported = work and not resent and Leasing.report_ended(work, CALL.ended) and record or nil
  if work then
    local kind, fields = answer_from_row(record, row, work, at)
    if kind then return kind, fields, reported end
  end
  return settle(record, row, work, reported, at)
end)
