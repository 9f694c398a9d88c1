"""The demonstration's two applications: databases of the seed's size, with everything in them that goes wrong.

The same arguments give the same rows. 1,120 sign-ups in the Dasha Timer and 3,280 in Compatibility (the seed: 1,000+
and 3,000+), 280 people in both, addresses in other capitals, people twice in one application, rows without their
user or chart, two default charts, a share code that the application's own key refuses.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
from argon2.low_level import Type, hash_secret
from psycopg import sql
from psycopg.types.json import Jsonb

from cutover.database.connect import session
from cutover.database.statements import files, text
from cutover.errors import CutoverError
from demo.names import FIRST_NAMES, SURNAMES

SOURCES = ("dasha", "compatibility")
DATABASES = (*SOURCES, "unified")
# Of each application, so many people type their password in the rehearsal of sign-ins.
_TYPING = 15
_FOLDER = "demo/mula"
_MARK = "Cutover demonstration of mula"
_DASHAS = ("Ketu", "Venus", "Sun", "Moon", "Mars", "Rahu", "Jupiter", "Saturn", "Mercury")
_PLACES = (
    ("Pune, India", 18.52, 73.86, 330),
    ("London, UK", 51.51, -0.13, 0),
    ("Manila, Philippines", 14.6, 120.98, 480),
)
_BEGIN = datetime(2025, 11, 8, tzinfo=timezone.utc)
# everything the sources hold was written before this moment
_END = datetime(2025, 12, 3, tzinfo=timezone.utc)

Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Size:
    """How many of each: the defaults are the seed's."""

    dasha_users: int = 1_120
    compatibility_users: int = 3_280
    # people with an account in both, by the same address
    shared: int = 280
    # of these, how many are spelled otherwise in the second application
    spelled_otherwise: int = 40
    # people with two accounts in one application (addresses differ in capitals)
    twice: int = 12
    dasha_charts: int = 700
    compatibility_charts: int = 1_150
    results: int = 1_080
    dasha_subscriptions: int = 24
    compatibility_subscriptions: int = 62
    # people of both applications who pay in both
    paying_twice: int = 5
    # charts, periods and results whose user does not exist; and as many whose chart does not
    orphans: int = 6
    without_email: int = 3
    impossible_dates: int = 4

    def times(self, scale: int) -> Size:
        """The same mixture, ``scale`` times as large."""
        return Size(**{name: value * scale for name, value in vars(self).items()})


COLUMNS: dict[str, tuple[str, ...]] = {
    "users": ("id", "email", "username", "password_hash", "oauth_provider", "oauth_id", "created_at", "last_login",
              "updated_at"),
    "birth_charts": ("id", "user_id", "birth_date", "birth_time", "birth_location_lat", "birth_location_lng",
                     "birth_location_name", "timezone_offset", "chart_data", "created_at", "is_default", "updated_at"),
    "dasha_data": ("id", "user_id", "chart_id", "current_dasha", "current_dasha_start", "current_dasha_end",
                   "dasha_sequence", "calculated_at"),
    "compatibility_results": ("id", "user_id", "chart1_id", "chart2_id", "overall_score", "venus_score", "mars_score",
                              "moon_score", "sun_score", "detailed_breakdown", "share_code", "calculated_at",
                              "view_count"),
    "subscriptions": ("id", "user_id", "stripe_subscription_id", "plan_name", "monthly_amount", "status", "started_at",
                      "next_billing_at", "updated_at"),
    "fcm_tokens": ("id", "user_id", "token", "device_name", "created_at", "is_active"),
    "user_preferences": ("id", "user_id", "notifications_enabled", "email_enabled", "marketing_emails", "timezone",
                         "data", "updated_at"),
}  # fmt: skip


