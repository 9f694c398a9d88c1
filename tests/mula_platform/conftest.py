"""A merged database, made once by the migration itself, and the platform over a copy of it for each test."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import bcrypt
import jwt
import psycopg
import pytest
import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from psycopg.rows import dict_row

from demo import mula
from mula_platform import setup
from mula_platform.app import make_app
from mula_platform.service import Platform
from mula_platform.settings import Settings
from stack.postgres import EmbeddedPostgres, free_port
from tests import databases
from tests.mula.conftest import _EMPTY, PASSWORD, ROLES
from tests.mula.conftest import _make as make_world
from tests.mula.world import World

SECRETS = {
    "dasha": "the old secret of the Dasha Timer, long enough",
    "compatibility": "the old secret of Compatibility, as long",
}
# Of the endpoints of two Stripe accounts; the first of each is being replaced by the second.
STRIPE_SECRETS = {
    "dasha": ("whsec_dasha_of_before", "whsec_dasha_of_now"),
    "compatibility": ("whsec_compatibility",),
}
URL = "https://mula.test"
_names = itertools.count(1)


def bcrypt_hash(password: str) -> str:
    """As the Dasha Timer kept it."""
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()


def django_hash(password: str) -> str:
    """As Compatibility kept most."""
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt", 1000)).decode()
    return f"pbkdf2_sha256$1000$salt${digest}"


def argon2_hash(password: str) -> str:
    """As Compatibility kept the latest."""
    return PasswordHasher(1, 8, 1).hash(password)


def fill(world: World) -> None:
    """People with each kind of account. Ana's two are of two strangers as far as anybody knows."""
    world.user("dasha", 5, "Ana@Example.com", username="ana_d", password_hash=bcrypt_hash("ana at dasha"))
    world.user("compatibility", 5, "ana@example.com", username="ana_c", password_hash=django_hash("ana at compat"))
    world.chart("dasha", 1, 5, birth_location_name="Pune, India", is_default=True)
    world.chart("compatibility", 1, 5, birth_location_name="London, UK", created_at="2025-11-20", is_default=True)
    world.chart("compatibility", 2, 5, birth_location_name="Lima, Peru", created_at="2025-11-10")
    ends = datetime.now(timezone.utc).date() + timedelta(days=100)
    world.insert("dasha", "dasha_data", id=1, user_id=5, chart_id=1, current_dasha="Saturn",
                 current_dasha_start="2020-01-01", current_dasha_end=ends, calculated_at="2025-11-12")  # fmt: skip
    world.insert("compatibility", "compatibility_results", id=1, user_id=5, chart1_id=1, chart2_id=2, overall_score=83,
                 venus_score=70, mars_score=71, moon_score=72, sun_score=73, share_code="anashared", view_count=7,
                 detailed_breakdown={"partner_name": "Ravi"}, calculated_at="2025-11-21")  # fmt: skip
    for source, number in (("dasha", 1), ("compatibility", 1)):
        world.insert(source, "subscriptions", id=number, user_id=5, stripe_subscription_id=f"sub_{source}",
                     plan_name="basic", monthly_amount="4.99", status="active")  # fmt: skip
        world.insert(source, "user_preferences", id=1, user_id=5, timezone="Asia/Kolkata", updated_at="2025-11-20")
    # one password for both
    world.user("dasha", 6, "ben@example.com", username="ben", password_hash=bcrypt_hash("ben everywhere"))
    world.user("compatibility", 6, "ben@example.com", username="ben", password_hash=argon2_hash("ben everywhere"))
    world.chart("dasha", 6, 6)
    world.chart("compatibility", 6, 6)
    # a provider vouched for both
    for source in ("dasha", "compatibility"):
        world.user(source, 7, "cleo@example.com", oauth_provider="google", oauth_id="g-7", username="cleo")
        world.chart(source, 7, 7)
    world.user("compatibility", 8, "niña@example.com", username="niña", password_hash=argon2_hash("pässwörd"))
    world.chart("compatibility", 8, 8)
    world.user("dasha", 9, "dora@example.com", username="dora", password_hash=hashlib.md5(b"dora").hexdigest())
    world.insert("dasha", "subscriptions", id=9, user_id=9, stripe_subscription_id="sub_ended", plan_name="basic",
                 monthly_amount="4.99", status="canceled")  # fmt: skip


@dataclass
class Merged:
    """The merged database that is copied for each test, as superuser, and the keys that sign in it."""

    world: World
    name: str
    keys: Path


