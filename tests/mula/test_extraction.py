"""Copying tables of another database: one picture, only what differs, and nothing half done."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from cutover.database.connect import connector, opened
from cutover.errors import CutoverError
from cutover.extract import tables
from cutover.extract.tables import copy_database
from cutover.migration.tables import Table
from tests.mula.world import MIGRATION, World


def written(world: World, **options: Any) -> dict[str, int]:
    """Copy both sources; rows written by raw table, without those where nothing was."""
    return {report.source: report.written for report in world.copy(**options) if report.written}


def test_the_first_copy_brings_every_row_with_where_it_came_from(world: World) -> None:
    world.user("dasha", 7, "ana@example.com", username="ana")
    world.chart("dasha", 3, 7, chart_data={"moon": 12})
    assert written(world) == {"dasha_users": 1, "dasha_birth_charts": 1}
    row = world.row("select r.*, s.state, s.api from raw.dasha_users as r join cutover.sync as s using (sync_id)")
    assert (row["id"], row["email"], row["state"], row["gone_at"]) == (7, "ana@example.com", "complete", None)
    assert row["api"].endswith("_dasha")
    assert "password_hash" not in row


def test_a_second_copy_of_unchanged_sources_writes_nothing(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.insert("dasha", "fcm_tokens", id=1, user_id=1, token="t1")
    world.copy()
    version = (
        "select u.xmin::text, u.ctid::text, t.xmin::text, t.ctid::text "
        "from raw.dasha_users as u, raw.dasha_fcm_tokens as t"
    )
    before = world.rows(version)
    assert written(world) == {}
    assert world.rows(version) == before


def test_changed_new_and_removed_rows_are_found_by_time_and_by_content(world: World) -> None:
    for number in (1, 2, 3):
        world.user("dasha", number, f"{number}@example.com")
        world.insert("dasha", "fcm_tokens", id=number, user_id=number, token=f"t{number}")
    world.copy()
    world.execute("dasha", "update users set username = 'bea', updated_at = now() + interval '1 s' where id = 2")
    world.execute("dasha", "delete from users where id = 3")
    world.user("dasha", 4, "4@example.com")
    # this table has no time of modification
    world.execute("dasha", "update fcm_tokens set is_active = false where id = 1")
    reports = {report.source: report for report in world.copy()}
    users, tokens = reports["dasha_users"], reports["dasha_fcm_tokens"]
    assert (users.new, users.changed, users.gone, users.total) == (1, 1, 1, 3)
    assert (tokens.new, tokens.changed, tokens.gone) == (0, 1, 0)
    assert world.value("select username from raw.dasha_users where id = 2") == "bea"
    assert world.value("select gone_at is not null from raw.dasha_users where id = 3")
    world.user("dasha", 3, "3@example.com")
    assert {r.source: r.returned for r in world.copy() if r.returned} == {"dasha_users": 1}


def test_an_update_that_does_not_touch_the_time_is_found_when_everything_is_compared(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.copy()
    world.execute("dasha", "update users set username = 'silent'")
    assert written(world) == {}
    assert written(world, full=True) == {"dasha_users": 1}


@pytest.mark.parametrize("bits", [0, 4, 16])
@pytest.mark.parametrize("kind", ["bigint", "uuid", "text"])
def test_what_differs_is_found_among_many_rows_whatever_the_key(
    world: World, kind: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows in one block, in a few, and most of them each in its own."""
    monkeypatch.setattr(tables, "_FEWEST_BITS", bits)
    key = {"bigint": "n", "uuid": "md5(n::text)::uuid", "text": "chr(64 + n % 60) || n"}[kind]
    world.execute("dasha", f"create table many (id {kind} primary key, n int, note text)")
    world.execute("dasha", f"insert into many select {key}, n, null from generate_series(-20, 800) as n")
    world.execute("dasha", "grant select on many to mula_reader")
    columns = {"id": kind, "n": "integer", "note": "text"}
    many = Table(name="many", migration="mula_unification", database="dasha", table="public.many", columns=columns)

    def copy() -> tables.TableReport:
        (report,) = copy_database([many], world.connect("dasha"), world.connect("unified"), log=lambda line: None)
        return report

    assert [copy().written, copy().written] == [821, 0]
    world.execute("dasha", "update many set note = 'changed' where n in (7, 300)")
    world.execute("dasha", "delete from many where n in (8, 301, -20)")
    world.execute("dasha", f"insert into many select {key}, n, 'new' from generate_series(801, 802) as n")
    # two rows that exchange what they hold: a sum over rows would be as it was
    world.execute("dasha", "update many set note = case n when 400 then 'a' else 'b' end where n in (400, 401)")
    differences = copy()
    assert (differences.read, differences.new, differences.changed, differences.gone, differences.total) == (
        820,
        2,
        4,
        3,
        820,
    )
    world.execute("dasha", "update many set note = case n when 400 then 'b' else 'a' end where n in (400, 401)")
    world.execute("dasha", f"insert into many select {key}, n, null from generate_series(8, 8) as n")
    differences = copy()
    assert (differences.changed, differences.returned, differences.gone) == (2, 1, 0)
    assert copy().written == 0
    held = "select md5(string_agg(id::text || n || coalesce(note, '-'), ',' order by n)) from {}"
    assert world.value(held.format("raw.many where gone_at is null")) == world.value(
        held.format("many"), database="dasha"
    )


