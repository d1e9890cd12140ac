-- Dead-letter without a lease. Follows core/letters.py.

local function new_row(record, at)
  return Record.add_step(record, Record.fill({
    step = CALL.step, worker = CALL.worker, event = CALL.event and CALL.event.id or '', started_at = at,
    work = Record.new_work(),
  }, STEP, 'emitted'))
end

-- A letter that was filed before is answered, not filed again.
local function answer_dead(work, letter)
  local publish = work.unpublished == 'letter' or CALL.generation >= work.generation
  return 'dead', { letter = letter, generation = work.generation, publish = publish }
end

-- Whether the row wants nothing more from this job.
local function over(row)
  if CALL.kind == 'undo' then return row.state == 'undo_stuck' end
  return Lists.contains({ 'dead', 'undoing', 'undone', 'undo_stuck', 'refused' }, row.state)
end

local function put_back(record, row, work, at)
  work.put_back = true
  if CALL.kind == 'step' and row.state ~= 'retrying' then
    row.state = 'retrying'
    record.head.retrying = record.head.retrying + 1
  end
  record.head.updated_at = at
  return 'put_back', { delay = 0 }, record
end

local function dead(record, row, work, at)
  if CALL.event and not Record.event_of(record, CALL.event.id) then Record.keep_sent(record, CALL.event) end
  if work.token ~= 0 then Leasing.lose_lease(record, row, work, CALL.kind, at) end
  local letter = Letters.die(record, row, work, CALL.kind, CALL.verdict, at)
  Compensation.start_chain_when_clear(record, at, row.step)
  record.head.updated_at = at
  return 'dead', {
    letter = letter, generation = work.generation, publish = true, rows = Outbox.publications(record, record.fresh),
  }, record
end

return Keep.transition(function(record, at, key)
  if not record and not CALL.own_record then return 'unknown_run' end
  if not record then
    record = Record.new_record(key, { started_at = at })
    record.new = true
  end
  local row = Record.edit(record, CALL.step) or new_row(record, at)
  local work = Record.work_of(row, CALL.kind)
  if not work or work.done then return 'committed', { rows = Outbox.pending_of(record, row.step) } end
  local letter = Letters.letter_of(record, work)
  if letter then return answer_dead(work, letter) end
  if over(row) then return 'committed', { rows = Outbox.pending_of(record, row.step) } end
  if CALL.generation < work.generation then
    local delay = math.max(0, work.next_at - at)
    return 'stale', { publish = work.unpublished, generation = work.generation, delay = delay }
  end
  if work.token ~= 0 and work.lease_until > at then return 'put_back', { delay = work.lease_until - at } end
  if CALL.delivery_limit and work.grants == 0 and not work.put_back then return put_back(record, row, work, at) end
  return dead(record, row, work, at)
end)
