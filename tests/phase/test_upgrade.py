"""A deployment that launched with an earlier version goes on with this one: its evidence, its tables, its way back.

``launched_earlier.sql`` is a dump of the smallest migration's database (``tiny``) as the version of 26 November 2026
has left it: a launch that was reviewed, approved, swapped and certified, and two writes of the application since.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cutover.records import anchors, ledger, signing
from stack.__main__ import main

from .tiny import World

_DUMP = Path(__file__).with_name("launched_earlier.sql")
# Of the key that it was signed with; the private one is gone.
_PUBLIC = "Jnfiyud/ET6h9JgGE4+LsmaBB7wiAlUgqQPCENzW2aQ="
# The rows that are evidence.
_EVIDENCE = ("run", "approvals", "ledger", "certificate", "chain")


@pytest.fixture
def earlier(settings: pytest.MonkeyPatch, database: str, tmp_path: Path) -> World:
    """The database as the earlier version left it; this deployment believes the key of that time, and has its own."""
    key = tmp_path / "signing.key"
    own = signing.make(key)
    signing.public_file(key).write_text(f"{_PUBLIC}\n{own.public}\n")
    settings.setenv(signing.VARIABLE, str(key))
    # commands note and look up where the chain was; of no other test
    settings.setenv("CUTOVER_HOME", str(tmp_path / "home"))
    settings.setenv(anchors.VARIABLE, str(tmp_path / "anchors"))
    settings.setenv("AIRFLOW_CONN_PRODUCTION", database.replace("postgresql://", "postgres://"))
    with psycopg.connect(database) as connection:
        connection.execute(_DUMP.read_bytes())
    return World(database)


def _upgrade(world: World) -> None:
    with psycopg.connect(world.dsn) as connection:
        ledger.install(connection)


def _rows(world: World) -> dict[str, list[dict[str, Any]]]:
    return {
        table: json.loads(
            world.value(f"select coalesce(json_agg(t order by t::text), '[]')::text from cutover.{table} as t")
        )
        for table in _EVIDENCE
    }


def _hashable(row: dict[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in row.items()}


def _as_upgraded_in_place(world: World) -> None:
    """Name tables, files and transactions as this server does: an upgrade keeps those numbers, a dump does not."""
    world.execute(
        """do $$
            declare
                name text;
            begin
                foreach name in array array['people', 'orders'] loop
                    execute (
                        select format(
                            'alter function %s rename to capture_%s', t.tgfoid::regprocedure, t.tgrelid
                        )
                        from pg_trigger as t
                        where t.tgrelid = to_regclass('public.' || name) and t.tgname = 'cutover_capture'
                    );
                    perform cutover.make_capture(to_regclass('public.' || name));
                end loop;
            end
        $$""",
        # evidence can be changed by nobody whose triggers are on
        "set session_replication_role = replica",
        """update cutover.ledger set snapshot = pg_current_snapshot(), xid = pg_current_xact_id(),
            tables = (
                select jsonb_agg(t.value || jsonb_build_object(
                    'incoming', to_regclass('public.' || (t.value ->> 'name'))::oid::bigint,
                    'outgoing', to_regclass(backup_schema || '.' || (t.value ->> 'name'))::oid::bigint
                ))
                from jsonb_array_elements(tables) as t
            ),
            report = report || jsonb_build_object('filenodes', (
                select jsonb_object_agg(c.oid::text, c.relfilenode::bigint)
                from pg_class as c where c.oid in ('public.people'::regclass, 'public.orders'::regclass)
            ))""",
        "update cutover.changelog set xid = pg_current_xact_id(), relid = 'public.people'::regclass",
    )


def test_evidence_of_earlier_is_untouched_and_accepted(
    earlier: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _rows(earlier)
    _upgrade(earlier)
    after = _rows(earlier)
    for table in _EVIDENCE:
        assert len(after[table]) == len(before[table]) > 0
        # columns may have been added
        known = [_hashable(row).items() for row in after[table]]
        assert all(any(_hashable(row).items() <= other for other in known) for row in before[table])
    assert main(["verify-ledger"]) == 0
    assert "7 links, one ledger entry" in capsys.readouterr().out
    archive = tmp_path / "evidence.zip"
    assert main(["evidence", "1", "--to", str(archive)]) == 0
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "evidence")
    (folder,) = (tmp_path / "evidence").iterdir()
    verified = subprocess.run(
        [sys.executable, "verify.py", signing.signer().public], cwd=folder, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    wrong = [line.split(maxsplit=1)[1] for line in verified.stdout.splitlines() if line.startswith("WRONG")]
    # the dump is of the database: the pages were files beside it
    assert wrong == ["the Data Docs that were validated are not in the archive"], verified.stdout + verified.stderr


def test_the_launch_of_earlier_can_be_taken_back_with_the_writes_since(earlier: World) -> None:
    _upgrade(earlier)
    _as_upgraded_in_place(earlier)
    back = earlier.rollback("back")
    assert back.do("preview") is None
    assert back.do("approve") == "waiting"
    assert back.answer() is None
    assert back.do("rollback") is None
    assert earlier.rows("public") == {"people": [(1, "Ana", 11), (7, "Gil", 70)], "orders": []}


def test_a_restored_dump_cannot_prove_what_was_written_and_says_so(earlier: World) -> None:
    _upgrade(earlier)
    refusal = earlier.rollback("back").do("preview")
    assert refusal is not None and refusal.startswith("[rollback.table-remade]")
    assert "launch corrected data with a new run" in refusal


def test_a_launch_on_top_of_the_one_of_earlier(earlier: World, capsys: pytest.CaptureFixture[str]) -> None:
    run = earlier.run("next")
    assert run.until("approve") is None
    assert run.answer() is None
    assert run.do("swap") is None
    assert run.do("verify.certificate") is None
    assert earlier.rows("public")["people"] == [(1, "Ana", 10), (2, "Ben", 20)]
    assert main(["verify-ledger"]) == 0
    assert "2 ledger entries" in capsys.readouterr().out
