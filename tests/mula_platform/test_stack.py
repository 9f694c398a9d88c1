"""The platform as ``./run demo mula`` starts it, over the demonstration's own server, until ``./run down``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from demo import mula, mula_checks
from stack.deployment import Deployment, _ensure_database
from stack.postgres import free_port
from stack.progress import Console
from stack.settings import MULA_CONNECTIONS, PORTS, Settings
from tests.mula.world import World

# the seed's mixture, a twentieth as large
SIZE = mula.Size(60, 160, 20, 2, 1, 60, 60, 60, 3, 4, 1, 2, 1, 1)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """PostgreSQL of a home of its own, with both applications in it and launched."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CUTOVER"))}
    ports = {name: str(free_port()) for name in PORTS}
    settings = Settings.read({**inherited, **ports, "CUTOVER_HOME": str(tmp_path / "home")})
    made = Deployment(settings, Console())
    settings.home.mkdir()
    settings.postgres.start()
    try:
        for name in mula.DATABASES:
            _ensure_database(settings.postgres.dsn(), name)
        admin = {name: settings.postgres.dsn(name) for name in mula.DATABASES}
        mula.load(admin, settings.role_passwords, SIZE)
        World({name: settings.dsn(name) for name in MULA_CONNECTIONS}, admin).launch("first")
        yield made
    finally:
        made.down()
        settings.postgres.remove()


def test_it_is_started_over_what_was_launched_and_stopped_with_everything_else(deployment: Deployment) -> None:
    url = deployment.start_platform()
    assert httpx.get(f"{url}/readyz").text == "ready\n"
    check = mula_checks.ways_in(deployment.target_admin_dsn("unified"))
    address, passwords = check[0].split()[1], check[1].split()[1:]
    with httpx.Client(base_url=url, follow_redirects=True) as client:
        key = client.get("/sign-in").cookies["__Host-mula-form"]
        # the browser keeps cookies that are for HTTPS alone on the machine itself, too; this client does not
        cookies = {"__Host-mula-form": key}
        for password in (passwords[0], next(word for word in passwords if word.startswith("compatibility-"))):
            form = {"form_key": key, "email": address, "password": password}
            answer = client.post("/sign-in", data=form, cookies=cookies, follow_redirects=False)
            assert answer.status_code == 303, answer.text
            session = answer.cookies["__Host-mula"]
            page = client.get("/", cookies={"__Host-mula": session}).text
            assert "Your Personal Astrology Hub" in page
            assert ("remaining" in page or "ended on" in page) == password.startswith("dasha")
            assert ("All results" in page) == password.startswith("compat")
    # again over what runs, after another launch: the keys, and so the sessions, stay
    assert deployment.start_platform() == url
    assert "Astrology Hub" in httpx.get(url, cookies={"__Host-mula": session}).text
    with psycopg.connect(deployment.target_admin_dsn("unified")) as connection:
        assert connection.execute("select count(*) from platform.signing_key").fetchone() == (1,)
    assert deployment.down()
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
