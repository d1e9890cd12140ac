-- What was asked, and how it is answered.
--
-- KEYS[1] is one key of the record (or the shard), which carries the shard's hash tag: all others are built from it.
-- ARGV[1] is the epoch that the caller knows, ARGV[2] the call as JSON, the rest are blobs that the call refers to
-- by number. An answer is its kind, its fields as JSON, when the record is due next if the call has changed that
-- (0: it has not), and blobs again. Lists that are empty are left out on both
-- sides, because cjson cannot tell an empty list from an empty object.

local PREFIX = string.match(KEYS[1], '^[^{]*{[^}]*}:')
local CALL = cjson.decode(ARGV[2])
local BLOBS = {}
local NEXT_DUE = 0

-- The shard's epoch, if it is not the one the caller knows: then Redis has forgotten what it acknowledged.
local function lost()
  local epoch = redis.call('GET', PREFIX .. 'epoch')
  if epoch and epoch == ARGV[1] then return nil end
  return { 'lost', epoch or '' }
end

local function blob(number)
  return ARGV[2 + number]
end

local function attach(bytes)
  BLOBS[#BLOBS + 1] = bytes
  return #BLOBS
end

local function reply(kind, fields)
  local answer = { kind, fields and cjson.encode(fields) or '{}', NEXT_DUE }
  for i = 1, #BLOBS do answer[3 + i] = BLOBS[i] end
  return answer
end

local function contains(list, item)
  for i = 1, #(list or {}) do
    if list[i] == item then return true end
  end
  return false
end

local function without(list, item)
  local kept = {}
  for i = 1, #list do
    if list[i] ~= item then kept[#kept + 1] = list[i] end
  end
  return kept
end

-- Order of bytes, which is the order of code points. Lua's own `<` would follow the server's locale.
local function precedes(a, b)
  local length = math.min(#a, #b)
  for i = 1, length do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function sorted(list)
  table.sort(list, precedes)
  return list
end
