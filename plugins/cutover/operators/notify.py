"""Tells people: by e-mail over the SMTP provider, by a webhook, and by any notifier of Airflow's.

Who is told is said by two Airflow connections and one variable, all optional (docs/notices.md):

* ``cutover_smtp``, of type SMTP; its extra names the recipients: ``{"to": ["ops@example.com"]}``.
* ``cutover_webhook``, of type HTTP; host is the address, the password its secret last part, if it has one.
* the variable ``cutover_notices`` (JSON): notifiers, and when there is something to tell.

A way that fails or hangs is written down and shown on the review, and never keeps anything from going on.
"""

from __future__ import annotations

import copy
import hashlib
import html
import importlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.operators.base import opened
from cutover.operators.links import answer_address, dag_address, filled_in, review_address, run_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg
    from airflow.sdk import BaseNotifier, Connection

    from cutover.database.connect import Connect, Log
    from cutover.migration import Migration
    from cutover.notices import Event, Limits

SMTP = "cutover_smtp"
WEBHOOK = "cutover_webhook"
VARIABLE = "cutover_notices"
# Telling may take this long, all ways together; then whatever waits for it goes on all the same.
PATIENCE_S = 15.0
# Seconds for all that a task tells when it has ended: 20 seconds after that Airflow ends its process, too
# (`task_success_overtime`).
AFTER_TASK_S = 12.0
# Events that one look tells. Each may take its patience, and a look has to end before the next one.
_AT_ONCE = 8
# Kinds of messages about a question: those that notifiers passed to its task are for.
OF_QUESTIONS = ("asked", "reminder", "answered", "approved", "rejected", "changes_requested", "expired")
KINDS = (
    *OF_QUESTIONS,
    *("swapped", "rolled_back", "failed", "sync_failing", "sync_well", "backups", "outlook", "late", "watch", "window"),
)


@dataclass(frozen=True)
class Message:
    """What is told, and where to read on and answer. Figures, codes and links only: it leaves the deployment.

    ``options``: the answers that get a link of their own, which opens the form with that answer marked. A link never
    answers by itself: whatever follows it for a person, such as a mail scanner, changes nothing.
    """

    subject: str
    lines: tuple[str, ...]
    review: str | None = None
    answer: str | None = None
    kind: str = "outlook"
    page: str | None = None
    options: tuple[str, ...] = ()

    @property
    def links(self) -> list[tuple[str, str]]:
        """Each link with its text."""
        named = [("Review", self.review), ("Answer", self.answer), ("In Airflow", self.page)]
        if self.answer:
            named += [(option, filled_in(self.answer, option)) for option in self.options]
        return [(text, link) for text, link in named if link]

    @property
    def text(self) -> str:
        """All of it, line by line."""
        return "\n".join([self.subject, *self.lines, *(f"{text}: {link}" for text, link in self.links)])


@dataclass(frozen=True)
class Notice:
    """One way of telling, and how it went: ``error`` is None when the message went out.

    ``hung``: it did not answer in time, and may have told all the same.
    """

    channel: str
    recipient: str
    error: str | None
    hung: bool = False


@dataclass(frozen=True)
class Way:
    """One way of telling. ``name`` is what it is known by in ``cutover.delivery``, however often it is set up anew."""

    name: str
    channel: str
    recipient: str
    send: Callable[[Message], None]


