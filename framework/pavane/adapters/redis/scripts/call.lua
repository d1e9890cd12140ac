-- What was asked, and how it is answered.
--
-- KEYS[1] is one key of the record (or the shard), which carries the shard's hash tag: all others are built from it.
-- ARGV[1] is the epoch that the caller knows, ARGV[2] the call as JSON, the rest are blobs that the call refers to
-- by number. An answer is its kind, its fields as JSON, when the record is due next if the call has changed that
-- (0: it has not), and blobs again. Lists that are empty are left out on both sides, because cjson cannot tell an
-- empty list from an empty object.
--
-- The functions outlive the call. What belongs to one call is set by `take`, and kept nowhere else.

local Call = {}
local KEYS, ARGV, PREFIX, CALL, BLOBS

function Call.take(keys, arguments)
  KEYS, ARGV = keys, arguments
  PREFIX = string.match(keys[1], '^[^{]*{[^}]*}:')
  CALL = arguments[2] and cjson.decode(arguments[2])
  BLOBS = {}
  Call.next_due = 0
end

-- The shard's epoch, if it is not the one the caller knows: then Redis has forgotten what it acknowledged.
function Call.lost()
  local epoch = redis.call('GET', PREFIX .. 'epoch')
  if epoch and epoch == ARGV[1] then return nil end
  return { 'lost', epoch or '' }
end

-- A number as an argument of a command. Redis's own way of writing it costs more than the command.
function Call.text(number)
  return string.format('%d', number)
end

function Call.blob(number)
  return ARGV[2 + number]
end

function Call.attach(bytes)
  BLOBS[#BLOBS + 1] = bytes
  return #BLOBS
end

function Call.reply(kind, fields)
  local answer = { kind, fields and cjson.encode(fields) or '{}', Call.next_due }
  for i = 1, #BLOBS do answer[3 + i] = BLOBS[i] end
  return answer
end