def test_many_changed_rows_are_read_in_one_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_FEW", 3)
    for number in range(1, 9):
        world.user("dasha", number, f"{number}@example.com")
    world.copy()
    world.execute("dasha", "update users set username = 'x', updated_at = now() + interval '1 s' where id > 2")
    assert written(world) == {"dasha_users": 6}
    assert world.value("select count(*) from raw.dasha_users where username = 'x'") == 6


def test_a_chart_never_arrives_without_its_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody signs up and makes a chart between the copy of the users and that of the charts."""
    world.user("dasha", 1, "ana@example.com")
    copy = tables._Copy.run

    def run(self: Any, *given: Any) -> Any:
        report = copy(self, *given)
        if report.source == "dasha_users":
            world.user("dasha", 2, "late@example.com")
            world.chart("dasha", 9, 2)
        return report

    monkeypatch.setattr(tables._Copy, "run", run)
    world.copy()
    assert world.value("select count(*) from raw.dasha_birth_charts") == 0
    monkeypatch.undo()
    assert written(world) == {"dasha_users": 1, "dasha_birth_charts": 1}


def test_another_version_of_the_schema_is_refused_by_the_columns(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    for change in ("drop column oauth_id", "alter column username type text", "add column phone text"):
        world.execute("dasha", f"alter table users {change}")
    with pytest.raises(CutoverError) as caught:
        world.copy()
    assert caught.value.code == "extract.schema-changed"
    for said in (
        "oauth_id is missing",
        "username is text and not character varying(100)",
        "phone is not known",
    ):
        assert said in str(caught.value)
    assert world.value("select to_regclass('raw.dasha_users')") is None


def test_a_missing_table_is_refused(world: World) -> None:
    world.execute("compatibility", "drop table compatibility_results")
    with pytest.raises(CutoverError, match=r"extract\.no-table.*public\.compatibility_results"):
        world.copy()


def test_a_source_that_lost_many_rows_is_not_believed(world: World) -> None:
    for number in range(1, 41):
        world.user("dasha", number, f"{number}@example.com")
    world.copy()
    world.execute("dasha", "delete from users where id > 10")
    with pytest.raises(CutoverError, match=r"extract\.too-many-gone.*30 of the 40"):
        world.copy()
    assert world.value("select count(*) from raw.dasha_users where gone_at is null") == 40
    assert written(world, accept_gone=True) == {"dasha_users": 30}


def test_rows_hidden_by_row_security_are_an_error(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.execute("dasha", "alter table users enable row level security")
    with pytest.raises(CutoverError, match=r"extract\.hidden-rows"):
        world.copy()


def test_sources_are_only_read(world: World) -> None:
    """Also by a role that may write, and where reading would write: the transaction cannot."""
    world.execute("dasha", "alter table users rename to kept")
    world.execute(
        "dasha",
        "create function logged() returns setof public.kept language plpgsql as $$ begin "
        "insert into public.kept (email) values ('read'); return query select * from public.kept; end $$",
    )
    world.execute("dasha", "create view users as select * from logged()")
    world.execute("dasha", "grant all on all tables in schema public to mula_reader")
    with opened(world.connect("dasha")) as writer:
        writer.execute("select * from public.users")
    assert world.value("select count(*) from kept", database="dasha") == 1
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        world.copy()
    assert world.value("select count(*) from kept", database="dasha") == 1


def test_a_copy_that_is_killed_changes_nothing_and_the_next_one_does_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.copy()
    world.user("dasha", 2, "ben@example.com")
    world.chart("dasha", 1, 2)
    copy = tables._Copy.run

    def killed(self: Any, *given: Any) -> Any:
        report = copy(self, *given)
        if report.source == "dasha_users":
            pid = self._writer.info.backend_pid
            world.execute("unified", "select pg_terminate_backend(%s, 5000)", pid)
        return report

    monkeypatch.setattr(tables._Copy, "run", killed)
    with pytest.raises(psycopg.OperationalError):
        world.copy()
    monkeypatch.undo()
    assert world.value("select count(*) from raw.dasha_users") == 1
    assert written(world) == {"dasha_users": 1, "dasha_birth_charts": 1}


def test_two_copies_of_one_source_do_not_meet(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.copy()
    with psycopg.connect(world.admin["unified"]) as other:
        other.execute("select cutover.hold_source('dasha_users')")
        with pytest.raises(CutoverError, match=r"extract\.busy"):
            world.copy()


def test_wide_rows_of_every_type_arrive_as_they_were(world: World) -> None:
    """Bytes pass through: infinity, exact amounts, emoji and nested JSON are the target's to understand, not ours."""
    world.user("dasha", 1, "ana@example.com", username="🔮 Ana", last_login="infinity")
    world.insert("dasha", "subscriptions", id=1, user_id=1, plan_name="basic", monthly_amount="4.99", status="active")
    big = {"list": [{"n": number, "text": "ü" * 50} for number in range(2_000)]}
    world.chart("dasha", 1, 1, chart_data=big)
    world.copy()
    assert world.value("select chart_data from raw.dasha_birth_charts") == big
    assert world.value("select username from raw.dasha_users") == "🔮 Ana"
    assert world.value("select last_login = 'infinity' from raw.dasha_users")
    assert str(world.value("select monthly_amount from raw.dasha_subscriptions")) == "4.99"


