-- Opening and saving a record: nothing else reads whole keys, and nothing else writes.

local Keep = {}

local PARTS = { 'run', 'events', 'data', 'agenda', 'waiting', 'history' }
local COUNTS = {
  events = 'HLEN', data = 'HLEN', agenda = 'ZCARD', waiting = 'HLEN', history = 'LLEN', held = 'HLEN', order = 'ZCARD',
}

-- Remove a record whose retention is over, and its entries in the shard's indexes.
function Keep.forget(record)
  for _, part in ipairs(PARTS) do redis.call('DEL', Record.name_of(record, part)) end
  redis.call('ZREM', PREFIX .. 'due', record.key)
  redis.call('ZREM', PREFIX .. 'runs', record.key)
  if record.head.shown ~= '' then redis.call('ZREM', PREFIX .. 'status:' .. record.head.shown, record.key) end
end

-- The record of this key, and whether one was forgotten instead: a record whose retention is over is gone,
-- whether a tick has noticed or not.
function Keep.open(key, at)
  local bytes = redis.call('HGET', PREFIX .. 'run:' .. key, 'head')
  if not bytes then return nil end
  local record = Record.new_record(key, cmsgpack.unpack(bytes))
  local expires = Agenda.expires_at(record)
  if expires > 0 and expires <= at then
    return nil, record
  end
  return record
end

-- Lua does not roll back: a key that somebody gave another type must fail here, before the first write. Those that
-- the transition has read have been checked by that.
function Keep.check_type(record, part)
  local name = Record.name_of(record, part)
  if type(redis.pcall(COUNTS[part], name)) == 'table' then
    error({ err = 'WRONGTYPE ' .. name .. ' is a ' .. redis.call('TYPE', name).ok })
  end
end

function Keep.check_types(record)
  if record.new then Keep.check_type(record, 'waiting') end
  if next(record.touched) then Keep.check_type(record, 'agenda') end
  if next(record.kept) then Keep.check_type(record, 'events') end
  if next(record.data) then Keep.check_type(record, 'data') end
  if #record.history > 0 then Keep.check_type(record, 'history') end
  if record.held then
    Keep.check_type(record, 'held')
    Keep.check_type(record, 'order')
  end
end

-- Held jobs that came or went. A record that has any is not forgotten, so nothing else removes them.
function Keep.save_held(record)
  local held, order = Record.name_of(record, 'held'), Record.name_of(record, 'order')
  for id, job in pairs(record.held) do
    if job then
      if job.worker == Record.worker_of(job.step) then job.worker = nil end
      redis.call('HSET', held, id, cmsgpack.pack(Record.strip(job, HELD)))
      redis.call('ZADD', order, Call.text(job.order), id)
    else
      redis.call('HDEL', held, id)
      redis.call('ZREM', order, id)
    end
  end
end

function Keep.packed_joins(record)
  for _, join in pairs(record.joins) do Record.strip(join, JOIN) end
  return cmsgpack.pack(record.joins)
end

function Keep.save_waiting(record)
  local waiting, agenda = Record.name_of(record, 'waiting'), Record.name_of(record, 'agenda')
  for field in pairs(record.touched) do
    local row = record.waiting[field]
    if row then
      local bytes = row.bytes
      row.bytes = nil
      redis.call('HSET', waiting, field, cmsgpack.pack(row) .. (bytes or ''))
      row.bytes = bytes
      redis.call('ZADD', agenda, Call.text(row.at or row.next_try), field)
    else
      redis.call('HDEL', waiting, field)
      redis.call('ZREM', agenda, field)
    end
  end
  if record.head.outbox + record.head.timers == 0 then return 0 end
  return tonumber(redis.call('ZRANGE', agenda, '0', '0', 'WITHSCORES')[2] or 0)
end

