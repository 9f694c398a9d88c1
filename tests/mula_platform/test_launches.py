"""The platform across launches: a repeat keeps its rights and what it found out; and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from fastapi.testclient import TestClient

from cutover.errors import CutoverError
from mula_platform import setup
from mula_platform.app import make_app
from mula_platform.settings import Settings
from stack.postgres import EmbeddedPostgres
from tests.mula.conftest import PASSWORD
from tests.mula.conftest import make_world as make_world  # noqa: PLC0414
from tests.mula.conftest import templates as templates  # noqa: PLC0414
from tests.mula.conftest import world as world  # noqa: PLC0414
from tests.mula.world import World

from .conftest import URL, Merged, bcrypt_hash, django_hash


def _platform_dsn(world: World) -> str:
    return psycopg.conninfo.make_conninfo(world.admin["unified"], user=setup.ROLE, password=PASSWORD)


def _carry(world: World) -> None:
    setup.carry_all(
        {name: world.dsn[name] for name in ("dasha", "compatibility")}, _platform_dsn(world), world.messages.append
    )


def test_a_repeat_keeps_rights_proofs_and_renewed_passwords(world: World, tmp_path: Path) -> None:
    with pytest.raises(CutoverError, match=r"platform\.nothing-launched"):
        setup.prepare(world.admin["unified"], PASSWORD)
    world.user("dasha", 1, "ana@example.com", password_hash=bcrypt_hash("ana"), username="ana")
    world.user("compatibility", 1, "ben@example.com", password_hash=django_hash("ben"), username="ben")
    world.chart("dasha", 1, 1, birth_location_name="Pune, India")
    world.launch("first")
    setup.prepare(world.admin["unified"], PASSWORD)
    _carry(world)
    assert world.messages[-2:] == ["dasha: 1 bcrypt", "compatibility: 1 pbkdf2"]
    app = make_app(Settings(dsn=_platform_dsn(world), keys=tmp_path / "keys", url=URL))
    with TestClient(app, base_url=URL) as client:
        app.state.platform.ring.rotate()

        def sign_in(email: str, password: str) -> str:
            client.cookies.clear()
            client.get("/sign-in")
            key = client.cookies["__Host-mula-form"]
            return str(client.post("/sign-in", data={"form_key": key, "email": email, "password": password}).text)

        assert "Welcome, ana" in sign_in("ana@example.com", "ana")
        session = client.cookies["__Host-mula"]
        # meanwhile, at the sources: both change their password, and Ana makes another chart
        for source, made in (("dasha", bcrypt_hash("ana's new")), ("compatibility", django_hash("ben's new"))):
            world.execute(source, "update users set password_hash = %s, updated_at = now()", made)
        world.chart("dasha", 2, 1, birth_location_name="Lima, Peru")
        world.launch("second")
        # the session goes on, with the rights that it had
        assert "Welcome, ana" in client.get("/").text
        setup.prepare(world.admin["unified"])
        _carry(world)
        client.cookies.set("__Host-mula", session, domain="mula.test")
        shown = client.get("/settings").text
        assert "Pune, India" in shown and "Lima, Peru" in shown
        assert world.value("select proved_by from legacy_identities where source = 'dasha'") == "password"
        # one that was used here is ours by now; one that was not is still the source's to change
        assert "Welcome, ana" in sign_in("ana@example.com", "ana")
        assert "Welcome, ben" in sign_in("ben@example.com", "ben's new")


def test_the_commands(merged: Merged, server: EmbeddedPostgres, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CUTOVER_PLATFORM_ADMIN_DSN": server.dsn(merged.name),
        "CUTOVER_PLATFORM_DSN": server.dsn(merged.name, setup.ROLE, PASSWORD),
        "CUTOVER_PLATFORM_DASHA_DSN": merged.world.dsn["dasha"],
        "CUTOVER_PLATFORM_KEYS": str(tmp_path),
    }

    def run(*arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mula_platform", *arguments],
            env={**environment, **changed}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    done = run("setup")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "dasha: 2 bcrypt, 1 unknown\nsubscriptions: 0 changed by what Stripe had said before\n"
    assert "ai_oracle_chat_soon" in run("flag").stdout
    assert "off" in run("flag", "ai_oracle_chat_soon", "off").stdout
    assert "on " in run("flag", "ai_oracle_chat_soon", "on").stdout
    assert "platform.no-such-flag" in run("flag", "nothing", "on").stderr
    assert "platform.no-such-key" in run("rotate-keys", "--revoke", "nothing").stderr
    assert "platform.bad-setting" in run("serve", CUTOVER_PLATFORM_PORT="70000").stderr
    same = {"CUTOVER_PLATFORM_DASHA_SECRET": "same", "CUTOVER_PLATFORM_COMPATIBILITY_SECRET": "same"}
    assert "platform.equal-secrets" in run("serve", **same).stderr