@dataclass(frozen=True)
class Around:
    """What is around an event: the notifiers of its question's own task, and the context that templates see."""

    notifiers: Sequence[BaseNotifier] = ()
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Notifier:
    """A notifier as the variable describes it. ``kinds``: of which messages; None for all."""

    path: str
    arguments: Mapping[str, Any]
    kinds: frozenset[str] | None

    @property
    def name(self) -> str:
        """The same for the same class with the same arguments, and says nothing of what these are."""
        canonical = json.dumps(self.arguments, sort_keys=True, default=str)
        return f"{self.path}#{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"

    def build(self) -> BaseNotifier:
        """The notifier itself. Raises ``notices.bad-notifier``, without its arguments: one of them may be secret."""
        from airflow.sdk import BaseNotifier

        try:
            module, _, name = self.path.rpartition(".")
            built = getattr(importlib.import_module(module), name)
            if not (isinstance(built, type) and issubclass(built, BaseNotifier)):
                raise TypeError("it is no notifier of Airflow's")
            return built(**self.arguments)
        except Exception as error:  # whatever the class of others does when it is loaded
            why = str(error) if isinstance(error, ImportError | AttributeError | TypeError) else type(error).__name__
            raise CutoverError(
                "notices.bad-notifier",
                self.path,
                f"it cannot be made: {masked_text(why)}.",
                f"name a class that is installed here, and its arguments, in the Airflow variable {VARIABLE}; "
                "docs/notices.md has an example.",
            ) from None


def _usual_limits() -> Limits:
    from cutover.notices import Limits

    return Limits()


@dataclass(frozen=True)
class Settings:
    """What the variable ``cutover_notices`` says."""

    limits: Limits = field(default_factory=_usual_limits)
    notifiers: tuple[Notifier, ...] = ()


def settings() -> Settings:
    """What is configured. Raises CutoverError ``notices.bad-settings``."""
    from airflow.sdk import Variable

    return parse(Variable.get(VARIABLE, default=None))


