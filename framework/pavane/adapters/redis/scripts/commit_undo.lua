-- End one undo and write what waited for it; the last one ends the run. Follows core/compensation.py.

return Keep.transition(function(record, at)
  local row = record and Record.edit(record, CALL.step)
  local work = Record.work_of(row, 'undo')
  if not work then return 'fenced' end
  if work.done and work.ended_token == CALL.token then
    return 'committed', { rows = Outbox.pending_of(record, row.step) }
  end
  if work.token ~= CALL.token or work.done then return 'fenced' end
  local head = record.head
  Leasing.end_lease(record, row, work, 'undo', at, { outcome = 'committed' })
  work.done = true
  row.state = 'undone'
  Record.remember(record, 'undo_done', at, { row = row, attempt = work.grants })
  Record.set_undo(record, Lists.without(Record.undo_of(record), row.step))
  if #record.undo > 0 then
    Compensation.next_undos(record, row, at)
  else
    Ending.finish(record, head.cancelling and 'cancelled' or 'compensated', at)
  end
  head.updated_at = at
  local ended = Record.terminal(record) and head.phase or ''
  return 'committed', { rows = Outbox.publications(record, record.fresh), run_ended = ended }, record
end)
