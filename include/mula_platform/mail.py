"""Mails to people: by SMTP, or into a folder where there is no mail server."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from cutover.errors import CutoverError

SENDER = "Mula <support@mula.app>"
# Seconds that a mail server may take; a person waits for the page meanwhile.
_TIMEOUT_S = 10.0


class MailError(Exception):
    """The mail was not sent."""


def send(where: str, to: str, subject: str, text: str) -> None:
    """Send a mail, or put it into the folder that ``where`` names.

    Raises MailError, and CutoverError ``platform.bad-setting`` for a ``where`` that names no way.
    """
    message = EmailMessage()
    try:
        message["From"], message["To"], message["Subject"] = SENDER, to, subject
    except ValueError as error:
        raise MailError(str(error)) from error
    message.set_content(text)
    split = urlsplit(where)
    if split.scheme == "file":
        folder = Path(where.removeprefix("file:"))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / f"{uuid4()}.eml").write_bytes(message.as_bytes())
    elif split.scheme in ("smtp", "smtps") and split.hostname:
        _send_by_smtp(where, message)
    else:
        raise CutoverError(
            "platform.bad-setting",
            "CUTOVER_PLATFORM_MAIL",
            "it names neither a folder nor a mail server.",
            "set it to file:<folder> or smtps://user:password@host:465.",
        )


def _send_by_smtp(where: str, message: EmailMessage) -> None:
    split = urlsplit(where)
    context = ssl.create_default_context()
    server: smtplib.SMTP
    try:
        if split.scheme == "smtps":
            server = smtplib.SMTP_SSL(split.hostname or "", split.port or 465, timeout=_TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(split.hostname or "", split.port or 25, timeout=_TIMEOUT_S)
        with server:
            if split.username:
                if split.scheme == "smtp":
                    server.starttls(context=context)
                server.login(unquote(split.username), unquote(split.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise MailError(type(error).__name__) from error
