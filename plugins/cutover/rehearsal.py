"""A rehearsal of sign-ins after a swap: the service that lets people in is asked, for every account, whether it would.

It is asked over HTTP as people's programs ask it, with tokens in the shape of those that they hold. Keys for these are
drawn by the service's own database for one rehearsal, and are void when it has ended, however it ends: the service
believes them for as long as a session of this process is open. What a rehearsed sign-in writes, the service takes back.

The migration says in ``sign_ins`` of its migration.yaml which service that is, and in the folder ``sign_ins`` who its
accounts are and what each of them must be shown.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.migration.sign_ins import SignIns
from cutover.records import chain, phase

STEP = "sign_ins"
DUE = "sign_ins_due"
ANSWER = "sign_ins_answer"
# Requests under way at once: more only wait for each other in the service, and for its connections to the database.
CONCURRENCY = 8
# Accounts that are read, and given to the threads, at a time.
_BATCH = 1_000
# Seconds that the service may take for one answer; and tries where it says that it has no time, a second apart.
_ANSWER_S = 10.0
_TRIES = 5
# So many accounts in a row without an answer: the service is gone, and asking on would only take time.
_GONE_AFTER = 3 * CONCURRENCY
# Seconds between two lines of progress.
_TELL_S = 5.0
# The longest that one rehearsal may stay open: a tenth of a second an account, and ten minutes at least.
_LEAST_OPEN = timedelta(minutes=10)
_MOST_OPEN = timedelta(hours=12)
# Accounts named for each reason; the others are counted.
_NAMED = 5
# Seconds for which a minted token would be good, if its rehearsal were.
_TOKEN_S = 600
_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
_ANOTHER = "reaches another account"
# A reason of the service that is none to worry about: whoever has the mailbox has closed this way in.
CLOSED = "taken over by a link"


@dataclass(frozen=True)
class Account:
    """An account, whose it is, and of each kind of row the fewest and the most that it must be shown."""

    application: str
    account: str
    email: str | None
    user_id: str | None
    rejected: str | None
    least: Mapping[str, int]
    most: Mapping[str, int]

    @property
    def name(self) -> str:
        """What it is called where somebody has to find it; no address."""
        return f"{self.application} {self.account}"


@dataclass(frozen=True)
class Person:
    """A test person: an account with the password that somebody types."""

    application: str
    account: str
    address: str
    password: str = field(repr=False)


@dataclass
class Way:
    """What was found out about one way in: ``tried``, of these ``failed``; by reason how many, and a few by name."""

    tried: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    named: dict[str, list[str]] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """Of those tried, how many failed."""
        return 100 * self.failed / self.tried if self.tried else 0.0

    def count(self, name: str, reason: str | None) -> None:
        """One more was tried; ``reason`` why it failed, if it did."""
        self.tried += 1
        if reason is not None:
            self.failed += 1
            self.reasons[reason] += 1
            named = self.named.setdefault(reason, [])
            if len(named) < _NAMED:
                named.append(name)


@dataclass
class Report:
    """What a rehearsal has found. ``closed`` accounts have no way in of their own on purpose, and count nowhere."""

    token: Way = field(default_factory=Way)
    # the hash that was carried, for whether the service can read it
    password_kept: Way = field(default_factory=Way)
    # a password that was typed, of a test person
    password_typed: Way = field(default_factory=Way)
    closed: int = 0
    seconds: float = 0.0

    @property
    def ways(self) -> dict[str, Way]:
        """Each way in by what it is called."""
        return {
            "a token of the old application": self.token,
            "a password that can be verified": self.password_kept,
            "a password typed, of test persons": self.password_typed,
        }

    def trouble(self, percent: float) -> list[str]:
        """In words, the ways in by which more than ``percent`` of a hundred fail."""
        return [
            f"{name}: {way.failed:,} of {way.tried:,} fail ({way.percent:.2f} %, and {percent:g} % at most): "
            + ", ".join(f"{count:,} {reason}" for reason, count in way.reasons.most_common())
            for name, way in self.ways.items()
            if way.percent > percent
        ]

    def as_dict(self) -> dict[str, Any]:
        """As it is kept on record."""
        ways = {name: {**vars(way), "percent": round(way.percent, 3)} for name, way in self.ways.items()}
        return {"ways": ways, "closed": self.closed, "seconds": round(self.seconds, 1)}


@dataclass(frozen=True)
class Answer:
    """What the service has answered."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


