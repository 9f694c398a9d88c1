"""The platform's commands: ``python -m mula_platform COMMAND``, behind ``./run platform``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

import uvicorn

from cutover.errors import CutoverError
from cutover.masking import masked
from mula_platform import payments, setup
from mula_platform.app import make_app
from mula_platform.database import Database, Row, rows
from mula_platform.settings import APPLICATIONS, Settings
from mula_platform.tokens import KeyRing


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="./run platform", description="The unified platform. See docs/platform.md.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve people until told to stop")
    commands.add_parser("setup", help="after a launch: role, tables, rights, passwords of both applications")
    rotate = commands.add_parser("rotate-keys", help="sign with a new key from now on")
    rotate.add_argument("--revoke", metavar="KID", help="believe this key no more, and none of its tokens")
    flag = commands.add_parser("flag", help="switch a feature on or off; without arguments, list them")
    flag.add_argument("name", nargs="?")
    flag.add_argument("state", nargs="?", choices=("on", "off"))
    twice = commands.add_parser("billed-twice", help="for support: who is billed for more than one subscription")
    twice.add_argument("--full", action="store_true", help="with whole addresses and Stripe ids, to act on")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "setup":
            return _setup()
        settings = Settings.read()
        if chosen.command == "serve":
            return _serve(settings)
        database = Database(settings.dsn, 2)
        database.open()
        try:
            if chosen.command == "rotate-keys":
                return _rotate(KeyRing(database, settings.keys), chosen.revoke)
            if chosen.command == "billed-twice":
                return _billed_twice(database, is_full=chosen.full)
            return _flag(database, chosen.name, chosen.state)
        finally:
            database.close()
    except CutoverError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(settings: Settings) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    uvicorn.run(
        make_app(settings),
        host="127.0.0.1",
        port=settings.port,
        # an access log holds share codes, and the links of mails
        access_log=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=settings.proxies or None,
        server_header=False,
        timeout_graceful_shutdown=5,
        log_level="info",
    )
    return 0


def _setup() -> int:
    dsns = {name: os.environ.get(f"CUTOVER_PLATFORM_{name}", "") for name in ("ADMIN_DSN", "DSN")}
    for name, dsn in dsns.items():
        if not dsn:
            raise CutoverError(
                "platform.bad-setting",
                f"CUTOVER_PLATFORM_{name}",
                "it is not set.",
                "set it as docs/platform.md says.",
            )
    setup.prepare(dsns["ADMIN_DSN"], os.environ.get("CUTOVER_PLATFORM_PASSWORD"))
    addresses = {source: os.environ.get(f"CUTOVER_PLATFORM_{source.upper()}_DSN") for source in APPLICATIONS}
    setup.carry_all({source: dsn for source, dsn in addresses.items() if dsn}, dsns["DSN"], print)
    print(f"subscriptions: {setup.catch_up(dsns['DSN']):,} changed by what Stripe had said before")
    return 0


def _rotate(ring: KeyRing, revoke: str | None) -> int:
    if revoke is not None and not ring.revoke(revoke):
        raise CutoverError(
            "platform.no-such-key", revoke, "no key has this id.", "name one that /.well-known/jwks.json shows."
        )
    print(f"Key {ring.rotate()} signs from now on.")
    return 0


def _flag(database: Database, name: str | None, state: str | None) -> int:
    with database.transaction() as connection:
        if (
            name is not None
            and state is not None
            and not rows(connection, "page/set_flag", name=name, is_on=state == "on")
        ):
            raise CutoverError("platform.no-such-flag", name, "there is no such feature.", "./run platform flag")
        for flag in rows(connection, "page/flags"):
            if name in (None, flag["name"]):
                print(f"{flag['name']:<26} {'on ' if flag['is_on'] else 'off'}  {flag['meaning']}")
    return 0


def _billed_twice(database: Database, *, is_full: bool) -> int:
    """Print who is billed for more than one subscription, and what Stripe speaks of that nobody has."""
    with database.transaction() as connection:
        people, others = payments.billed_twice(connection), payments.of_nobody(connection)

    def shown(text: str) -> object:
        return text if is_full else masked(text)

    print(f"Billed for more than one subscription: {len(people):,} of the people here.")
    for person in people:
        since = f"since {person.since:%Y-%m-%d}, " if person.since else ""
        print(f"\n{person.user_id}  {shown(person.email)}: {since}{person.monthly_amount} USD a month")
        for subscription in person.subscriptions:
            print(f"  {_subscription(subscription)}, {shown(subscription['stripe_subscription_id'] or 'no Stripe id')}")
    if others:
        print(f"\nStripe speaks of {len(others):,} subscriptions that nobody has here.")
    for subscription in others:
        whose = f"; the same customer as {subscription['customer_user_id']}" if subscription["customer_user_id"] else ""
        amount = (
            "an unknown amount"
            if subscription["monthly_amount"] is None
            else f"{subscription['monthly_amount']} USD a month"
        )
        print(
            f"  {APPLICATIONS[subscription['source']]}, {shown(subscription['subscription_id'])}: "
            f"{subscription['status'] or 'no status'}, {amount}, "
            f"last on {subscription['newest_at']:%Y-%m-%d} ({subscription['newest_type']}){whose}"
        )
    return 0


def _subscription(subscription: Row) -> str:
    applications = " and ".join(
        APPLICATIONS.get(source, source) for source in (subscription["source"] or "?").split(", ")
    )
    amount = (
        "an unknown amount"
        if subscription["monthly_amount"] is None
        else f"{subscription['monthly_amount']} USD a month"
    )
    since = f" since {subscription['started_at']:%Y-%m-%d}" if subscription["started_at"] else ""
    following = f", next on {subscription['next_billing_at']:%Y-%m-%d}" if subscription["next_billing_at"] else ""
    plan = subscription["plan_name"] or "no plan"
    return f"{applications}: {plan}, {amount}, {subscription['status']}{since}{following}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
