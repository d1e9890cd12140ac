-- What a transition hands to the relay. Follows core/outbox.py.

local FIRST_TRY = 3000
local LONGEST_TRY = 60000
local LONGEST_RETURN = 3600000

-- Queue an event that the record keeps already.
local function put_row(record, row, at)
  row.next_try = at + FIRST_TRY
  put_waiting(record, 'o' .. row.id, row)
  record.fresh[#record.fresh + 1] = row.id
end

-- Keep an event of the call and have it published.
local function put_event(record, event, at, by)
  keep_sent(record, event)
  put_row(record, { id = event.id, kind = 'event', by = by }, at)
end

local function put_undo(record, step, generation, at, by)
  put_row(record, { id = 'undo/' .. step, kind = 'undo', by = by, step = step, generation = generation }, at)
end

local function put_off(record, row, at, longest)
  local tries = row.tries or 0
  row.next_try = at + math.min(longest or LONGEST_TRY, FIRST_TRY * 2 ^ math.min(tries, 20))
  row.tries = tries + 1
  put_waiting(record, 'o' .. row.id, row)
end

local function publication(record, row)
  if row.kind == 'event' then
    if record.sent[row.id] then return { row = row.id } end
    return { row = row.id, blob = attach(event_of(record, row.id).bytes) }
  end
  local step = step_of(record, row.step)
  return {
    row = row.id, worker = step.worker, step = step.step, generation = row.generation,
    blob = attach(event_of(record, step.event).bytes),
  }
end

-- What to publish for these rows; rows that are gone are passed over.
local function publications(record, rows)
  local found = {}
  for _, id in ipairs(rows) do
    local row = waiting_of(record, 'o' .. id)
    if row then found[#found + 1] = publication(record, row) end
  end
  return found
end

-- The rows that a step's calls have written and nobody has marked, in order of their ids.
local function pending_of(record, step)
  local rows = {}
  for _, field in ipairs(waiting_fields(record, 'o')) do
    if waiting_of(record, field).by == step then rows[#rows + 1] = string.sub(field, 2) end
  end
  return publications(record, rows)
end

local ESCAPES = {
  ['"'] = '\\"', ['\\'] = '\\\\', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n', ['\r'] = '\\r', ['\t'] = '\\t',
}

-- A JSON string as Python's json.dumps(ensure_ascii=False) writes it.
local function quote(text)
  local escaped = string.gsub(text, '[%c"\\]', function(char)
    local code = string.byte(char)
    if code == 127 then return char end
    return ESCAPES[char] or string.format('\\u%04x', code)
  end)
  return '"' .. escaped .. '"'
end

local function number(value)
  return string.format('%.0f', value)
end

-- Write one of pavane's own events about the run, if anybody subscribes to it.
-- `fields` is a list of names and values: their order is part of the payload.
local function report(record, name, at, by, fields)
  local head = record.head
  if not contains(CALL.subscribed, name) then return end
  head.seq = head.seq + 1
  local id = redis.sha1hex(record.key .. '/' .. name .. '/' .. number(head.seq))
  local about = {
    '"run":' .. (is_run(record) and quote(record.key) or 'null'),
    '"workflow":' .. (is_run(record) and quote(head.workflow) or 'null'),
    '"at":' .. number(at),
  }
  for i = 1, #fields, 2 do
    local value = fields[i + 1]
    about[#about + 1] = quote(fields[i]) .. ':' .. (type(value) == 'number' and number(value) or quote(value))
  end
  local line = cjson.encode({ id, name, 1, at, 'pavane', '', 0, '', '', '' })
  keep_event(record, id, name, line .. '\n{' .. table.concat(about, ',') .. '}')
  record.sent[id] = nil
  put_row(record, { id = id, kind = 'event', by = by }, at)
end
