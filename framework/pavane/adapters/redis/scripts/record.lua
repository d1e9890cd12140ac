-- The record as Lua tables: its parts are loaded when first asked for, and written by `save` alone.
-- What has its default value is not stored; `fill` puts the defaults of core/record.py back.

local Record = {}

local ATTEMPTS_KEPT = 100

local WORK = {
  generation = 0, unpublished = '', token = 0, begin_id = '', ended_token = 0, lease_until = 0, grants = 0,
  failures = 0, delay = 0, next_at = 0, done = false, put_back = false, letter = '',
}
local STEP = {
  state = 'running', closing = false, late = false, failed_run = false, skipped = false, first_token = 0, order = 0,
  result = '', started_at = 0, ended_at = 0, progress = -1, note = '', error = '', error_type = '', redrives = 0,
  redrive_pass = '', awaits = 0, replaces = '', replaced_by = '', key_step = '',
}
-- `outbox` and `timers` count the rows of `waiting`, `held` the held jobs, `joins` all joins and `open` those that
-- wait; `shown` and `due` are the status and time last indexed; `cap`, `retention`, `idle_after` and `parallel` are the
-- contract's. The rest of what never changes is in `fixed`.
local HEAD = {
  phase = 'running', reason = '', end_event = '', started_at = 0, updated_at = 0, ended_at = 0, deadline_at = 0,
  void_at = 0, idle_at = 0, tokens = 0, seq = 0, commits = 0, leases = 0, other_leases = 0, lease_max = 0,
  retry_max = 0, retrying = 0, letters = 0, cancelling = false, leave = false, asked = '', paused_at = 0,
  paused_by = '', paused_reason = '', holds = 0, release_at = 0, chain = '', outbox = 0, timers = 0, held = 0,
  joins = 0, open = 0, parallel = false, shown = '', due = 0,
}
local HELD = { kind = 'step', event = '', generation = 0 }
local JOIN = { fired = false, since = 0 }
local DEFAULTS = {
  [WORK] = { __index = WORK }, [STEP] = { __index = STEP }, [HEAD] = { __index = HEAD }, [HELD] = { __index = HELD },
}

-- Give a row its defaults, without writing them into it; it gets an empty list of each given name.
function Record.fill(row, defaults, list, other)
  if list and not row[list] then row[list] = {} end
  if other and not row[other] then row[other] = {} end
  return setmetatable(row, DEFAULTS[defaults])
end

-- A row as it is stored; nobody reads it any more.
function Record.strip(row, defaults)
  for name, value in pairs(row) do
    if value == defaults[name] or (type(value) == 'table' and next(value) == nil) then row[name] = nil end
  end
  return row
end

function Record.fill_work(work)
  return Record.fill(work, WORK, 'granted', 'attempts')
end

function Record.new_record(key, head)
  return {
    key = key, head = Record.fill(head, HEAD, 'stalled'), steps = {}, edited = {}, events = {}, kept = {}, sent = {},
    data = {}, waiting = {}, touched = {}, letters = {}, moved = {}, history = {}, fresh = {}, names = {},
  }
end

function Record.name_of(record, part)
  local name = record.names[part]
  if not name then
    name = PREFIX .. part .. ':' .. record.key
    record.names[part] = name
  end
  return name
end

function Record.new_work()
  return Record.fill_work({})
end

function Record.fill_step(row)
  return Record.fill(row, STEP, 'emitted')
end

-- A step's id names its worker; rows and lines of the history say it only where it is another.
function Record.worker_of(step)
  return string.match(step, '^[^:]*')
end

function Record.read_step(step, bytes)
  local row = Record.fill(cmsgpack.unpack(bytes), STEP, 'emitted')
  row.step = step
  row.worker = row.worker or Record.worker_of(step)
  row.work = Record.fill_work(row.work or {})
  if row.undo then Record.fill_work(row.undo) end
  return row
end

function Record.step_of(record, step)
  local row = record.steps[step]
  if row == nil then
    local bytes = not record.new and redis.call('HGET', Record.name_of(record, 'run'), 'step:' .. step)
    row = bytes and Record.read_step(step, bytes) or false
    record.steps[step] = row
  end
  return row or nil
end