def parse(given: str | None) -> Settings:
    """The settings in a variable's value. Raises CutoverError ``notices.bad-settings`` where it is none."""
    if not given:
        return Settings()
    try:
        read = json.loads(given)
    except ValueError:
        raise _bad("it is not JSON") from None
    if not isinstance(read, dict):
        raise _bad("it is not an object")
    listed = read.pop("notifiers", [])
    usual = _usual_limits()
    limits = vars(usual)
    for name, value in read.items():
        if name not in limits:
            raise _bad(f"{name} is none of notifiers, {', '.join(limits)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise _bad(f"{name} is not a number above 0")
    if not isinstance(listed, list):
        raise _bad("notifiers is not a list")
    return Settings(replace(usual, **read), tuple(_notifier(one) for one in listed))


def _notifier(one: Any) -> Notifier:
    if not isinstance(one, dict) or set(one) - {"class", "arguments", "of"} or not isinstance(one.get("class"), str):
        raise _bad("a notifier is an object of class, and if need be arguments and of")
    arguments, kinds = one.get("arguments", {}), one.get("of")
    if not isinstance(arguments, dict):
        raise _bad(f"the arguments of {one['class']} are not an object")
    if kinds is not None and (not isinstance(kinds, list) or not set(map(str, kinds)) <= set(KINDS)):
        raise _bad(f"`of` of {one['class']} is not a list of {', '.join(KINDS)}")
    return Notifier(one["class"], arguments, None if kinds is None else frozenset(kinds))


def _bad(why: str) -> CutoverError:
    return CutoverError(
        "notices.bad-settings",
        f"Airflow variable {VARIABLE}",
        f"{why}.",
        'correct it: {"notifiers": [{"class": "package.Notifier", "arguments": {...}}], "remind_minutes": 60}; '
        "docs/notices.md says what there is.",
    )


@dataclass(frozen=True)
class Configured:
    """What tells everybody's messages: ways that are the same for each message, and notifiers."""

    ways: tuple[Way, ...]
    notifiers: tuple[Notifier, ...]


def configured() -> Configured:
    """What is configured now. Never raises: a setting that cannot be read is a way that always fails."""
    ways = []
    for channel, connection_id, send in (("email", SMTP, _send_email), ("webhook", WEBHOOK, _post_to_webhook)):
        try:
            connection = _connection(connection_id)
        except Exception as error:  # an API that does not answer is told like any other problem
            ways.append(Way("setting", "setting", connection_id, partial(_raise, error)))
            continue
        if connection is not None:
            ways.append(Way(channel, channel, _recipient(channel, connection), partial(send, connection)))
    try:
        notifiers = settings().notifiers
    except Exception as error:  # the same, and a value that is wrong
        notifiers = ()
        ways.append(Way("setting", "setting", VARIABLE, partial(_raise, error)))
    return Configured(tuple(ways), notifiers)


def ways(
    kind: str,
    known: Configured,
    passed: Sequence[BaseNotifier] = (),
    context: Mapping[str, Any] | None = None,
    task: str = "",
) -> list[Way]:
    """Every way by which a message of this kind is told.

    ``passed`` are the notifiers of the ``task``, which are told of its question; ``context`` is what templates see.
    """
    ways = list(known.ways)
    for notifier in known.notifiers:
        if notifier.kinds is None or kind in notifier.kinds:
            send_by = partial(_notify, notifier.build, context or {})
            ways.append(Way(notifier.name, "notifier", notifier.path.rpartition(".")[2], send_by))
    for number, own in enumerate(passed if kind in OF_QUESTIONS else ()):
        name = type(own).__name__
        # its templates are rendered in place: the one that was passed stays as it is
        send_by = partial(_notify, partial(copy.copy, own), context or {})
        ways.append(Way(f"{task} {number} {name}", "notifier", name, send_by))
    return ways


def tell(message: Message, log: Log) -> list[Notice]:
    """Send the message by every way that is configured. Never raises."""
    known = ways(message.kind, configured())
    if not known:
        log(f"nobody is told: there is neither a connection {SMTP} nor {WEBHOOK}, and no notifier in {VARIABLE}")
    return [notice for _, notice in _send(message, known, log, PATIENCE_S)]


def keep(connection: psycopg.Connection, run: str, action: str, notices: list[Notice]) -> None:
    """Write down who was told, and where that failed."""
    for notice in notices:
        connection.execute(files.statement("approve/keep_notice.sql"), {"run": run, "action": action, **vars(notice)})


def deliver(
    connect: Connect,
    migration: Migration,
    log: Log,
    *,
    run: str | None = None,
    again: bool = False,
    patience: float | None = None,
    around: Callable[[Event], Around] = lambda _: Around(),
) -> None:
    """Tell whatever is news and has not been told, of one ``run`` or of all, by each way once. Raises for a database.

    ``again``: also what could not be sent before; a task that has just ended has no time for that, and leaves it to the
    next look, as what it has no time for in ``patience`` seconds; without a number each message has ``PATIENCE_S``.
    ``around`` says what the caller has beside an event's record.
    """
    from cutover import notices

    ends_at = None if patience is None else time.monotonic() + patience
    with opened(connect) as connection:
        events = [event for event in notices.news(connection, migration, again=again) if run in (None, event.run)]
    known = configured()
    messages = 0
    for event in events:
        # a look goes through all of a day: what was told is passed by without asking for its run
        if again and event.dag_file is None and {way.name for way in ways(event.kind, known)} <= set(event.settled):
            continue
        left = PATIENCE_S if ends_at is None else min(PATIENCE_S, ends_at - time.monotonic())
        if messages == _AT_ONCE or left <= 0:
            log("more is told by the next look")
            return
        beside = around(event)
        each = ways(event.kind, known, beside.notifiers, beside.context, f"{event.dag_id}.{event.task_id}")
        with opened(connect) as connection:
            due = [way for way in each if way.name not in event.settled and notices.claim(connection, event, way.name)]
        # each is written down as soon as it has ended: whatever ends this process meanwhile, those tell nobody again
        for way, notice in _send(message_of(event), due, log, left):
            with opened(connect) as connection:
                notices.settle(connection, event, way.name, notice.error, hung=notice.hung)
                if event.run is not None:
                    keep(connection, event.run, event.kind, [notice])
        messages += bool(due)


def message_of(event: Event) -> Message:
    """The message for an event, with its links."""
    plain = Message(event.subject, tuple(event.lines), kind=event.kind)
    if event.dag_run_id is None:
        return replace(plain, page=dag_address(event.dag_id))
    in_airflow = run_address(event.dag_id, event.dag_run_id)
    if event.kind in ("asked", "reminder", "answered"):
        answer = answer_address(event.dag_id, event.dag_run_id, str(event.task_id))
        # of anything but a launch or a rollback, what there is to read is the form itself
        of_tables = event.dag_id in (event.migration, f"{event.migration}_rollback")
        review = review_address(event.dag_id, event.dag_run_id) if of_tables else answer
        return replace(plain, review=review, answer=answer, options=("Approve", "Reject"))
    return replace(plain, page=in_airflow)


def _send(message: Message, known: Sequence[Way], log: Log, seconds: float) -> Iterator[tuple[Way, Notice]]:
    """Send by all ways at once, and say of each, as it ends, how it went. Never raises."""
    for number, error, hung in _as_ended(seconds, [partial(way.send, message) for way in known]):
        way = known[number]
        log(f"told {way.recipient} by {way.channel}" if error is None else f"nobody was told by {way.channel}: {error}")
        yield way, Notice(way.channel, way.recipient, error, hung)


def _raise(error: Exception, _: Message) -> None:
    raise error


def _notify(build: Callable[[], BaseNotifier], context: Mapping[str, Any], message: Message) -> None:
    """Call a notifier as Airflow does, with the message as ``notice`` in its context."""
    shown: dict[str, Any] = {
        "kind": message.kind,
        "subject": message.subject,
        "text": message.text,
        "lines": list(message.lines),
    }
    shown |= {"review": message.review, "answer": message.answer, "links": dict(message.links)}
    notifier = build()
    try:
        notifier({**context, "notice": shown})
    except (Exception, SystemExit) as error:
        # what it says may hold the address of a channel, which is its secret
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise _NotToldError(f"{type(error).__name__}{f' ({status})' if isinstance(status, int) else ''}") from None


class _NotToldError(Exception):
    """A notifier has failed; says no more than with what."""


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
    links = "".join(f'<p><a href="{html.escape(link)}">{text}</a></p>' for text, link in message.links)
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
    said = {"text": message.text, "kind": message.kind, "review": message.review, "answer": message.answer}
    try:
        answer = requests.post(address, json=said, timeout=PATIENCE_S)
    except requests.RequestException as error:
        # its message holds the address, and so the secret
        raise ConnectionError(f"{connection.host} does not answer ({type(error).__name__})") from None
    if not answer.ok:
        raise ConnectionError(f"{connection.host} answered {answer.status_code}")


def _as_ended(seconds: float, sends: Sequence[Callable[[], None]]) -> Iterator[tuple[int, str | None, bool]]:
    """Run all of them side by side, for at most ``seconds`` in all.

    Yields, as each ends, its number, what went wrong in words (None: nothing), and whether it has not ended at all.
    """
    ended: SimpleQueue[tuple[int, str | None]] = SimpleQueue()

    def work(number: int) -> None:
        problem = None
        try:
            sends[number]()
        except _NotToldError as error:
            problem = str(error)
        except (Exception, SystemExit) as error:  # whatever a mail server can think of must not stop the question
            problem = f"{type(error).__name__}: {error}"[:300]
        ended.put((number, problem))

    # what hangs is left to hang: the process does not wait for it at its end
    for number in range(len(sends)):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    ends_at = time.monotonic() + seconds
    hanging = set(range(len(sends)))
    while hanging:
        try:
            number, problem = ended.get(timeout=max(0.0, ends_at - time.monotonic()))
        except Empty:
            break
        hanging.remove(number)
        yield number, problem, False
    for number in sorted(hanging):
        yield number, f"no answer within {seconds:.0f} s", True


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
    timing = review.get("timing") or {}
    if timing.get("swap_at"):
        lines.append(f"Once approved, it swaps {timing['swap_at']}.")
    if "undoes" in review:
        lines.append(f"Takes back run {review['undoes']}.")
    warned = [warning for warning in review.get("warnings", []) if warning["total"]]
    if warned:
        lines.append("Warnings: " + "; ".join(f"{one['total']:,} {one['title']}" for one in warned))
    lines.append(f"Fingerprint {fingerprint[:12]}")
    return Message(subject, tuple(lines), *links, kind="asked")
