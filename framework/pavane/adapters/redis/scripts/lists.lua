-- Lists: membership and order.

local Lists = {}

function Lists.contains(list, item)
  for i = 1, #(list or {}) do
    if list[i] == item then return true end
  end
  return false
end

function Lists.without(list, item)
  local kept = {}
  for i = 1, #list do
    if list[i] ~= item then kept[#kept + 1] = list[i] end
  end
  return kept
end

function Lists.equal(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    if a[i] ~= b[i] then return false end
  end
  return true
end

-- Order of bytes, which is the order of code points. Lua's own `<` would follow the server's locale.
function Lists.precedes(a, b)
  local length = math.min(#a, #b)
  for i = 1, length do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

function Lists.sorted(list)
  table.sort(list, Lists.precedes)
  return list
end
