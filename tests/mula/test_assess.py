"""The assessment of both applications: what it counts, that it shows nobody, and that it changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cutover import assess, storage
from cutover.database.connect import connector
from cutover.migration import load
from tests.mula.world import World

MIGRATION = load("mula_unification")


def looked_at(world: World) -> assess.Assessment:
    """An assessment with the roles of the migration's own connections."""
    return assess.assess(MIGRATION, lambda name: connector(world.dsn[name], name, "test"), world.messages.append)


def numbers(entries: list[dict[str, Any]], name: str, number: str) -> dict[str, int]:
    """One number of each finding, by what it is about, where it is not nought."""
    return {one[name]: one[number] for one in entries if one[number]}


def fill(world: World) -> None:
    """One of everything that goes wrong."""
    world.user("dasha", 1, "Ana@Example.com")
    world.user("dasha", 2, " ana@example.com")
    world.user("dasha", 3, "no address")
    world.user("dasha", 4, "ben@example.com")
    world.user("compatibility", 1, "ANA@example.com")
    world.user("compatibility", 2, None)
    world.user("compatibility", 4, "ben@example.com")
    world.chart("dasha", 1, 1, is_default=True)
    world.chart("dasha", 2, 1, is_default=True, birth_date="1700-01-01")
    world.chart("compatibility", 1, 77)
    world.insert("compatibility", "compatibility_results", id=1, user_id=1, chart1_id=1, chart2_id=99,
                 share_code="once", overall_score=50)  # fmt: skip
    for source, zone in (("dasha", "Asia/Kolkata"), ("compatibility", "Asia/Manila")):
        for user in (1, 4):
            world.insert(source, "user_preferences", id=user, user_id=user,
                         timezone=zone if user == 1 else "Asia/Pune")  # fmt: skip
        world.insert(source, "subscriptions", id=1, user_id=1, stripe_subscription_id="sub_same", plan_name="basic",
                     monthly_amount="4.99", status="active")  # fmt: skip
    world.insert("dasha", "fcm_tokens", id=1, user_id=1, token="a phone", is_active=True)
    world.insert("compatibility", "fcm_tokens", id=1, user_id=4, token="a phone", is_active=True)
    world.execute("dasha", "create table public.forgotten (id integer)")
    world.execute("dasha", "alter table public.users add column nickname text")


def test_both_sources_are_counted_side_by_side(world: World, tmp_path: Path) -> None:
    fill(world)
    made = looked_at(world)
    dasha, compatibility = made.sources
    assert (dasha.problems, compatibility.problems) == ([], [])
    rows = {table["name"]: table["rows"] for table in dasha.tables}
    assert (rows["public.users"], rows["public.birth_charts"]) == (4, 2)
    differs = {table["name"]: table["differs"] for table in dasha.tables if table["differs"]}
    assert differs == {
        "public.forgotten": ["not part of the migration"], "public.users": ["column nickname is new"],
    }  # fmt: skip
    values = {"where": "public.users.email", "row_count": 4, "unusable": 1, "addresses": 2, "repeated": 1}
    assert dasha.addresses == [values]
    assert numbers(dasha.within, "title", "found") == {
        "Users with more than one default chart": 1,
        "Charts whose birth date is missing, before 1800, or after the chart was made": 1,
    }
    assert numbers(compatibility.orphans, "where", "orphans") == {"public.birth_charts.user_id": 1}
    assert numbers(compatibility.within, "title", "found") == {"Results one of whose charts does not exist": 1}
    assert {one["title"]: (one["shared"], one["different"]) for one in made.between} == {
        "Addresses that several sources have": (2, 0),
        "People of both applications whose settings differ": (2, 1),
        "Stripe subscriptions of both applications that are not the same person's": (1, 0),
        "Devices of both applications that are not the same person's": (1, 1),
    }
    (users,) = [one for one in made.side_by_side if one["table"] == "public.users"]
    differing = {row["column"] for row in users["columns"] if not row["is_same"]}
    assert differing == {"nickname", "created_at", "last_login"}
    root = storage.at(str(tmp_path), "CUTOVER_DATA_DOCS")
    stored = Path(assess.keep(made, root))
    assert assess.load(root, "mula_unification") == json.loads(stored.read_text())
    said = stored.read_text().lower() + "\n".join(world.messages).lower()
    assert not [name for name in ("ana", "ben@", "phone", "sub_same", "kolkata") if name in said]
    assert assess.load(root, "clean_launch") is None


def test_what_cannot_be_measured_is_said_and_stops_nothing(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.execute("dasha", "revoke select on public.birth_charts from mula_reader")
    world.execute("compatibility", "drop table public.fcm_tokens")
    made = looked_at(world)
    dasha, compatibility = made.sources
    assert "public.birth_charts (InsufficientPrivilege)" in dasha.problems
    assert next(table["rows"] for table in dasha.tables if table["name"] == "public.birth_charts") is None
    assert "public.fcm_tokens: declared, and not there" in compatibility.problems
    assert numbers(dasha.addresses, "where", "addresses") == {"public.users.email": 1}
    assert "Devices of both applications that are not the same person's (UndefinedTable)" in compatibility.problems


def test_the_command_makes_a_page_and_a_file(world: World, tmp_path: Path) -> None:
    fill(world)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "CUTOVER"))},
        "CUTOVER_HOME": str(tmp_path / "home"),
        "PYTHONPATH": os.pathsep.join(sys.path),
        **{f"AIRFLOW_CONN_{name.upper()}": world.dsn[name] for name in MIGRATION.databases},
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stack", "assess", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    done = run("--to", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert "public.users.email: 2 addresses in 4 rows, 1 of them several times, 1 rows without one" in done.stdout
    page = (tmp_path / "out" / "assessment.html").read_text()
    assert "Devices of both applications" in page and "3 of 10 columns differ" in page and "<style>" in page
    assert (tmp_path / "out" / "assessment.json").read_text().startswith("{")
    assert "assess.no-databases" in run("clean_launch").stderr