-- What never changes in a record: the contract and how the run began. Few transitions ask for it.
function Record.fixed(record)
  if not record.fixed then
    record.fixed = cmsgpack.unpack(redis.call('HGET', Record.name_of(record, 'run'), 'fixed'))
  end
  return record.fixed
end

-- The little of it that a step asks for: the event that began the run, and the names of those that end it.
function Record.bounds(record)
  if not record.bounds then
    record.bounds = cmsgpack.unpack(redis.call('HGET', Record.name_of(record, 'run'), 'bounds'))
  end
  return record.bounds
end

-- The row of a step, noted to be written.
function Record.edit(record, step)
  local row = Record.step_of(record, step)
  if row then record.edited[step] = true end
  return row
end

function Record.add_step(record, row)
  record.steps[row.step] = row
  record.edited[row.step] = true
  return row
end

-- All rows, by step id. Only what ends or fails a run asks for it.
function Record.all_steps(record)
  if not record.complete and not record.new then
    local fields = redis.call('HGETALL', Record.name_of(record, 'run'))
    for i = 1, #fields, 2 do
      if string.sub(fields[i], 1, 5) == 'step:' then
        local step = string.sub(fields[i], 6)
        if record.steps[step] == nil then record.steps[step] = Record.read_step(step, fields[i + 1]) end
      end
    end
    record.complete = true
  end
  local found = {}
  for step, row in pairs(record.steps) do
    if row then found[#found + 1] = step end
  end
  return Lists.sorted(found)
end

-- A step's own work, or its undo's.
function Record.work_of(row, kind)
  if not row then return nil end
  if kind == 'undo' then return row.undo end
  return row.work
end

function Record.committed(row)
  return row.order > 0
end

-- Whether the step's own handler has said what it did: it committed, and nobody did so in its place.
function Record.known(row)
  return row.order > 0 and not row.skipped
end

-- An event is stored as one line of JSON, a newline, and its payload; `bytes` is all of it.
function Record.read_event(bytes)
  local line = string.sub(bytes, 1, string.find(bytes, '\n', 1, true) - 1)
  return { name = cjson.decode(line)[2], bytes = bytes }
end

function Record.event_of(record, id)
  local event = record.events[id]
  if event == nil then
    local bytes = not record.new and redis.call('HGET', Record.name_of(record, 'events'), id)
    event = bytes and Record.read_event(bytes) or false
    record.events[id] = event
  end
  return event or nil
end

-- Whether the record keeps an event; its payload is not read for that.
function Record.has_event(record, id)
  if record.events[id] ~= nil then return record.events[id] ~= false end
  return not record.new and redis.call('HEXISTS', Record.name_of(record, 'events'), id) == 1
end

-- The name of an event that may not be there.
function Record.event_name(record, id)
  local event = Record.event_of(record, id)
  return event and event.name or ''
end

function Record.keep_event(record, id, name, bytes)
  record.events[id] = { name = name, bytes = bytes }
  record.kept[id] = true
end

-- Keep an event that the caller has sent: it need not be sent back.
function Record.keep_sent(record, event)
  Record.keep_event(record, event.id, event.name, Call.blob(event.blob))
  record.sent[event.id] = true
end

-- Rows of the outbox (`o<id>`) and timers (`t<key>`) share a hash, and a sorted set that has their times.
function Record.waiting_of(record, field)
  local row = record.waiting[field]
  if row == nil then
    local bytes = not record.new and redis.call('HGET', Record.name_of(record, 'waiting'), field)
    local stop
    row = false
    if bytes then stop, row = cmsgpack.unpack_one(bytes) end
    if stop and stop > 0 then row.bytes = string.sub(bytes, stop + 1) end
    record.waiting[field] = row
  end
  return row or nil
end

function Record.count_waiting(record, field, by)
  local counter = string.sub(field, 1, 1) == 'o' and 'outbox' or 'timers'
  record.head[counter] = record.head[counter] + by
end

function Record.put_waiting(record, field, row)
  if not Record.waiting_of(record, field) then Record.count_waiting(record, field, 1) end
  record.waiting[field] = row
  record.touched[field] = true
end

function Record.drop_waiting(record, field)
  local row = Record.waiting_of(record, field)
  if row then
    Record.count_waiting(record, field, -1)
    record.waiting[field] = false
    record.touched[field] = true
  end
  return row
end

-- All fields of `waiting` of one sort, `o` or `t`, in the order of their bytes.
function Record.waiting_fields(record, sort)
  local found = {}
  if record.head[sort == 'o' and 'outbox' or 'timers'] == 0 then return found end
  for _, field in ipairs(record.new and {} or redis.call('HKEYS', Record.name_of(record, 'waiting'))) do
    if string.sub(field, 1, 1) == sort and record.waiting[field] == nil then found[#found + 1] = field end
  end
  for field, row in pairs(record.waiting) do
    if row and string.sub(field, 1, 1) == sort then found[#found + 1] = field end
  end
  return Lists.sorted(found)
end

function Record.letter_at(record, id)
  local letter = record.letters[id]
  if letter == nil then
    local bytes = not record.new and redis.call('HGET', Record.name_of(record, 'run'), 'letter:' .. id)
    letter = bytes and cmsgpack.unpack(bytes) or false
    record.letters[id] = letter
  end
  return letter or nil
end

function Record.put_letter(record, letter)
  record.letters[letter.id] = letter
  record.moved[letter.id] = true
end

function Record.undo_of(record)
  if record.undo == nil then
    local bytes = not record.new and redis.call('HGET', Record.name_of(record, 'run'), 'undo')
    record.undo = bytes and cmsgpack.unpack(bytes) or {}
  end
  return record.undo
end

function Record.set_undo(record, steps)
  record.undo = steps
  record.undo_changed = true
end

-- All joins, by worker. The head counts them, so that a run without any reads nothing for it.
function Record.joins_of(record)
  if record.joins == nil then
    local bytes = record.head.joins > 0 and redis.call('HGET', Record.name_of(record, 'run'), 'joins')
    record.joins = bytes and cmsgpack.unpack(bytes) or {}
  end
  return record.joins
end

function Record.put_join(record, worker, join)
  Record.joins_of(record)[worker] = join
  Record.count_joins(record)
end

-- Bring the head's counts in line with the joins, and have them written.
function Record.count_joins(record)
  local head = record.head
  head.joins, head.open = 0, 0
  for _, join in pairs(record.joins) do
    head.joins = head.joins + 1
    if not join.fired then head.open = head.open + 1 end
  end
  record.joins_changed = true
end

-- Whether a job is held. Held jobs have a hash, and a sorted set that has their order.
function Record.is_held(record, id)
  return record.head.held > 0 and redis.call('HEXISTS', Record.name_of(record, 'held'), id) == 1
end

function Record.put_held(record, id, job)
  record.held = { [id] = job }
  record.head.held = record.head.held + 1
end

-- Take the first of the held jobs out, in their order.
function Record.take_held(record, limit)
  local found = {}
  if record.head.held == 0 then return found end
  local ids = redis.call('ZRANGE', Record.name_of(record, 'order'), 0, limit - 1)
  local rows = redis.call('HMGET', Record.name_of(record, 'held'), unpack(ids))
  record.held = {}
  for i, id in ipairs(ids) do
    local job = Record.fill(cmsgpack.unpack(rows[i]), HELD)
    job.worker = job.worker or Record.worker_of(job.step)
    found[i] = job
    record.held[id] = false
  end
  record.head.held = record.head.held - #ids
  return found
end

function Record.is_run(record)
  return string.sub(record.key, 1, 1) ~= '~'
end

function Record.terminal(record)
  return record.head.phase ~= 'running' and record.head.phase ~= 'compensating'
end

function Record.said(text)
  if text ~= '' then return text end
  return nil
end

-- Add one line to the history. `line` may name a `row`; empty fields are left out.
function Record.remember(record, kind, at, line)
  local head, row = record.head, line.row
  local step, worker = row and row.step, row and row.worker
  if worker and worker == Record.worker_of(step) then worker = nil end
  head.seq = head.seq + 1
  record.history[#record.history + 1] = {
    seq = head.seq, at = at, kind = kind, worker = worker, step = step,
    attempt = line.attempt ~= 0 and line.attempt or nil, event = Record.said(line.event),
    cause = Record.said(line.cause), by = Record.said(line.by), reason = Record.said(line.reason), detail = line.detail,
  }
end
