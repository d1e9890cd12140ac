-- Add a line to the audit. KEYS[1] is a stream; ARGV: about how many lines it keeps, and the line as JSON. It may go
-- past the limit of the memory, as what it tells of may: the stream has one of its own.

return function()
  return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'line', ARGV[2])
end
