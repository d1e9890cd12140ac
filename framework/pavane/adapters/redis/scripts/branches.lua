-- Branches: which undos of a parallel chain must wait for which. Follows core/branches.py.

local Branches = {}

-- The ids of the events that a step was begun with: more than one for a join's.
function Branches.begun_with(record, row)
  local join = Record.joins_of(record)[row.worker]
  if not join or not join.fired or join.event ~= row.event then return { row.event } end
  local ids = {}
  for i, pair in ipairs(join.arrived or {}) do ids[i] = pair[2] end
  return ids
end

-- The step that emitted each event; an edited one is its original's.
function Branches.emitters(record)
  local emitter, steps = {}, Record.all_steps(record)
  for _, step in ipairs(steps) do
    for _, event in ipairs(Record.step_of(record, step).emitted) do emitter[event] = step end
  end
  for _, step in ipairs(steps) do
    local row = Record.step_of(record, step)
    local first = row
    while first.replaces ~= '' do first = Record.step_of(record, first.replaces) end
    if first ~= row and emitter[first.event] then emitter[row.event] = emitter[first.event] end
  end
  return emitter
end

-- The nearest steps of the chain that a step was caused by: behind each of them its own causes hold on.
function Branches.causes_in_chain(record, row, emitter, chain)
  local found, seen, unseen = {}, { [row.step] = true }, { row }
  while #unseen > 0 do
    local caused = table.remove(unseen)
    for _, event in ipairs(Branches.begun_with(record, caused)) do
      local cause = emitter[event]
      local first = cause and Record.step_of(record, cause).first_token
      -- A stranger may send an event before it is emitted: as a cause it would close a circle.
      local forged = cause and caused.first_token > 0 and first > caused.first_token
      if cause and not forged and not seen[cause] then
        seen[cause] = true
        if chain[cause] then
          found[cause] = true
        else
          unseen[#unseen + 1] = Record.step_of(record, cause)
        end
      end
    end
  end
  return found
end

-- Write into the rows of the chain whom each holds up, and how many each waits for. In the chain's order.
function Branches.tie(record)
  local emitter, chain, order = Branches.emitters(record), {}, Record.undo_of(record)
  for place, step in ipairs(order) do chain[step] = place end
  for _, step in ipairs(order) do
    local row = Record.edit(record, step)
    local nearest = Branches.causes_in_chain(record, row, emitter, chain)
    row.holds_up = {}
    for cause in pairs(nearest) do row.holds_up[#row.holds_up + 1] = cause end
    table.sort(row.holds_up, function(a, b) return chain[a] < chain[b] end)
  end
  for _, step in ipairs(order) do
    for _, cause in ipairs(Record.step_of(record, step).holds_up) do
      local row = Record.step_of(record, cause)
      row.awaits = row.awaits + 1
    end
  end
end