@pytest.fixture(scope="session")
def merged(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Merged]:
    """Both applications, launched by the migration, with the platform set up."""
    names = {name: f"platform_{os.getpid()}_{name}" for name in mula.DATABASES}
    for name in names.values():
        databases.create(server, name)
    mula.load({name: server.dsn(made) for name, made in names.items()}, dict.fromkeys(ROLES, PASSWORD), _EMPTY)
    world = make_world(server, names)
    fill(world)
    world.launch("first")
    setup.prepare(world.admin["unified"], PASSWORD)
    for source in SECRETS:
        setup.carry(source, world.dsn[source], server.dsn(names["unified"], setup.ROLE, PASSWORD))
    keys = tmp_path_factory.mktemp("keys")
    app = make_app(Settings(dsn=server.dsn(names["unified"], setup.ROLE, PASSWORD), keys=keys, url=URL))
    with TestClient(app):
        app.state.platform.ring.rotate()
    yield Merged(world, names["unified"], keys)
    databases.drop(server, *names.values())


@dataclass
class Site:
    """The platform over a database of this test's own."""

    app: FastAPI
    settings: Settings
    admin: str
    mails: Path
    client: TestClient

    @property
    def platform(self) -> Platform:
        """What the routes work with."""
        result: Platform = self.app.state.platform
        return result

    def browser(self) -> Browser:
        """Somebody's browser, with cookies of its own."""
        return Browser(TestClient(self.app, base_url=URL, follow_redirects=True))

    def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query, as superuser."""
        with psycopg.connect(self.admin, row_factory=dict_row, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *values: Any) -> Any:
        """The first value of a query."""
        return next(iter(self.rows(statement, *values)[0].values()))

    def identity(self, source: str, number: int) -> dict[str, Any]:
        """An account's row."""
        return self.rows(
            "select * from legacy_identities where source = %s and legacy_user_id = %s", source, str(number)
        )[0]

    def links(self) -> list[str]:
        """The links in mails, as they were sent."""
        texts = [path.read_text().replace("=\n", "").replace("=3D", "=") for path in self._mailed()]
        return [each for text in texts for each in re.findall(r"/link\?token=[\w.-]+", text)]

    def _mailed(self) -> list[Path]:
        return sorted(self.mails.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)

    def exchange(self, token: str, source: str = "dasha", **values: str) -> Any:
        """``POST /auth/exchange``; the response."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": token,
            "subject_token_type": f"urn:mula:{source}",
        } | values
        return self.client.post("/auth/exchange", data=form)

    def me(self, token: str) -> Any:
        """``GET /api/me`` with a token; the response."""
        return self.client.get("/api/me", headers={"authorization": f"Bearer {token}"})


@dataclass
class Browser:
    """What a person does, form by form."""

    client: TestClient

    def get(self, path: str) -> Any:
        """A page."""
        return self.client.get(path)

    def post(self, path: str, *, key: str | None = None, **values: str) -> Any:
        """A form, with the key that the page before had."""
        if "__Host-mula-form" not in self.client.cookies:
            self.client.get("/sign-in")
        form_key = self.client.cookies["__Host-mula-form"] if key is None else key
        return self.client.post(path, data={"form_key": form_key, **values})

    def sign_in(self, email: str, password: str) -> Any:
        """The form of the sign-in page."""
        return self.post("/sign-in", email=email, password=password)


def old_token(source: str, number: object, *, key: str | None = None, **claims: Any) -> str:
    """A token as an old application made it."""
    body = {"user_id": number, "email": "ana@example.com", "exp": int(time.time()) + 3600} | claims
    body = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(body, SECRETS[source] if key is None else key, algorithm="HS256")


@pytest.fixture
def make_site(server: EmbeddedPostgres, merged: Merged, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes the platform over a copy of the merged database, with settings as given."""
    made: list[tuple[str, TestClient]] = []

    def make(**settings: Any) -> Site:
        name = f"platform_{os.getpid()}_{next(_names)}"
        databases.create(server, name, merged.name)
        # of its own, too: who rotates a key deletes files
        keys = shutil.copytree(merged.keys, tmp_path / "keys" / name)
        given: dict[str, Any] = {
            "dsn": server.dsn(name, setup.ROLE, PASSWORD), "keys": keys, "url": URL,
            "mail": f"file:{tmp_path}/mails", "old_secrets": SECRETS,
            "stripe_secrets": STRIPE_SECRETS, "pool": 4,
        } | settings  # fmt: skip
        app = make_app(Settings(**given))
        client = TestClient(app, base_url=URL, raise_server_exceptions=False)
        client.__enter__()
        made.append((name, client))
        return Site(app, app.state.platform.settings, server.dsn(name), tmp_path / "mails", client)

    yield make
    for _, client in made:
        client.__exit__(None, None, None)
    databases.drop(server, *(name for name, _ in made))


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """The platform as it is deployed."""
    return make_site()


@contextmanager
def served(make: Callable[..., Site], **settings: Any) -> Iterator[tuple[Site, str]]:
    """The platform on a port, for a browser; with the address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    site = make(url=url, port=port, **settings)
    server = uvicorn.Server(uvicorn.Config(site.app, port=port, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield site, url
    server.should_exit = True
    thread.join()
