-- Answers, which says that the functions are there. Writes nothing.

return function()
  return 1
end