class Service:
    """The service at ``base``, with ``headers`` on every request; ``declared`` says where it is asked what."""

    def __init__(self, base: str, declared: SignIns, headers: Mapping[str, str] | None = None) -> None:
        import urllib3

        self.base = base.rstrip("/")
        self.declared = declared
        self._headers = dict(headers or {})
        self._pool = urllib3.PoolManager(
            num_pools=1, maxsize=CONCURRENCY, retries=False, timeout=urllib3.Timeout(_ANSWER_S)
        )

    def why_not_ready(self) -> str | None:
        """What the service lacks to let people in, in its own words; None if it is ready."""
        import urllib3

        try:
            answer = self._pool.request("GET", f"{self.base}{self.declared.ready}", headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            return f"{self.base} does not answer ({type(error).__name__})"
        if answer.status == 200:
            return None
        said = " ".join(answer.data.decode(errors="replace").split())[:200]
        return f"{self.base} says {answer.status}: {said}"

    def post(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer | None:
        """Send a form; None if there is no answer."""
        given = {"content-type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._ask("POST", path, urlencode(form), given)

    def get(self, path: str, token: str | None = None) -> Answer | None:
        """Read; None if there is no answer."""
        return self._ask("GET", path, None, {"authorization": f"Bearer {token}"} if token else {})

    def close(self) -> None:
        """Let go of its connections."""
        self._pool.clear()

    def _ask(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer | None:
        import urllib3

        for left in reversed(range(_TRIES)):
            with suppress(urllib3.exceptions.HTTPError):
                answer = self._pool.request(
                    method, f"{self.base}{path}", body=body, headers={**self._headers, **headers}, redirect=False
                )
                # a window that has ended a moment ago, or a database that was restarted: it says to come again
                if answer.status not in (502, 503, 504) or not left:
                    return Answer(
                        answer.status, _parsed(answer.data), {k.lower(): v for k, v in answer.headers.items()}
                    )
            if left:
                time.sleep(1)
        return None


def why_not_yet(connect: Connect, migration: Migration, this_run: str) -> str | None:
    """Why the service's database takes no rehearsal of this run yet; None if it does."""
    statement = files.text(f"{migration.migration}/sign_ins/ready.sql").encode()
    try:
        with opened(connect) as connection:
            row = connection.execute(statement, {"run": this_run}).fetchone()
    except (psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedFunction):
        return "the service has not been set up in this database"
    except psycopg.errors.InsufficientPrivilege:
        return "the service was set up here for another role than this one"
    return None if row is None or row[0] is None else str(row[0])


def people(given: Mapping[str, Any], obj: str) -> list[Person]:
    """The test persons of a connection's extra: its ``people``, or those in the ``file`` that it names.

    Raises CutoverError ``rehearsal.bad-people``.
    """
    try:
        listed = given.get("people")
        if listed is None and given.get("file"):
            listed = json.loads(Path(given["file"]).read_text(encoding="utf-8"))
        return [
            Person(str(one["application"]), str(int(one["account"])), str(one["address"]), str(one["password"]))
            for one in listed or []
        ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        # not what it says: that may be a password
        raise CutoverError(
            "rehearsal.bad-people",
            obj,
            f"its extra names no test persons ({type(error).__name__}).",
            'write {"people": [{"application": "...", "account": 17, "address": "...", "password": "..."}]}, or '
            '{"file": "..."} with the path of such a list; docs/platform.md.',
        ) from None


def rehearse(
    connect: Connect, migration: Migration, this_run: str, service: Service, *, sample: Sequence[Person], log: Log
) -> Report:
    """Ask the service for every account of the migration, and for the test persons of ``sample`` by their passwords.

    Opens a rehearsal and ends it, whatever happens. Raises CutoverError ``rehearsal.busy``, ``rehearsal.not-begun``,
    ``rehearsal.no-answer``, ``rehearsal.broken-off``.
    """
    began = time.monotonic()
    with _open(connect, migration, this_run) as keys, ThreadPoolExecutor(CONCURRENCY) as pool:
        asking = _Asking(service, keys, this_run, sample)
        progress = _Progress(log)
        with opened(connect, autocommit=True) as connection:
            for batch, total in _batches(connection, migration, this_run):
                for _ in pool.map(asking.account, batch):
                    progress.count(total)
        for _ in pool.map(asking.person, sample):
            pass
    asking.report.seconds = time.monotonic() - began
    progress.end()
    return asking.report


def record(connection: psycopg.Connection, migration: Migration, this_run: str, report: Report, percent: float) -> None:
    """Write down what was found, and sign it, in the caller's transaction; accounts are named in the record alone."""
    trouble = report.trouble(percent)
    stored: dict[str, Any] = {**report.as_dict(), "limit_percent": percent, "trouble": trouble}
    phase.record(connection, migration, this_run, STEP, [], holds=not trouble, **stored)
    counted = {
        name: {"tried": way.tried, "failed": way.failed, "reasons": dict(way.reasons)}
        for name, way in report.ways.items()
    }
    chain.append(connection, "sign-ins", this_run, says={"ways": counted, "closed": report.closed})


def record_due(connection: psycopg.Connection, migration: Migration, this_run: str) -> None:
    """Write down, once, that the sign-ins of a launch are to be rehearsed: until then nobody is told to come in."""
    if DUE not in phase.newest(connection, this_run):
        phase.record(connection, migration, this_run, DUE, [])


def is_due(connection: psycopg.Connection, this_run: str) -> bool:
    """Whether the sign-ins of a launch are to be rehearsed, and never have been."""
    newest = phase.newest(connection, this_run)
    return DUE in newest and STEP not in newest


def record_answer(
    connection: psycopg.Connection, migration: Migration, this_run: str, person: str, *, goes_on: bool
) -> None:
    """Write down, and sign, what somebody has decided about a rehearsal that was not good enough."""
    said: dict[str, Any] = {"person": person, "goes_on": goes_on}
    phase.record(connection, migration, this_run, ANSWER, [], **said)
    chain.append(connection, "sign-ins answer", this_run, says=said)


def of_run(connection: psycopg.Connection, this_run: str) -> dict[str, Any] | None:
    """The newest rehearsal of a run as it was written down, with when it was and what was decided; None for none."""
    newest = phase.newest(connection, this_run)
    if STEP not in newest:
        return None
    record, answer = newest[STEP], newest.get(ANSWER)
    # an answer is about the rehearsal before it
    decided = answer if answer is not None and answer.record_id > record.record_id else None
    return {
        **record.result,
        "recorded_at": record.recorded_at,
        "answer": {**decided.result, "recorded_at": decided.recorded_at} if decided else None,
    }


@contextmanager
def _open(connect: Connect, migration: Migration, this_run: str) -> Iterator[dict[str, str]]:
    """The keys of the applications' tokens, by application, for as long as the block runs."""
    folder = f"{migration.migration}/sign_ins"
    begin, end = (files.text(f"{folder}/{name}.sql").encode() for name in ("begin", "end"))
    count = files.statement("rehearsal/accounts.sql", accounts=sql.SQL(files.text(f"{folder}/accounts.sql")))
    # a transaction would keep the rows from being seen; the session itself is what holds the rehearsal open
    with opened(connect, autocommit=True) as holder:
        row = holder.execute(count, {"run": this_run}).fetchone()
        accounts = 0 if row is None else int(row[0])
        lasts = min(max(_LEAST_OPEN, accounts * timedelta(seconds=0.1)), _MOST_OPEN)
        try:
            keys = dict(holder.execute(begin, {"run": this_run, "lasts": lasts}).fetchall())
        except psycopg.errors.LockNotAvailable:
            raise CutoverError(
                "rehearsal.busy",
                f"run {this_run}",
                "another rehearsal is under way: a task of this run's, or one that was killed a moment ago.",
                "wait: it is tried again by itself.",
            ) from None
        except psycopg.errors.ObjectNotInPrerequisiteState as error:
            raise CutoverError(
                "rehearsal.not-begun",
                f"run {this_run}",
                f"its sign-ins cannot be rehearsed now: {error.diag.message_primary}.",
                "clear that, then clear the task.",
            ) from None
        try:
            yield keys
        finally:
            # where this cannot be said any more the session has ended, and the rehearsal with it
            with suppress(psycopg.Error):
                holder.execute(end, {"run": this_run})


def _batches(
    connection: psycopg.Connection, migration: Migration, this_run: str
) -> Iterator[tuple[list[Account], int]]:
    """All accounts, some at a time, and how many there are; no transaction is open meanwhile."""
    statement = files.text(f"{migration.migration}/sign_ins/accounts.sql").encode()
    with connection.cursor("accounts", row_factory=dict_row, withhold=True) as cursor:
        cursor.execute(statement, {"run": this_run})
        while rows := cursor.fetchmany(_BATCH):
            total = rows[0]["total"]
            yield [Account(**{name: row[name] for name in Account.__dataclass_fields__}) for row in rows], total


class _Asking:
    """Asks about one account after the other, from several threads, and counts what is found."""

    def __init__(self, service: Service, keys: Mapping[str, str], this_run: str, sample: Sequence[Person]) -> None:
        self.report = Report()
        self._wanted = {(person.application, person.account) for person in sample}
        self._accounts_of_sample: dict[tuple[str, str], Account] = {}
        self._service = service
        self._keys = keys
        self._run = this_run
        self._lock = threading.Lock()
        self._silent = 0

    def account(self, account: Account) -> None:
        """One account, by a token."""
        if (account.application, account.account) in self._wanted:
            self._accounts_of_sample[account.application, account.account] = account
        if account.rejected is not None and account.user_id is None:
            with self._lock:
                self.report.token.count(account.name, f"rejected by the launch ({account.rejected})")
            return
        declared = self._service.declared
        form = {
            "grant_type": _GRANT,
            "subject_token_type": declared.token_types[account.application],
            "subject_token": self._token(account.application, account.account, account.email),
        }
        reason, shown = self._follow(account, self._service.post(declared.exchange, form))
        with self._lock:
            if reason == CLOSED:
                self.report.closed += 1
                return
            self.report.token.count(account.name, reason)
            password = shown.get("password")
            if password is not None:
                why = "a hash of a scheme that the service does not know" if password == "unknown" else None
                self.report.password_kept.count(account.name, why)

    def person(self, person: Person) -> None:
        """One test person, by the password, as the form of the page sends it."""
        known = self._accounts_of_sample.get((person.application, person.account))
        reason = "no such account" if known is None else self._typed(person, known)
        with self._lock:
            self.report.password_typed.count(f"{person.application} {person.account}", reason)

    def _typed(self, person: Person, known: Account) -> str | None:
        """Why a password that somebody types does not lead to its person; None if it does."""
        declared = self._service.declared
        page = self._service.get(declared.sign_in)
        cookies = SimpleCookie((page.headers if page else {}).get("set-cookie", ""))
        key = next((morsel.value for name, morsel in cookies.items() if name == declared.form_cookie), "")
        form = {"email": person.address, "password": person.password, "form_key": key}
        proof = self._token(known.application, known.account, known.email)
        headers = {
            "cookie": f"{declared.form_cookie}={key}",
            declared.header: f"{declared.token_types[known.application]} {proof}",
        }
        reason, account_page = self._follow(known, self._service.post(declared.sign_in, form, headers))
        # of two accounts of a person with one password either may be the one that was let in
        is_theirs = known.user_id is not None and account_page.get("user_id") == known.user_id
        return None if reason == _ANOTHER and is_theirs else reason

    def _follow(self, account: Account, answer: Answer | None) -> tuple[str | None, Mapping[str, Any]]:
        """Why a sign-in does not lead where it should, None if it does; and what the service says of the account."""
        self._require_open(answer)
        if answer is None:
            return "no answer", {}
        if answer.status != 200:
            return str(answer.body.get("reason") or f"answered {answer.status}"), {}
        page = self._service.get(self._service.declared.account, str(answer.body.get("access_token")))
        self._require_open(page)
        if page is None or page.status != 200:
            return "no answer" if page is None else f"let in, and then answered {page.status}", {}
        return _amiss(account, page.body), page.body

    def _require_open(self, answer: Answer | None) -> None:
        """Raise when the service is gone, or believes the rehearsal no more: all others would only fail alike."""
        with self._lock:
            self._silent = self._silent + 1 if answer is None else 0
            silent = self._silent
        if silent >= _GONE_AFTER:
            raise CutoverError(
                "rehearsal.no-answer",
                self._service.base,
                f"it has not answered {silent} times in a row.",
                "see whether the service runs, then clear the task.",
            )
        if answer is not None and (answer.status == 429 or (answer.status == 400 and "reason" not in answer.body)):
            raise CutoverError(
                "rehearsal.broken-off",
                f"run {self._run}",
                f"the service does not take this for a rehearsal ({answer.status}): its session was ended, or the "
                "connection leads to a service over another database.",
                "see that connection and target are of one deployment, then clear the task.",
            )

    def _token(self, application: str, account: str, email: str | None) -> str:
        """A token in the shape of the old application's, signed with this rehearsal's key."""
        import jwt

        claims = {"user_id": int(account), "email": email, "exp": int(time.time()) + _TOKEN_S}
        return jwt.encode(claims, self._keys[application], algorithm="HS256")


class _Progress:
    """Says, every few seconds, how many accounts were asked about, how fast, and how long it will take."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began = self._told_at = time.monotonic()
        self._done = self._total = 0

    def count(self, total: int) -> None:
        """One more of ``total``."""
        self._done, self._total = self._done + 1, total
        now = time.monotonic()
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            rate = self._done / (now - self._began)
            left = (total - self._done) / rate
            self._log(f"{self._done:,} of {total:,} accounts, {rate:,.0f} a second, about {left:,.0f} s left")

    def end(self) -> None:
        """That it is over."""
        took = max(time.monotonic() - self._began, 0.001)
        self._log(f"{self._done:,} of {self._total:,} accounts in {took:,.1f} s, {self._done / took:,.0f} a second")


def _amiss(account: Account, page: Mapping[str, Any]) -> str | None:
    """Why what the service says of whoever was let in is not what it should say of this account; None if it is."""
    if (page.get("source"), page.get("legacy_user_id")) != (account.application, account.account):
        return _ANOTHER
    if account.user_id is not None and page.get("user_id") != account.user_id:
        return "reaches another person"
    for kind, names in page.get("shown", {}).items():
        if names < account.least.get(kind, 0):
            return f"does not see its {kind}"
        if names > account.most.get(kind, 0):
            return f"sees {kind} that are not its own"
    return None


def _parsed(data: bytes) -> Mapping[str, Any]:
    with suppress(ValueError):
        document = json.loads(data)
        if isinstance(document, dict):
            return document
    return {}
