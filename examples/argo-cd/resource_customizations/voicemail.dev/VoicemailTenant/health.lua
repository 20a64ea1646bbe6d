-- Health of a VoicemailTenant, by its conditions alone: Ready, Reconciling, Stalled, Paused.
local function find(kind)
  for _, condition in ipairs((obj.status or {}).conditions or {}) do
    if condition.type == kind then
      return condition
    end
  end
  return {}
end

local ready, stalled, reconciling = find("Ready"), find("Stalled"), find("Reconciling")

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = find("DeletionBlocked").message or "is being deleted" }
end
if find("Paused").status == "True" then
  return { status = "Suspended", message = find("Paused").message }
end
if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "the operator has not looked at this generation yet" }
end
if stalled.status == "True" then
  return { status = "Degraded", message = stalled.message }
end
if reconciling.status == "True" then
  return { status = "Progressing", message = reconciling.message }
end
if ready.status == "True" then
  return { status = "Healthy", message = ready.message }
end
return { status = "Progressing", message = ready.message or "waits for the operator" }
