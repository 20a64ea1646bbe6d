"""How schemathesis writes and reads bodies that aren't JSON: audio as bytes, archives not at all; and what each role may."""

import os

import schemathesis

# What somebody without the role learns: nothing about what is there, only that they may not, or that nobody can.
REFUSALS = {401, 403, 405}


@schemathesis.serializer("audio/wav")
def write_audio(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("audio/wav", "application/x-tar")
def read_bytes(context, response):
    return response.content.decode("latin-1")


@schemathesis.check
def answers_by_role(context, response, case):
    """An operation takes the roles that its security names, and no other."""
    role = os.environ.get("SCHEMATHESIS_ROLE")
    ways = case.operation.definition.raw.get("security", [])
    roles = {name for way in ways for names in way.values() for name in names}
    # A preflight is for everybody; what isn't the operation's own method is refused to all.
    if not role or not roles or case.method.upper() != case.operation.method.upper():
        return
    status = response.status_code
    if role not in roles:
        assert status in REFUSALS, f"{role} isn't among {sorted(roles)} and is answered {status}"
    elif status == 403 and "onBehalfOf" not in str(case.body):
        kind = response.json().get("type") if response.content else None
        assert kind != "/problems/role-missing", f"{role} is among {sorted(roles)} and is told that a role is missing"