function Keep.save_letters(record, fields)
  for id in pairs(record.moved) do
    local letter = record.letters[id]
    if letter then
      fields[#fields + 1] = 'letter:' .. id
      fields[#fields + 1] = cmsgpack.pack(letter)
      redis.call('ZADD', PREFIX .. 'letters', letter.dead_at, id)
      redis.call('HSET', PREFIX .. 'letter_of', id, record.key)
    else
      redis.call('HDEL', Record.name_of(record, 'run'), 'letter:' .. id)
      redis.call('ZREM', PREFIX .. 'letters', id)
      redis.call('HDEL', PREFIX .. 'letter_of', id)
    end
  end
end

function Keep.save_indexes(record, waiting)
  local head = record.head
  local due, status = Agenda.due_at(record, waiting), Record.is_run(record) and Agenda.status_of(record) or ''
  if due ~= head.due then
    if due > 0 then redis.call('ZADD', PREFIX .. 'due', Call.text(due), record.key)
    else redis.call('ZREM', PREFIX .. 'due', record.key) end
    head.due = due
    if due > 0 and (Call.next_due == 0 or due < Call.next_due) then Call.next_due = due end
  end
  if status ~= head.shown then
    local started_at = Call.text(head.started_at)
    if head.shown == '' then redis.call('ZADD', PREFIX .. 'runs', started_at, record.key)
    else redis.call('ZREM', PREFIX .. 'status:' .. head.shown, record.key) end
    redis.call('ZADD', PREFIX .. 'status:' .. status, started_at, record.key)
    head.shown = status
  end
end

function Keep.save_steps(record, fields)
  for step in pairs(record.edited) do
    local row = record.steps[step]
    Record.strip(row.work, WORK)
    local undo = row.undo and Record.strip(row.undo, WORK)
    Record.strip(row, STEP)
    if row.worker == Record.worker_of(step) then row.worker = nil end
    row.step = nil -- the field's name says it
    row.undo = undo -- an undo that has only defaults is one all the same
    fields[#fields + 1] = 'step:' .. step
    fields[#fields + 1] = cmsgpack.pack(row)
  end
end

function Keep.save_history(record)
  if #record.history == 0 then return end
  local lines, list, length = {}, Record.name_of(record, 'history'), 0
  for i, line in ipairs(record.history) do lines[i] = cjson.encode(line) end
  for i = 1, #lines, 1000 do length = redis.call('RPUSH', list, unpack(lines, i, math.min(i + 999, #lines))) end
  local cap = record.head.cap or 100
  if length > cap then redis.call('LTRIM', list, -cap, -1) end
end

-- A record of an event outside workflows ends by itself; runs are forgotten by the tick.
function Keep.save_expiry(record)
  if Record.is_run(record) then return end
  local expires = Agenda.expires_at(record)
  for _, part in ipairs(PARTS) do
    if expires > 0 then redis.call('PEXPIREAT', Record.name_of(record, part), string.format('%.0f', expires))
    else redis.call('PERSIST', Record.name_of(record, part)) end
  end
end

function Keep.save_fields(record, part, fields)
  for i = 1, #fields, 1000 do
    redis.call('HSET', Record.name_of(record, part), unpack(fields, i, math.min(i + 999, #fields)))
  end
end

function Keep.event_fields(record)
  local fields = {}
  for id in pairs(record.kept) do
    fields[#fields + 1] = id
    fields[#fields + 1] = record.events[id].bytes
  end
  return fields
end

function Keep.data_fields(record)
  local fields = {}
  for key, bytes in pairs(record.data) do
    fields[#fields + 1] = key
    fields[#fields + 1] = bytes
  end
  return fields
end

-- Write everything that the transition has changed. All writes of all transitions happen here.
function Keep.save(record)
  Keep.check_types(record)
  local fields = {}
  Keep.save_letters(record, fields)
  Keep.save_indexes(record, Keep.save_waiting(record))
  Keep.save_steps(record, fields)
  if record.undo_changed then
    fields[#fields + 1] = 'undo'
    fields[#fields + 1] = cmsgpack.pack(record.undo)
  end
  if record.joins_changed then
    fields[#fields + 1] = 'joins'
    fields[#fields + 1] = Keep.packed_joins(record)
  end
  Keep.save_history(record)
  if record.held then Keep.save_held(record) end
  if record.new then
    fields[#fields + 1] = 'fixed'
    fields[#fields + 1] = cmsgpack.pack(record.fixed or { key = record.key })
    if record.bounds then
      fields[#fields + 1] = 'bounds'
      fields[#fields + 1] = cmsgpack.pack(record.bounds)
    end
  end
  fields[#fields + 1] = 'head'
  fields[#fields + 1] = cmsgpack.pack(Record.strip(record.head, HEAD))
  Keep.save_fields(record, 'run', fields)
  if next(record.kept) then Keep.save_fields(record, 'events', Keep.event_fields(record)) end
  if next(record.data) then Keep.save_fields(record, 'data', Keep.data_fields(record)) end
  Keep.save_expiry(record)
end

-- A transition of the record that KEYS[1] names: `decide` makes of the record, the time and its key the answer's kind,
-- its fields, and the record to save (nil: nothing is written).
function Keep.transition(decide)
  return function()
    local refusal = Call.lost()
    if refusal then return refusal end
    local at = Clock.now()
    local key = string.sub(KEYS[1], #PREFIX + 5)
    local record, expired = Keep.open(key, at)
    local kind, fields, changed = decide(record, at, key)
    if expired then Keep.forget(expired) end
    if changed then Keep.save(changed) end
    return Call.reply(kind, fields)
  end
end
