-- Give a dead job another life: a new generation with all its attempts before it. Follows core/letters.py.

-- The reason a letter's job may not live again, or nil.
local function why_not_redriven(record, row, letter)
  local phase = record.head.phase
  if letter.answered and not CALL.force then return 'answered' end
  if CALL.kind == 'undo' then return phase ~= 'compensating' and 'run_' .. phase or nil end
  if phase == 'running' or phase == 'completed' or row.closing then return nil end
  return 'run_' .. phase
end

-- A new life has all its attempts and, for the step's own time limit, all its time before it.
local function revive(record, row, work, at)
  work.generation = work.generation + 1
  work.unpublished = 'retry'
  work.failures = 0
  work.delay = 0
  work.next_at = 0
  work.granted = {}
  work.put_back = false
  if CALL.kind == 'step' then
    row.state = 'retrying'
    row.started_at = at
    row.ended_at = 0
    record.head.retrying = record.head.retrying + 1
  else
    row.state = 'undoing'
  end
end

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, CALL.kind)
  if not work then return 'redriven', { outcome = 'gone' } end
  if work.generation > CALL.generation then
    local again = work.generation == CALL.generation + 1 and work.unpublished == 'retry'
    return 'redriven', { outcome = again and 'again' or 'gone', generation = work.generation }
  end
  local letter = Record.letter_at(record, CALL.letter)
  if not letter then return 'redriven', { outcome = 'gone' } end
  local refusal = why_not_redriven(record, row, letter)
  if refusal then return 'redriven', { outcome = 'refused', reason = refusal } end
  revive(record, row, work, at)
  row.redrives = row.redrives + 1
  row.redrive_pass = CALL.pass_id
  Letters.drop_letter(record, row, letter, at)
  Record.remember(record, 'redriven', at, { row = row, by = CALL.by, reason = CALL.reason })
  record.head.updated_at = at
  return 'redriven', { outcome = 'publish', generation = work.generation }, record
end)
