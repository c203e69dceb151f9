"""Reads a delivery status notification, and prints what Python's email package finds in it."""

import email
import email.policy
import json
import sys

report = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
explanation, status, original = report.iter_parts()
about_message, *about_recipients = status.iter_parts()


def fields(message):
    return {name.lower(): str(value) for name, value in message.items()}


json.dump(
    {
        "defects": [repr(defect) for part in report.walk() for defect in part.defects],
        "header": fields(report),
        "type": report.get_content_type(),
        "report_type": report.get_param("report-type"),
        "parts": [part.get_content_type() for part in report.iter_parts()],
        "explanation": explanation.get_content(),
        "message": fields(about_message),
        "recipients": [fields(recipient) for recipient in about_recipients],
        "original": original.as_bytes().decode(errors="replace"),
    },
    sys.stdout,
)
