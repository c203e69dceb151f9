"""Submits the message on standard input as it is, and prints, as JSON, the recipients that were refused.

usage: submit_by_smtplib.py starttls|implicit PORT CERTIFICATE plain|login USER PASSWORD RECIPIENT...
"""

import json
import smtplib
import ssl
import sys

tls, port, certificate, mechanism, user, password, *recipients = sys.argv[1:]
message = sys.stdin.buffer.read()
context = ssl.create_default_context(cafile=certificate)
server = {"host": "localhost", "port": int(port), "local_hostname": "python.test", "timeout": 30}

if tls == "implicit":
    client = smtplib.SMTP_SSL(context=context, **server)
else:
    client = smtplib.SMTP(**server)
    client.starttls(context=context)
with client:
    client.ehlo_or_helo_if_needed()
    client.user, client.password = user, password
    client.auth(mechanism, getattr(client, f"auth_{mechanism}"))
    options = [] if message.isascii() else ["BODY=8BITMIME"]
    refused = client.sendmail(user, recipients, message, mail_options=options)
json.dump(sorted(refused), sys.stdout)
