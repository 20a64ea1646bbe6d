"""How schemathesis writes and reads bodies that aren't JSON: audio as bytes, archives not at all."""

import schemathesis


@schemathesis.serializer("audio/wav")
def write_audio(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.deserializer("audio/wav", "application/x-tar")
def read_bytes(context, response):
    return response.content.decode("latin-1")
