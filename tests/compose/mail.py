#!/usr/bin/env python3
"""The mail clients of run.sh, who reach the fleet by its published ports alone.

  mail.py first             submits a message with TLS and AUTH, and sends one as another server does
  mail.py load FILE         sends from all sides until SIGTERM, and keeps in FILE what was acknowledged
  mail.py compare FILE      standard input lists what is in the mailboxes: is all of FILE among it?
  mail.py read ADDRESS N    reads a mailbox by IMAP: it has N messages or more

Every message has a tag in a field of its own: it is acknowledged when the client has seen the 250 that ends its data, and
found when a mailbox has a message with this tag.
"""

import collections
import imaplib
import itertools
import os
import signal
import smtplib
import ssl
import sys
import threading

DOMAIN = os.environ["DOMAIN"]
PASSWORD = os.environ["PASSWORD"]
MAILBOXES = os.environ["MAILBOXES"].split()
TIMEOUT = 30
# Few enough that sessions end by themselves when a container drains.
MESSAGES_PER_SESSION = 10
PAUSE = 0.25


def published(variable):
    """Where a port is published: as docker-compose.yml takes it, but always with an address."""
    host, port = os.environ[variable].rsplit(":", 1)
    return host, int(port)


def tls():
    """Trusts the certificate that the fleet made for itself. It is for the fleet's name, and we come by an address."""
    context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
    context.check_hostname = False
    return context


def starttls_session(account):
    session = smtplib.SMTP(*published("SUBMISSION_PORT"), timeout=TIMEOUT)
    session.starttls(context=tls())
    session.login(account, PASSWORD)
    return session


def tls_session(account):
    session = smtplib.SMTP_SSL(*published("SUBMISSIONS_PORT"), timeout=TIMEOUT, context=tls())
    session.login(account, PASSWORD)
    return session


def server_session(_):
    return smtplib.SMTP(*published("SMTP_PORT"), timeout=TIMEOUT, local_hostname="mail.sender.test")


def address(name):
    return f"{name}@{DOMAIN}"


def message(sender, recipients, tag):
    return (
        f"From: <{sender}>\r\nTo: {', '.join(recipients)}\r\nX-Tag: {tag}\r\nSubject: {tag}\r\n"
        f"\r\nEvery message has a tag.\r\n" + "It is not short either.\r\n" * 40
    )


class Book:
    """What clients were told."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="ascii", buffering=1)
        self.counts = collections.Counter()

    def acknowledged(self, tag, recipients):
        with self.lock:
            self.counts["acknowledged"] += 1
            for recipient in recipients:
                self.file.write(f"{tag} {recipient}\n")

    def failed(self, error):
        code = getattr(error, "smtp_code", None)
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code = max(code for code, _ in error.recipients.values())
        if code is None or code < 0:
            self.count("connections broken")
        else:
            self.refused(code, error)

    def refused(self, code, said):
        if code < 500:
            self.count("refused for now (4xx)")
        else:
            self.count("refused for good (5xx)", f"refused for good: {said}")

    def count(self, what, remark=None):
        with self.lock:
            self.counts[what] += 1
            if remark:
                print(remark, file=sys.stderr)


class Client(threading.Thread):
    """Opens a session, sends some messages, and begins anew, whatever goes wrong."""

    def __init__(self, name, begin, sender, book, stop):
        super().__init__(name=name)
        self.begin, self.sender, self.book, self.stop = begin, sender, book, stop
        self.numbers = itertools.count()

    def run(self):
        while not self.stop.is_set():
            try:
                with self.begin(self.sender) as session:
                    self.send_some(session)
            except (OSError, smtplib.SMTPException) as error:
                self.book.failed(error)
                self.stop.wait(PAUSE)
            except Exception as error:  # a client that is gone would be less load, and nobody would know
                self.book.count("clients that failed", f"{self.name}: {error!r}")
                return

    def send_some(self, session):
        for number in itertools.islice(self.numbers, MESSAGES_PER_SESSION):
            if self.stop.is_set():
                return
            recipients = [address(MAILBOXES[number % len(MAILBOXES)])]
            # Now and then one for two.
            if number % 5 == 0:
                recipients.append(address(MAILBOXES[(number + 1) % len(MAILBOXES)]))
            tag = f"{self.name}-{number}"
            # The 250 at the end is for those who weren't refused.
            refused = session.sendmail(self.sender, recipients, message(self.sender, recipients, tag))
            for code, said in refused.values():
                self.book.refused(code, said)
            self.book.acknowledged(tag, [each for each in recipients if each not in refused])
            self.stop.wait(PAUSE)


def first():
    alice, bob = address(MAILBOXES[0]), address(MAILBOXES[1])
    with starttls_session(alice) as session:
        session.sendmail(alice, [bob], message(alice, [bob], "submitted"))
    with server_session(None) as session:
        session.sendmail("eve@sender.test", [bob], message("eve@sender.test", [bob], "received"))


def load(path):
    stop, book = threading.Event(), Book(path)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    clients = [
        Client(f"{name}-{number}", begin, sender, book, stop)
        for number in range(2)
        for name, begin, sender in (
            ("starttls", starttls_session, address(MAILBOXES[number])),
            ("tls", tls_session, address(MAILBOXES[number + 2])),
            ("server", server_session, "eve@sender.test"),
        )
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    for what, count in sorted(book.counts.items()):
        print(f"  clients: {what}: {count}")
    if book.counts["refused for good (5xx)"]:
        sys.exit("a fault must be 4xx for clients, never 5xx")
    if book.counts["clients that failed"]:
        sys.exit("not all clients sent until the end")


def compare(path):
    """Lines of standard input: ./<domain>/<local-part>/{new,cur}/<file>:X-Tag: <tag>"""
    found = collections.Counter()
    for line in sys.stdin:
        place, tag = line.rstrip("\r\n").split(":X-Tag: ")
        _, domain, local_part, *_ = place.split("/")
        found[f"{tag} {local_part}@{domain}"] += 1
    with open(path, encoding="ascii") as file:
        acknowledged = file.read().splitlines()
    lost = [each for each in acknowledged if each not in found]
    copies = sum(found[each] - 1 for each in acknowledged if each in found)
    print(f"  mailboxes: acknowledged {len(acknowledged)}, lost {len(lost)}, second copies {copies}")
    if lost:
        sys.exit("lost: " + "; ".join(lost[:20]))


def read(account, expected):
    with imaplib.IMAP4_SSL(*published("IMAPS_PORT"), ssl_context=tls(), timeout=TIMEOUT) as session:
        session.login(account, PASSWORD)
        _, [count] = session.select("INBOX", readonly=True)
        _, fetched = session.fetch("1:*", "(BODY[HEADER.FIELDS (X-TAG RECEIVED)])")
    for part in fetched:
        if isinstance(part, tuple):
            print(part[1].decode().strip())
    if int(count) < expected:
        sys.exit(f"{account} has {int(count)} messages, not {expected}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["first"]:
            first()
        case ["load", path]:
            load(path)
        case ["compare", path]:
            compare(path)
        case ["read", account, expected]:
            read(account, int(expected))
        case _:
            sys.exit(__doc__)
