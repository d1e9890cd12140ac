-- How runs come to be. Follows core/run.py.

local Run = {}

-- An empty running run. The starting event is kept, not published.
function Run.new_run(key, run_id, contract, event, digest, at)
  local deadline = contract.deadline or 0
  local record = Record.new_record(key, {
    started_at = at, updated_at = at, deadline_at = deadline ~= 0 and at + deadline or 0,
    idle_at = at + contract.idle_after, cap = contract.max_history, retention = contract.retention,
    idle_after = contract.idle_after, parallel = contract.undo == 'parallel',
  })
  record.fixed = {
    key = key, workflow = contract.workflow, run_id = run_id, contract = contract, start_event = event.id,
    start_digest = digest,
  }
  record.bounds = { start_event = event.id, completes = contract.completes, fails = contract.fails }
  record.new = true
  Record.keep_sent(record, event)
  return record
end
