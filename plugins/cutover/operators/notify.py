"""Tells people that an approval waits: by e-mail over the SMTP provider, and by a webhook.

Who is told is said by two Airflow connections, both optional (docs/review.md):

* ``cutover_smtp``, of type SMTP; its extra names the recipients: ``{"to": ["ops@example.com"]}``.
* ``cutover_webhook``, of type HTTP; host is the address, the password its secret last part, if it has one.

A notifier that fails is written down and shown on the review, and never keeps the question from being asked.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cutover.database import statements as files

if TYPE_CHECKING:
    import psycopg
    from airflow.sdk import Connection

    from cutover.database.connect import Log

SMTP = "cutover_smtp"
WEBHOOK = "cutover_webhook"
# Telling may take this long, all attempts of one way together; then the question is asked all the same.
PATIENCE_S = 15.0


@dataclass(frozen=True)
class Message:
    """What waits, and where to read and answer it. Figures and links only: it leaves the deployment."""

    subject: str
    lines: tuple[str, ...]
    review: str
    answer: str


@dataclass(frozen=True)
class Notice:
    """One way of telling, and how it went: ``error`` is None when the message went out."""

    channel: str
    recipient: str
    error: str | None


def tell(message: Message, log: Log) -> list[Notice]:
    """Send the message by every way that is configured. Never raises."""
    notices = []
    ways = (("email", SMTP, _send_email), ("webhook", WEBHOOK, _post_to_webhook))
    for channel, connection_id, send in ways:
        connection = _connection(connection_id)
        if connection is None:
            continue
        recipient = _recipient(channel, connection)
        error = _within(PATIENCE_S, partial(send, connection, message))
        log(f"told {recipient} by {channel}" if error is None else f"nobody was told by {channel}: {error}")
        notices.append(Notice(channel, recipient, error))
    if not notices:
        log(f"nobody is told: there is neither a connection {SMTP} nor {WEBHOOK}")
    return notices


def keep(connection: psycopg.Connection, run: str, action: str, notices: list[Notice]) -> None:
    """Write down who was told, and where that failed."""
    for notice in notices:
        connection.execute(files.statement("approve/keep_notice.sql"), {"run": run, "action": action, **vars(notice)})


def _connection(connection_id: str) -> Connection | None:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        return None


def _recipient(channel: str, connection: Connection) -> str:
    if channel == "email":
        return ", ".join(_addresses(connection)) or "nobody"
    return str(connection.host)


def _addresses(connection: Connection) -> list[str]:
    to = connection.extra_dejson.get("to", [])
    return [to] if isinstance(to, str) else [str(address) for address in to]


def _send_email(connection: Connection, message: Message) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    addresses = _addresses(connection)
    if not addresses:
        raise ValueError(f'the extra of connection {SMTP} names no recipient: {{"to": ["..."]}}')
    lines = "".join(f"<p>{html.escape(line)}</p>" for line in message.lines)
    links = "".join(
        f'<p><a href="{html.escape(link)}">{text}</a></p>'
        for text, link in (("Read the review", message.review), ("Answer", message.answer))
    )
    with SmtpHook(smtp_conn_id=SMTP) as hook:
        hook.send_email_smtp(to=addresses, subject=message.subject, html_content=lines + links)


def _post_to_webhook(connection: Connection, message: Message) -> None:
    import requests

    address = str(connection.host)
    if "://" not in address:
        port = f":{connection.port}" if connection.port else ""
        address = f"{connection.schema or 'https'}://{address}{port}"
    if connection.password:
        address = f"{address.rstrip('/')}/{connection.password}"
    text = "\n".join([message.subject, *message.lines, f"Review: {message.review}", f"Answer: {message.answer}"])
    try:
        answer = requests.post(
            address, json={"text": text, "review": message.review, "answer": message.answer}, timeout=PATIENCE_S
        )
    except requests.RequestException as error:
        # its message holds the address, and so the secret
        raise ConnectionError(f"{connection.host} does not answer ({type(error).__name__})") from None
    if not answer.ok:
        raise ConnectionError(f"{connection.host} answered {answer.status_code}")


def _within(seconds: float, send: Callable[[], None]) -> str | None:
    """Run ``send`` for at most ``seconds``. Returns in words what went wrong; None for nothing."""
    problems: list[str] = [f"no answer within {seconds:.0f} s"]

    def work() -> None:
        try:
            send()
        except Exception as error:  # whatever a mail server can think of must not stop the question
            problems.append(f"{type(error).__name__}: {error}"[:300])
        else:
            problems.clear()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return problems[-1] if problems else None


def message_for(
    subject: str, review: dict[str, Any], fingerprint: str, links: tuple[str, str], asked_by: str | None
) -> Message:
    """The message for a run's review: of a launch, of a rollback, or of anything else that waits for an answer."""
    lines = [f"Triggered by {asked_by or 'nobody in person'}. Nothing has changed in production yet."]
    lines += [
        f"{table['name']}: {table['before']:,} → {table['after']:,} rows"
        for table in review.get("tables", [])
        # a table that was not there before, or will not be there after, has no rows to count
        if table.get("before") is not None and table.get("after") is not None
    ]
    if "undoes" in review:
        lines.append(f"Takes back run {review['undoes']}.")
    warned = [warning for warning in review.get("warnings", []) if warning["total"]]
    if warned:
        lines.append("Warnings: " + "; ".join(f"{one['total']:,} {one['title']}" for one in warned))
    lines.append(f"Fingerprint {fingerprint[:12]}")
    return Message(subject, tuple(lines), *links)
