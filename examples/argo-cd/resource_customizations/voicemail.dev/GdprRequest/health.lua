-- Health of a GdprRequest, by its conditions: Completed is healthy, Failed is degraded, and so is one that is overdue;
-- one that waits for an approval is suspended.
local function find(kind)
  for _, condition in ipairs((obj.status or {}).conditions or {}) do
    if condition.type == kind then
      return condition
    end
  end
  return {}
end

local completed, failed = find("Completed"), find("Failed")

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at this generation yet" }
end
if failed.status == "True" then
  return { status = "Degraded", message = failed.message }
end
if completed.status == "True" or obj.status.phase == "Undone" then
  return { status = "Healthy", message = completed.message }
end
if find("DeadlineAtRisk").status == "True" then
  return { status = "Degraded", message = find("DeadlineAtRisk").message }
end
if find("Approved").status == "False" then
  return { status = "Suspended", message = find("Approved").message }
end
return { status = "Progressing", message = completed.message or "waits for the operator" }
