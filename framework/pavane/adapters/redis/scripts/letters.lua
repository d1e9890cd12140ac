-- Dead letters: how a job dies, and what ends a run. Follows core/letters.py.

local Letters = {}

-- End a running run if its contract names this event; says whether it did. `row` is the step that emitted it.
function Letters.end_by_event(record, event, at, row)
  local head = record.head
  if not Record.is_run(record) or head.phase ~= 'running' or (row and row.closing) then return false end
  local bounds = Record.bounds(record)
  local name = Record.event_of(record, event).name
  if Lists.contains(bounds.completes, name) then
    head.reason = name
    head.end_event = event
    Ending.finish(record, 'completed', at, event)
    return true
  end
  if Lists.contains(bounds.fails, name) then
    Compensation.fail_run(record, name, at, { cause = event, row = row and row.step or '', end_event = event })
    return true
  end
  return false
end

-- Report the letter, unless the job's own event is one of pavane's: that would never end. A join's is none.
function Letters.announce(record, row, kind, letter, work, at)
  local name = Record.event_name(record, row.event)
  if string.sub(name, 1, 7) == 'pavane.' and name ~= Joining.JOINED then return end
  if kind == 'undo' then
    Outbox.report(record, 'pavane.undo_stuck', at, row.step, {
      'dead_letter_id', letter.id, 'worker', row.worker, 'error', letter.error,
    })
    return
  end
  Outbox.report(record, 'pavane.step_dead_lettered', at, row.step, {
    'dead_letter_id', letter.id, 'worker', row.worker, 'reason', letter.reason, 'error', letter.error,
    'attempts', work.failures,
  })
end

-- Index the letter of the present generation.
function Letters.file_letter(record, row, work, verdict, at, policy)
  local letter = verdict.letter
  if not Record.letter_at(record, letter.id) then record.head.letters = record.head.letters + 1 end
  letter.generation = work.generation
  letter.redrives = row.redrives
  letter.dead_at = at
  letter.answered = policy ~= 'stall'
  Record.put_letter(record, letter)
  work.letter = letter.id
  return letter
end

-- Carry out what the policy of a dead job decided.
function Letters.apply_policy(record, row, kind, policy, verdict, at, running)
  if kind == 'undo' then
    Ending.stall(record, 'undo_stuck:' .. row.step, at)
  elseif policy == 'answer' and verdict.answer then
    row.emitted[#row.emitted + 1] = verdict.answer.id
    Outbox.put_event(record, verdict.answer, at, row.step)
    Record.remember(record, 'event_emitted', at, { row = row, event = verdict.answer.name, cause = row.event })
    Letters.end_by_event(record, verdict.answer.id, at, row)
  elseif policy == 'compensate' then
    Compensation.fail_run(record, 'step_dead', at, { cause = row.event, row = row.step })
  elseif running then
    Ending.stall(record, 'dead:' .. row.step, at)
  end
end

-- Dead-letter a job that holds no lease, and carry out what its `on_exhausted` decided.
function Letters.die(record, row, work, kind, verdict, at)
  local head = record.head
  if row.state == 'retrying' then head.retrying = head.retrying - 1 end
  work.generation = work.generation + 1
  work.unpublished = 'letter'
  work.granted = {}
  work.next_at = 0
  row.state = kind == 'step' and 'dead' or 'undo_stuck'
  row.ended_at = at
  row.error = verdict.letter.error
  row.error_type = verdict.letter.error_type
  local running = Record.is_run(record) and head.phase == 'running' and not row.closing
  local failing = Record.is_run(record) and head.phase ~= 'running' and head.phase ~= 'completed' and not row.closing
  local policy = (kind == 'undo' or failing) and 'stall' or verdict.policy
  if policy == 'compensate' and not running then policy = 'stall' end
  local letter = Letters.file_letter(record, row, work, verdict, at, policy)
  Record.remember(record, kind == 'step' and 'step_dead' or 'undo_stuck', at, {
    row = row, attempt = work.grants, event = Record.event_name(record, row.event), reason = letter.reason,
    detail = { error = letter.error },
  })
  Letters.announce(record, row, kind, letter, work, at)
  Letters.apply_policy(record, row, kind, policy, verdict, at, running)
  return letter
end

-- The letter that is listed for a job, or nil: its work names it, so that not all have to be looked at.
function Letters.letter_of(record, work)
  if work.letter == '' then return nil end
  return Record.letter_at(record, work.letter)
end

-- Take a letter off the index, and the mark that it put on the run.
function Letters.drop_letter(record, row, letter, at)
  record.letters[letter.id] = false
  record.moved[letter.id] = true
  record.head.letters = record.head.letters - 1
  for _, work in ipairs({ row.work, row.undo }) do
    if work.letter == letter.id then work.letter = '' end
  end
  Ending.unstall(record, 'dead:' .. row.step, at)
  Ending.unstall(record, 'undo_stuck:' .. row.step, at)
end