@dataclass
class _Maker:
    """Makes both applications' rows from one random sequence."""

    size: Size
    random: random.Random = field(default_factory=lambda: random.Random(20251203))

    def make(self) -> dict[str, Rows]:
        dasha: Rows = {name: [] for name in COLUMNS if name != "compatibility_results"}
        compatibility: Rows = {name: [] for name in COLUMNS if name != "dasha_data"}
        size = self.size
        dasha_people = list(range(size.dasha_users - size.twice))
        first_of_second = len(dasha_people) - size.shared
        compatibility_people = list(range(first_of_second, first_of_second + size.compatibility_users - size.twice))
        shared = dasha_people[first_of_second:]
        spelled = dict.fromkeys(shared[: size.spelled_otherwise], self._otherwise)
        self._users(dasha, dasha_people, "dasha", {})
        self._users(compatibility, compatibility_people, "compatibility", spelled)
        self._charts(dasha, size.dasha_charts, favour=range(first_of_second, len(dasha_people)))
        self._charts(compatibility, size.compatibility_charts, favour=range(size.shared))
        self._periods(dasha)
        self._results(compatibility)
        # the people of both applications are the last of the first and the first of the second
        last = range(first_of_second + 1, first_of_second + 1 + size.paying_twice)
        self._subscriptions(dasha, size.dasha_subscriptions, "dasha", favour=last)
        self._subscriptions(compatibility, size.compatibility_subscriptions, "compat", range(1, 1 + size.paying_twice))
        self._tokens(dasha, "dasha", range(first_of_second + 1, len(dasha_people) + 1))
        self._tokens(compatibility, "compat", range(1, size.shared + 1))
        self._preferences(dasha, {"theme": "dark", "ayanamsa": "lahiri"})
        self._preferences(compatibility, {"theme": "light", "share_publicly": False})
        return {"dasha": dasha, "compatibility": compatibility}

    def _moment(self, begin: datetime = _BEGIN) -> datetime:
        return begin + (_END - begin) * self.random.random()

    def _otherwise(self, address: str) -> str:
        return self.random.choice((address.upper(), address.title(), f" {address}", f"{address} "))

    def _address(self, person: int) -> str:
        given = FIRST_NAMES[person % len(FIRST_NAMES)]
        family = SURNAMES[person // len(FIRST_NAMES) % len(SURNAMES)]
        return f"{given}.{family}.{person}@example.com".lower().replace(" ", "").replace("'", "")

    def _users(self, rows: Rows, people: Sequence[int], app: str, spelled: dict[int, Any]) -> None:
        users = rows["users"]
        twice = people[-self.size.twice :] if self.size.twice else []
        for person in [*people, *twice]:
            number = len(users) + 1
            address = self._address(person)
            if person in spelled:
                address = spelled[person](address)
            if number > len(people):
                address = address.upper()
            without = self.size.shared < number <= self.size.shared + self.size.without_email and app != "dasha"
            created = self._moment()
            by_oauth = self.random.random() < 0.4
            users.append(
                (
                    number,
                    None if without else address,
                    f"{FIRST_NAMES[person % len(FIRST_NAMES)].lower()}{person}",
                    None if by_oauth else password_hash(app, number),
                    "google" if by_oauth else None,
                    f"{app}-{number:09}" if by_oauth else None,
                    created,
                    None if self.random.random() < 0.1 else self._moment(created),
                    created,
                )
            )

    def _charts(self, rows: Rows, count: int, favour: range) -> None:
        users = len(rows["users"])
        charts = rows["birth_charts"]
        for number in range(1, count + 1):
            # people of both applications are the ones who use them most
            user = favour[number] + 1 if number < len(favour) // 2 else self.random.randint(1, users)
            place, latitude, longitude, offset = self.random.choice(_PLACES)
            created = self._moment()
            born = datetime(1955, 1, 1) + timedelta(minutes=self.random.randrange(60 * 365 * 24 * 60))
            orphan = count - self.size.orphans < number
            impossible = number % (count // (self.size.impossible_dates + 1)) == 0 if self.size.impossible_dates else 0
            charts.append(
                (
                    number,
                    users + 1_000 + number if orphan else user,
                    datetime(9999, 12, 31) if impossible else born,
                    f"{born:%H:%M}",
                    latitude,
                    longitude,
                    place,
                    offset,
                    Jsonb({"ascendant": self.random.choice(("Aries", "Leo", "Virgo")), "moon": number % 360}),
                    created,
                    # some people have two defaults
                    self.random.random() < 0.7,
                    created,
                )
            )

    def _periods(self, rows: Rows) -> None:
        for number, chart in enumerate(rows["birth_charts"], start=1):
            begin = self._moment().date() - timedelta(days=self.random.randrange(2_000))
            orphan = number <= self.size.orphans
            rows["dasha_data"].append(
                (
                    number,
                    chart[1],
                    900_000 + number if orphan else chart[0],
                    self.random.choice(_DASHAS),
                    begin,
                    begin + timedelta(days=7 * 365),
                    Jsonb([{"lord": lord, "years": years} for years, lord in enumerate(_DASHAS, start=6)]),
                    chart[9],
                )
            )

    def _results(self, rows: Rows) -> None:
        charts = rows["birth_charts"]
        for number in range(1, self.size.results + 1):
            first, second = self.random.choice(charts), self.random.choice(charts)
            scores = [self.random.randint(20, 99) for _ in range(5)]
            code = hashlib.md5(f"share{number}".encode(), usedforsecurity=False).hexdigest()[:10]
            orphan = number <= self.size.orphans
            rows["compatibility_results"].append(
                (
                    number,
                    first[1],
                    900_000 + number if orphan else first[0],
                    None if number % 7 == 0 else second[0],
                    *scores,
                    Jsonb({"guna": scores[0] // 3, "manglik": number % 5 == 0}),
                    None if number % 11 == 0 else code,
                    max(first[9], second[9]),
                    self.random.randrange(40),
                )
            )

    def _subscriptions(self, rows: Rows, count: int, app: str, favour: range) -> None:
        users = len(rows["users"])
        for number in range(1, count + 1):
            plan, price = self.random.choice((("basic", Decimal("4.99")), ("premium", Decimal("9.99"))))
            started = self._moment()
            paying = number <= len(favour)
            rows["subscriptions"].append(
                (
                    number,
                    favour[number - 1] if paying else self.random.randint(users // 2, users),
                    f"sub_{app}_{number:08}",
                    plan,
                    price,
                    "active" if paying or self.random.random() < 0.85 else "canceled",
                    started,
                    started + timedelta(days=30),
                    started,
                )
            )

    def _tokens(self, rows: Rows, app: str, shared: range) -> None:
        for user in range(1, len(rows["users"]) + 1):
            # one phone, both applications: the same token under the same person
            common = user in shared and (user - shared.start) % 3 == 0
            if common or self.random.random() < 0.3:
                number = len(rows["fcm_tokens"]) + 1
                token = f"device-{user - shared.start:06}" if common else f"{app}-{number:06}"
                rows["fcm_tokens"].append((number, user, token, "Pixel 9", self._moment(), self.random.random() < 0.9))

    def _preferences(self, rows: Rows, data: dict[str, Any]) -> None:
        for user in range(1, len(rows["users"]) + 1):
            if user % 2 == 0:
                number = len(rows["user_preferences"]) + 1
                rows["user_preferences"].append(
                    (number, user, True, True, self.random.random() < 0.2, "Asia/Kolkata",
                     Jsonb({**data, "seen": number}), self._moment())
                )  # fmt: skip


def password(app: str, number: int) -> str:
    """What a person of the demonstration types to sign in with an account."""
    return f"{app}-{number}"


def test_people(readers: dict[str, str]) -> list[dict[str, Any]]:
    """Some people with what they type, by the DSNs of roles that may read the applications' users.

    Some are the last ones, who have accounts in both or two accounts in one.
    """
    people = []
    for application, dsn in readers.items():
        with session(dsn, "cutover demonstration") as connection:
            rows = connection.execute(text(f"{_FOLDER}/people/with_password.sql").encode()).fetchall()
        step = max(len(rows) // _TYPING, 1)
        people += [
            {
                "application": application,
                "account": number,
                "address": address,
                "password": password(application, number),
            }
            for number, address in rows[::step]
        ]
    return people


@cache
def password_hash(app: str, number: int) -> str:
    """The hash that the application kept: bcrypt in the Dasha Timer, Django's PBKDF2 and some Argon2 in Compatibility.

    Of a real scheme at the least work that it allows: thousands of them are made while somebody waits.
    """
    typed = password(app, number).encode()
    salt = hashlib.sha256(typed).hexdigest()
    if app == "dasha":
        return bcrypt.hashpw(typed, f"$2b$04${salt[:21]}e".encode()).decode()
    if number % 10 == 0:
        return hash_secret(typed, salt[:16].encode(), 1, 8, 1, 32, Type.ID).decode()
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha256", typed, salt[:12].encode(), 100)).decode()
    return f"pbkdf2_sha256$100${salt[:12]}${digest}"


def load(superuser_dsn: dict[str, str], passwords: dict[str, str], size: Size | None = None) -> bool:
    """Fill the two source databases, and prepare the unified one, which stays empty.

    ``superuser_dsn`` maps each of DATABASES to a DSN that may do everything there, ``passwords`` the roles
    ``mula_reader``, ``dasha_owner``, ``compatibility_owner`` and ``cutover`` to theirs. A database that was loaded
    from the same world is left as it is. Returns whether anything was loaded.

    Raises CutoverError ``demo.not-a-demonstration`` for a source that holds anything of somebody else.
    """
    size = size or Size()
    made: dict[str, Rows] | None = None
    loaded = False
    with session(superuser_dsn["unified"], "cutover demonstration") as connection:
        connection.execute("select pg_advisory_xact_lock(hashtext('cutover demonstration'))")
        connection.execute(text(f"{_FOLDER}/00_roles.sql").encode())
        for role, password in passwords.items():
            connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password)))
        connection.execute(text(f"{_FOLDER}/30_unified.sql").encode())
        connection.execute(
            sql.SQL("grant create on database {} to cutover").format(sql.Identifier(connection.info.dbname))
        )
    for name in ("dasha", "compatibility"):
        with session(superuser_dsn[name], "cutover demonstration") as connection:
            mark = _mark(size)
            row = connection.execute("select obj_description(to_regnamespace('public'), 'pg_namespace')").fetchone()
            if row is not None and row[0] == mark:
                continue
            _empty(connection, row[0] if row else None)
            made = made or _Maker(size).make()
            _fill(connection, name, made[name])
            connection.execute(sql.SQL("comment on schema public is {}").format(sql.Literal(mark)))
            loaded = True
        with session(superuser_dsn[name], "cutover demonstration", autocommit=True) as connection:
            connection.execute("vacuum (analyze)")
    return loaded


def _mark(size: Size) -> str:
    digest = hashlib.sha256(repr(size).encode())
    for path in files(_FOLDER):
        digest.update(text(path).encode())
    digest.update(Path(__file__).read_bytes())
    return f"{_MARK}, {digest.hexdigest()[:16]}"


def _empty(connection: psycopg.Connection, comment: str | None) -> None:
    """Drop what an earlier demonstration made; refuse what somebody else did."""
    tables = [
        row[0] for row in connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    ]
    if tables and not (comment or "").startswith(_MARK):
        raise CutoverError(
            "demo.not-a-demonstration",
            f"database {connection.info.dbname}",
            f"it holds what the demonstration did not make: {tables[0]}, for one.",
            "give the demonstration a database of its own.",
        )
    for table in tables:
        connection.execute(sql.SQL("drop table public.{} cascade").format(sql.Identifier(table)))


def _fill(connection: psycopg.Connection, name: str, rows: Rows) -> None:
    number = {"dasha": 10, "compatibility": 20}[name]
    connection.execute(text(f"{_FOLDER}/{number}_{name}.sql").encode())
    # the Dasha Timer's own clock writes UTC without saying so
    connection.execute("set local timezone = 'UTC'")
    for table, made in rows.items():
        _copy(connection, table, COLUMNS[table], made)
        connection.execute(
            sql.SQL("select setval(pg_get_serial_sequence({}, 'id'), {})").format(
                sql.Literal(f"public.{table}"), sql.Literal(len(made) + 1)
            )
        )
        connection.execute(
            sql.SQL("alter table public.{} owner to {}").format(sql.Identifier(table), sql.Identifier(f"{name}_owner"))
        )
    connection.execute(
        sql.SQL("grant create on database {} to {}").format(
            sql.Identifier(connection.info.dbname), sql.Identifier(f"{name}_owner")
        )
    )
    connection.execute("grant select on all tables in schema public to mula_reader")


def _copy(connection: psycopg.Connection, table: str, columns: Iterable[str], rows: list[tuple[Any, ...]]) -> None:
    statement = sql.SQL("copy public.{} ({}) from stdin").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
