-- Health of an Application, as Argo CD has found it: without it a wave doesn't wait for the Applications of the one before.
local health = (obj.status or {}).health or {}
local sync = (obj.status or {}).sync or {}

if health.status == nil then
  return { status = "Progressing", message = "Argo CD has not looked at it yet" }
end
-- An Application without any object yet is healthy by itself.
if health.status == "Healthy" and sync.status == "OutOfSync" and (obj.status.operationState or {}).phase ~= "Succeeded" then
  return { status = "Progressing", message = "has not been synchronised yet" }
end
return { status = health.status, message = health.message or "" }
