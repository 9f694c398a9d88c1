"""By e-mail: one SMTP conversation per message, taken step by step, so that it is known how far it has come."""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate

from cutover.announce.channels import SENT, Letter, Outcome, deferred, failed, unknown
from cutover.errors import CutoverError

_LETTER = "{letter}"
# The server is not ready for anybody: it closes the connection behind it (RFC 5321, 4.2.3).
_NOT_AVAILABLE = 421
# Replies to a recipient that say that there is no such mailbox, and not that today's message is not liked.
_NO_MAILBOX = frozenset((550, 551, 553))


@dataclass(frozen=True)
class Mail:
    """What the e-mail connection says. ``connect`` opens a session that is signed in.

    ``unsubscribe`` is the address (https) that a mailbox provider posts to for one click, with ``{letter}`` in it.
    """

    connect: Callable[[], smtplib.SMTP]
    sender: str
    unsubscribe: str

    def require_usable(self, connection_id: str) -> None:
        """Raise ``announce.bad-connection`` unless a message can be made."""
        wrong = ""
        if not self.sender:
            wrong = "its extra says no from_email"
        elif _LETTER not in self.unsubscribe or not self.unsubscribe.startswith("https://"):
            wrong = "its extra says no `unsubscribe`, an https:// address with {letter} in it"
        if wrong:
            raise CutoverError(
                "announce.bad-connection",
                f"connection {connection_id}",
                f"{wrong}.",
                "set it; docs/announcements.md has an example.",
            )

    @contextmanager
    def open(self) -> Iterator[_Session]:
        """A session for one thread."""
        session = _Session(self)
        try:
            yield session
        finally:
            session.close()

    def message(self, letter: Letter) -> EmailMessage:
        """The message as it goes out: the text as it was approved, and the same as HTML."""
        # in seven bits: a server on the way need not take more
        policy = (SMTP if letter.recipient.isascii() else SMTPUTF8).clone(cte_type="7bit")
        message = EmailMessage(policy=policy)
        message["From"] = self.sender
        # one address, whatever characters it has
        message["To"] = Address(addr_spec=letter.recipient)
        message["Subject"] = letter.subject
        message["Date"] = formatdate(usegmt=True)
        # the same at each attempt: a mailbox that gets it twice can tell
        message["Message-ID"] = f"<{letter.letter}@{self.sender.rpartition('@')[2].rstrip('>')}>"
        message["Auto-Submitted"] = "auto-generated"
        message["List-Unsubscribe"] = f"<{self.unsubscribe.replace(_LETTER, letter.letter)}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        message.set_content(letter.text)
        message.add_alternative(letter.html, subtype="html")
        return message


@dataclass
class _Session:
    """A session that is opened anew when the server has ended it."""

    mail: Mail
    client: smtplib.SMTP | None = field(default=None)

    def deliver(self, letter: Letter) -> Outcome:
        """Deliver one letter. Raises ``announce.refused`` when the server does not let us in."""
        try:
            content = self.mail.message(letter).as_bytes()
        except (MessageError, ValueError, IndexError):
            return failed("no address that mail can be sent to")
        try:
            client = self._signed_in()
            refused = self._envelope(client, letter)
        except (OSError, smtplib.SMTPException) as error:
            # nothing of the message has been sent yet
            self.close()
            return deferred(f"no session ({type(error).__name__})")
        return refused or self._content(client, content)

    def _content(self, client: smtplib.SMTP, content: bytes) -> Outcome:
        """The message itself: from its last line to the server's answer nobody knows."""
        try:
            code, said = client.data(content)
        except smtplib.SMTPDataError as error:
            return self._refused(client, error.smtp_code, error.smtp_error, to_recipient=False)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return unknown(f"the session broke while it was sent ({type(error).__name__})")
        return SENT if code == 250 else self._refused(client, code, said, to_recipient=False)

    def _signed_in(self) -> smtplib.SMTP:
        try:
            self.client = self.client or self.mail.connect()
        except smtplib.SMTPAuthenticationError as error:
            raise CutoverError(
                "announce.refused",
                "the mail server",
                f"it does not accept the connection's login ({error.smtp_code}).",
                "correct login and password of the connection, then clear the task send.",
            ) from None
        return self.client

    def close(self) -> None:
        """End the session."""
        if self.client is not None:
            with suppress(OSError, smtplib.SMTPException):
                self.client.quit()
            self.client = None

    def _envelope(self, client: smtplib.SMTP, letter: Letter) -> Outcome | None:
        """Sender and recipient; what the server answers if it takes one of them not."""
        client.ehlo_or_helo_if_needed()
        options = () if letter.recipient.isascii() else ("SMTPUTF8",)
        if options and not client.has_extn("smtputf8"):
            return failed("the server takes no address of other letters")
        code, said = client.mail(self.mail.sender.rpartition("<")[2].rstrip(">"), options)
        if code != 250:
            return self._refused(client, code, said, to_recipient=False)
        code, said = client.rcpt(letter.recipient)
        return None if code in (250, 251) else self._refused(client, code, said, to_recipient=True)

    def _refused(self, client: smtplib.SMTP, code: int, said: bytes | str, *, to_recipient: bool) -> Outcome:
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        reason = f"{code} {' '.join(text.split())}"[:200]
        if code == _NOT_AVAILABLE:
            self.close()
        else:
            client.rset()
        if code >= 500:
            return failed(reason, dead=to_recipient and code in _NO_MAILBOX)
        return deferred(reason, personal=to_recipient)