@pytest.mark.parametrize("updated", ["updated_at", None])
def test_types_that_cannot_be_compared_are_compared_as_they_are_written(world: World, updated: str | None) -> None:
    world.execute(
        "dasha",
        "create table odd (id bigint primary key, said json, places point[], updated_at timestamp with time zone)",
    )
    world.execute("dasha", "insert into odd values (1, '{\"a\": 1}', '{\"(1,2)\"}', now()), (2, null, null, now())")
    world.execute("dasha", "grant select on odd to mula_reader")
    columns = {"id": "bigint", "said": "json", "places": "point[]", "updated_at": "timestamp with time zone"}
    odd = Table(
        name="odd", migration="mula_unification", database="dasha", table="public.odd", updated=updated, columns=columns
    )

    def copy(*, full: bool = False) -> int:
        (report,) = copy_database(
            [odd], world.connect("dasha"), world.connect("unified"), full=full, log=lambda line: None
        )
        return report.written

    assert [copy(), copy(), copy(full=True)] == [2, 0, 0]
    world.execute("dasha", "update odd set said = '{\"a\": 2}', updated_at = now() + interval '1 s' where id = 1")
    assert [copy(), copy()] == [1, 0]
    world.execute("dasha", "update odd set places = '{\"(3,4)\"}' where id = 2")
    assert copy(full=True) == 1
    assert world.value("select places::text from raw.odd where id = 2") == '{"(3,4)"}'


def test_a_server_that_is_too_old_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_OLDEST_SERVER", 990_000)
    with pytest.raises(CutoverError, match=r"extract\.old-server.*PostgreSQL \d+"):
        world.copy()


def test_an_unreachable_source_is_said_without_its_secret(world: World) -> None:
    dead = connector("postgresql://mula_reader:geheim@127.0.0.1:1/dasha", "dasha", "test")
    with pytest.raises(CutoverError, match=r"connect\.unreachable") as caught:
        copy_database(MIGRATION.tables_of("dasha"), dead, world.connect("unified"), log=lambda line: None)
    assert "geheim" not in str(caught.value)
