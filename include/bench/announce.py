"""How close sending comes to its limit: ``./run bench announce``.

People of the unified database are told of a launch by e-mail and on a device each, to simulated servers that answer at
once or after *latency* milliseconds. *limit* is the rate that was approved, a second and channel; *reached* what both
channels together have sent, of twice the limit. Everything is what a run does: claimed before it is sent, and what
became of it written down after.
"""

from __future__ import annotations

import argparse
import smtplib
import time
from datetime import timedelta

import psycopg

from bench.server import temporary_server
from bench.window import silent
from cutover import approve, freeze
from cutover.announce import ACTION, audience, sending
from cutover.announce.audience import Wish
from cutover.announce.channels import Open
from cutover.announce.mail import Mail
from cutover.announce.push import Push
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.migration import load
from cutover.records import chain, run
from demo.simulators.messages import Fcm, MailServer
from stack.postgres import EmbeddedPostgres

MIGRATION = load("mula_unification")
HEAD = f"{'limit':>7} {'latency':>8} {'messages':>9} {'seconds':>8} {'reached':>8} {'of the limit':>13}"
UNSUBSCRIBE = "https://mula.app/unsubscribe/{letter}"
# Seconds that one measurement should take at its limit.
_LASTS_S = 15


def prepare(server: EmbeddedPostgres) -> Connect:
    """The tables that an audience is read from, the engine's, and a launch in force."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("create database announced")
    connect = connector(server.dsn("announced"), "unified", "bench announce")
    freeze.install(connect, MIGRATION)
    with opened(connect) as connection:
        connection.execute("create schema staging")
        for table in ("users", "fcm_tokens", "user_preferences"):
            ddl = files.text(f"mula_unification/staging/{table}.sql").replace("staging.", "public.")
            connection.execute(ddl.encode())
        connection.execute(files.statement("bench/announce/launch.sql"))
    return connect


def measure(connect: Connect, ways: dict[str, Open], limit: int, latency_ms: int) -> None:
    """Print a line: people who were not told yet are told, at this limit."""
    key = f"r{limit}_{latency_ms}"
    with opened(connect) as connection:
        connection.execute(files.statement("bench/announce/people.sql"), {"key": key, "people": limit * _LASTS_S})
        run.begin(
            connection, run=key, migration=MIGRATION.migration, dag_id=ACTION, dag_run_id=key, triggered_by="operator",
            parameters={},
        )  # fmt: skip
    wish = Wish("welcome", None, {"email": float(limit), "push": float(limit)}, "leave", timedelta(hours=8))
    audience.review(connect, MIGRATION, key, wish, silent)
    with opened(connect) as connection:
        fingerprint = run.get(connection, key).fingerprint
        assert fingerprint is not None
        approve.ask(connection, MIGRATION, key, ACTION, fingerprint=fingerprint, hours=1)
        approval = connection.execute(files.statement("bench/announce/approval.sql"), {"run": key}).fetchone()
        assert approval is not None
        chain.cover(connection, "approval", key, ("approvals", approval[0]))
    began = time.perf_counter()
    sending.send(connect, MIGRATION, key, ways, silent)
    took = time.perf_counter() - began
    messages = 2 * limit * _LASTS_S
    print(
        f"{limit:>7,} {latency_ms:>8,} {messages:>9,} {took:>8.1f} {messages / took:>8,.0f} "
        f"{messages / took / (2 * limit):>13.1%}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="./run bench announce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limits", type=int, nargs="+", default=[10, 50, 100, 200], metavar="N", help="a second")
    parser.add_argument("--latencies", type=int, nargs="+", default=[0, 50], metavar="MS", help="of the other side")
    chosen = parser.parse_args(arguments)
    print(HEAD)
    with temporary_server(durable=True) as server, MailServer() as mail, Fcm() as fcm:
        connect = prepare(server)
        post = Mail(lambda: smtplib.SMTP("127.0.0.1", mail.port, timeout=20), "Mula <hello@mula.app>", UNSUBSCRIBE)
        ways: dict[str, Open] = {
            "email": post.open,
            "push": Push.from_key(fcm.service_account, fcm.url, "bench").open,
        }
        for latency_ms in chosen.latencies:
            mail.latency_s = fcm.latency_s = latency_ms / 1000
            for limit in chosen.limits:
                measure(connect, ways, limit, latency_ms)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
