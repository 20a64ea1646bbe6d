"""Prints the mails of a reader, oldest first, as JSON: by IMAP, taken apart by the parser of the standard library."""

import email
import email.policy
import hashlib
import imaplib
import json
import sys

port, reader, password = sys.argv[1:]
server = imaplib.IMAP4("127.0.0.1", int(port))
server.login(reader, password)
_, [count] = server.select("INBOX", readonly=True)
mails = []
for number in range(1, int(count) + 1):
    _, [(_, raw), *_] = server.fetch(str(number), "(BODY.PEEK[])")
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    headers = {}
    for name, value in mail.items():
        headers.setdefault(name, str(value))
    attachments = []
    for part in mail.iter_attachments():
        content = part.get_payload(decode=True)
        attachments.append([part.get_filename(), part.get_content_type(), hashlib.sha256(content).hexdigest()])
    defects = [repr(defect) for part in mail.walk() for defect in part.defects]
    defects += [repr(defect) for value in mail.values() for defect in value.defects]
    mails.append({
        "headers": headers,
        "plain": mail.get_body(("plain",)).get_content(),
        "html": mail.get_body(("html",)).get_content(),
        "attachments": attachments,
        "defects": defects,
    })
server.logout()
print(json.dumps(mails))
