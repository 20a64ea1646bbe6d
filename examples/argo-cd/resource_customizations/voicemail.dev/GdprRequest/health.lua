-- Health of a GdprRequest, by its conditions: one that has ended as people decided is healthy, one that needs another
-- request is degraded, and so is one that is overdue; one that waits for an approval is suspended.
local function find(kind)
  for _, condition in ipairs((obj.status or {}).conditions or {}) do
    if condition.type == kind then
      return condition
    end
  end
  return {}
end

if find("Validated").reason == "Unreadable" then
  return { status = "Degraded", message = find("Validated").message }
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at this generation yet" }
end
if find("Stalled").status == "True" then
  return { status = "Degraded", message = find("Stalled").message }
end
if find("Finished").status == "True" then
  return { status = "Healthy", message = find("Finished").message }
end
if find("DeadlineAtRisk").status == "True" then
  return { status = "Degraded", message = find("DeadlineAtRisk").message }
end
if find("Approved").status == "False" then
  return { status = "Suspended", message = find("Approved").message }
end
return { status = "Progressing", message = find("Ready").message or "waits for the operator" }
