"""A unified database with people, and the phases of a campaign as the tasks call them."""

from __future__ import annotations

import smtplib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover import approve, freeze
from cutover.announce import ACTION, audience, sending
from cutover.announce.audience import Wish
from cutover.announce.channels import Open
from cutover.announce.mail import Mail
from cutover.announce.push import Push
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.migration import load
from cutover.records import chain, phase, run

MIGRATION = load("mula_unification")
RATES = {"email": 1000.0, "push": 1000.0}
UNSUBSCRIBE = "https://mula.app/unsubscribe/{letter}"


def ways(mail_port: int, fcm_url: str, key: str) -> dict[str, Open]:
    """Both channels, to the simulators."""
    mail = Mail(lambda: smtplib.SMTP("127.0.0.1", mail_port, timeout=20), "Mula <hello@mula.app>", UNSUBSCRIBE)
    return {"email": mail.open, "push": Push.from_key(key, fcm_url, "test").open}


@dataclass
class World:
    """``dsn`` is a superuser's. ``lines`` is what has been logged."""

    dsn: str
    lines: list[str] = field(default_factory=list)

    @property
    def connect(self) -> Connect:
        """Opens the database."""
        return connector(self.dsn, "unified", "announce test")

    def create(self) -> World:
        """The unified tables without a row, and the engine's."""
        freeze.install(self.connect, MIGRATION)
        self.execute("create schema staging")
        for table in ("users", "fcm_tokens", "user_preferences"):
            self.execute(files.text(f"mula_unification/staging/{table}.sql").replace("staging.", "public."))
        return self

    def launched(self) -> World:
        """With a launch in force."""
        self.execute(
            "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, snapshot, xid, "
            "started_at, locked_at, attempts, tables, carried) values ('launch', 'mula_unification', 'swap', 'b', 'f', "
            "pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')"
        )
        return self

    def took_back(self, entry: str, by: str) -> None:
        """With an entry of the ledger rolled back by another."""
        self.execute(
            "insert into cutover.ledger (run, migration, action, undoes, backup_schema, fingerprint, snapshot, xid, "
            "started_at, locked_at, attempts, tables, carried) values (%s, 'mula_unification', 'rollback', %s, 'b', "
            "'f', pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')",
            by,
            entry,
        )

    def people(self, count: int) -> None:
        """People with an address and a device each."""
        self.execute(
            "insert into users (id, email, username) select gen_random_uuid(), 'p' || n || '@example.com', 'P' || n "
            f"from generate_series(1, {count}) as n"
        )
        self.execute(
            "insert into fcm_tokens (user_id, token) select id, 'token-' || split_part(email, '@', 1) from users"
        )

    def person(self, email: str, *tokens: str, **preferences: Any) -> None:
        """One person; the first token is the one that was registered last."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(
                "insert into users (email, username) values (%s, split_part(%s, '@', 1)) returning id", (email, email)
            ).fetchone()
            assert row is not None
            for place, token in enumerate(tokens):
                connection.execute(
                    "insert into fcm_tokens (user_id, token, created_at) "
                    "values (%s, %s, now() - %s * interval '1 day')",
                    (row[0], token, place),
                )
            if preferences:
                given = {"email_enabled": True, "notifications_enabled": True, "marketing_emails": False} | preferences
                connection.execute(
                    "insert into user_preferences (user_id, email_enabled, notifications_enabled, marketing_emails) "
                    "values (%s, %s, %s, %s)",
                    (row[0], given["email_enabled"], given["notifications_enabled"], given["marketing_emails"]),
                )

    def execute(self, statement: str, *values: Any) -> None:
        """A statement."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute(statement.encode(), values or None)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            return connection.execute(query.encode(), values or None).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        """The only value of a query."""
        (row,) = self.rows(query, *values)
        (value,) = row.values()
        return value

    def preview(self, key: str, campaign: str = "welcome", **wished: Any) -> dict[str, Any]:
        """Everything up to the question. Returns what the approver reads."""
        with opened(self.connect) as connection:
            run.begin(
                connection,
                run=key,
                migration=MIGRATION.migration,
                dag_id="announce",
                dag_run_id=key,
                triggered_by="operator",
                parameters={},
            )
        usual = {"window": None, "rates": RATES, "unknown": "leave", "valid_for": timedelta(hours=8)}
        wish = Wish(**({"campaign": campaign} | usual | wished))
        return audience.review(self.connect, MIGRATION, key, wish, self.lines.append)

    def approve(self, key: str) -> None:
        """A second person's approval of what was previewed."""
        with opened(self.connect) as connection:
            row = run.get(connection, key)
            assert row.fingerprint is not None
            approve.ask(connection, MIGRATION, key, ACTION, fingerprint=row.fingerprint, hours=1)
        self.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) select r.run, %s, 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
            "now() + interval '1 hour' from cutover.run as r where r.run = %s",
            ACTION,
            key,
        )
        with opened(self.connect) as connection:
            number = connection.execute("select max(approval_id) from cutover.approvals").fetchone()
            assert number is not None
            chain.cover(connection, "approval", key, ("approvals", number[0]))

    def send(self, key: str, by: Mapping[str, Open]) -> dict[str, Any]:
        """Send what was approved."""
        with opened(self.connect) as connection:
            phase.require(connection, MIGRATION, key, "send", ACTION)
        return sending.send(self.connect, MIGRATION, key, by, self.lines.append)

    def states(self, channel: str) -> Counter[str]:
        """How many messages of a channel are in which state."""
        rows = self.rows("select state, count(*) as n from cutover.announcement where channel = %s group by 1", channel)
        return Counter({row["state"]: row["n"] for row in rows})
