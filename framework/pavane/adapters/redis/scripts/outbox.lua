-- What a transition hands to the relay. Follows core/outbox.py.

local Outbox = {}

local FIRST_TRY = 3000
local LONGEST_TRY = 60000
Outbox.LONGEST_RETURN = 3600000

-- Queue an event that the record keeps already.
function Outbox.put_row(record, row, at)
  row.next_try = at + FIRST_TRY
  Record.put_waiting(record, 'o' .. row.id, row)
  record.fresh[#record.fresh + 1] = row.id
end

-- Keep an event of the call and have it published.
function Outbox.put_event(record, event, at, by)
  Record.keep_sent(record, event)
  Outbox.put_row(record, { id = event.id, kind = 'event', by = by }, at)
end

-- Have one job delivered to its worker alone: a held one, or a join's. Its event is known to the record.
function Outbox.put_job(record, worker, step, event, at, generation, id)
  Outbox.put_row(record, {
    id = id or 'job/' .. step, kind = 'job', worker = worker, step = step, event = event, generation = generation,
  }, at)
end

function Outbox.put_undo(record, step, generation, at, by, id)
  Outbox.put_row(record, {
    id = id or 'undo/' .. step, kind = 'undo', by = by, step = step, generation = generation,
  }, at)
end

function Outbox.put_off(record, row, at, longest)
  local tries = row.tries or 0
  row.next_try = at + math.min(longest or LONGEST_TRY, FIRST_TRY * 2 ^ math.min(tries, 20))
  row.tries = tries + 1
  Record.put_waiting(record, 'o' .. row.id, row)
end

function Outbox.publication(record, row)
  if row.kind == 'event' then
    if record.sent[row.id] then return { row = row.id } end
    return { row = row.id, blob = Call.attach(Record.event_of(record, row.id).bytes) }
  end
  local step = Record.step_of(record, row.step)
  if row.kind == 'job' then
    return {
      row = row.id, kind = 'job', worker = row.worker, step = row.step, generation = row.generation,
      edited = step and step.replaces ~= '' or nil, blob = Call.attach(Record.event_of(record, row.event).bytes),
    }
  end
  return {
    row = row.id, worker = step.worker, step = step.step, generation = row.generation,
    blob = Call.attach(Record.event_of(record, step.event).bytes),
  }
end

-- What to publish for these rows; rows that are gone are passed over.
function Outbox.publications(record, rows)
  local found = {}
  for _, id in ipairs(rows) do
    local row = Record.waiting_of(record, 'o' .. id)
    if row then found[#found + 1] = Outbox.publication(record, row) end
  end
  return found
end

-- The rows that a step's calls have written and nobody has marked, in order of their ids.
function Outbox.pending_of(record, step)
  local rows = {}
  for _, field in ipairs(Record.waiting_fields(record, 'o')) do
    if (Record.waiting_of(record, field).by or '') == step then rows[#rows + 1] = string.sub(field, 2) end
  end
  return Outbox.publications(record, rows)
end

local ESCAPES = {
  ['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t',
}

-- A JSON string as Python's json.dumps(ensure_ascii=False) writes it.
function Outbox.quote(text)
  local escaped = string.gsub(text, '[%c"\\]', function(char)
    local code = string.byte(char)
    if code == 127 then return char end
    return ESCAPES[char] or string.format('\\u%04x', code)
  end)
  return '"' .. escaped .. '"'
end

function Outbox.number(value)
  return string.format('%.0f', value)
end

-- Write one of pavane's own events about the run, if anybody subscribes to it.
-- `fields` is a list of names and values: their order is part of the payload.
function Outbox.report(record, name, at, by, fields)
  local head = record.head
  if not Lists.contains(CALL.subscribed, name) then return end
  head.seq = head.seq + 1
  local id = redis.sha1hex(record.key .. '/' .. name .. '/' .. Outbox.number(head.seq))
  local about = {
    '"run":' .. (Record.is_run(record) and Outbox.quote(record.key) or 'null'),
    '"workflow":' .. (Record.is_run(record) and Outbox.quote(Record.fixed(record).workflow) or 'null'),
    '"at":' .. Outbox.number(at),
  }
  for i = 1, #fields, 2 do
    local value = fields[i + 1]
    local json = type(value) == 'number' and Outbox.number(value) or Outbox.quote(value)
    about[#about + 1] = Outbox.quote(fields[i]) .. ':' .. json
  end
  local line = cjson.encode({ id, name, 1, at, 'pavane', '', 0, '', '', '' })
  Record.keep_event(record, id, name, line .. '\n{' .. table.concat(about, ',') .. '}')
  record.sent[id] = nil
  Outbox.put_row(record, { id = id, kind = 'event', by = by }, at)
end
