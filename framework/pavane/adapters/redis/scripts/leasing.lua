-- Leases: who may work on a job, until when, and what a lost one leaves behind. Follows core/leasing.py.

local Leasing = {}

-- Whether undo must wait for this lease: closing steps and undos are not waited for.
function Leasing.counts_for_undo(row, kind)
  return kind == 'step' and not row.closing
end

function Leasing.count_lease(record, row, kind, by)
  local counter = Leasing.counts_for_undo(row, kind) and 'leases' or 'other_leases'
  record.head[counter] = record.head[counter] + by
end

-- When the last of the leases ends that undo waits for; 0: there is none, and no row need be read.
function Leasing.latest_lease(record)
  local latest = 0
  if record.head.leases == 0 then return latest end
  for _, step in ipairs(Record.all_steps(record)) do
    local row = Record.step_of(record, step)
    if row.work.token ~= 0 and Leasing.counts_for_undo(row, 'step') then
      latest = math.max(latest, row.work.lease_until)
    end
  end
  return latest
end

-- `ended` may have `error`, `error_type` and `delay` beside its `outcome`.
function Leasing.close_attempt(work, token, at, ended)
  for _, attempt in ipairs(work.attempts) do
    if attempt.token == token and (attempt.outcome or '') == '' then
      attempt.ended_at = at
      attempt.outcome = ended.outcome
      attempt.error = ended.error
      attempt.error_type = ended.error_type
      attempt.delay = ended.delay
    end
  end
end

function Leasing.lose(record, row, work, at)
  Leasing.close_attempt(work, work.token, at, { outcome = 'lost' })
  Record.remember(record, 'lease_lost', at, { row = row, attempt = work.grants })
  work.token = 0
end

-- End a lease whose holder is gone, without anybody taking it over.
function Leasing.lose_lease(record, row, work, kind, at)
  Leasing.lose(record, row, work, at)
  Leasing.count_lease(record, row, kind, -1)
end

-- Give the job to a new holder. One whose lease is over loses it here and is fenced from now on.
function Leasing.grant(record, row, work, kind, at, begin_id, lease, host)
  local head = record.head
  if work.token ~= 0 then
    Leasing.lose(record, row, work, at)
  else
    Leasing.count_lease(record, row, kind, 1)
  end
  if row.state == 'retrying' then head.retrying = head.retrying - 1 end
  head.tokens = head.tokens + 1
  work.token = head.tokens
  work.begin_id = begin_id
  work.lease_until = at + lease
  work.next_at = 0
  work.granted[#work.granted + 1] = work.token
  work.grants = work.grants + 1
  work.attempts[#work.attempts + 1] = { number = work.grants, token = work.token, started_at = at, host = host }
  if #work.attempts > ATTEMPTS_KEPT then table.remove(work.attempts, 1) end
  head.lease_max = math.max(head.lease_max, work.lease_until)
  if row.first_token == 0 then row.first_token = work.token end
end

-- The present holder says how it ended; that clears the count of crashes.
function Leasing.end_lease(record, row, work, kind, at, ended)
  Leasing.close_attempt(work, work.token, at, ended)
  work.ended_token = work.token
  work.token = 0
  work.granted = {}
  Leasing.count_lease(record, row, kind, -1)
end

-- Take tokens off whose holders live and have let go: they did not crash, they were fenced. Says if any was there.
-- The attempt may still be listed as lost when its token is gone from the list: somebody else has ended the job.
function Leasing.report_ended(work, tokens)
  local kept, changed = {}, false
  for _, token in ipairs(work.granted) do
    if not Lists.contains(tokens, token) then kept[#kept + 1] = token end
  end
  if #kept < #work.granted then changed = true end
  for _, attempt in ipairs(work.attempts) do
    if attempt.outcome == 'lost' and Lists.contains(tokens, attempt.token) then
      attempt.outcome = 'fenced'
      changed = true
    end
  end
  work.granted = kept
  return changed
end

function Leasing.crashes(work)
  return #work.granted
end
