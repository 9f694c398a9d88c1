"""A first launch into an empty target and a repeat over a live one: both swap, and both roll back."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import yaml
from psycopg import sql

from cutover import freeze, rollback, transform
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration import load_order, parse
from cutover.records import NEWEST_LAUNCH
from tests.mula.seed_loop import migrate
from tests.mula.world import APPROVER, MIGRATION, World
from tests.swap.dump import dumped

TABLES = MIGRATION.staging_tables()


def production(world: World) -> dict[str, str]:
    """A sum over every row of the unified database's tables; nothing for one that is not there."""
    values = {}
    for table in TABLES:
        if world.value("select to_regclass(%s) is not null", f"public.{table}"):
            query = sql.SQL("select sum(hash_record_extended(t, 0))::text as sum from public.{} as t").format(
                sql.Identifier(table)
            )
            values[table] = world.value(query.as_string())
    return values


def test_the_order_is_that_of_the_foreign_keys() -> None:
    order = load_order.steps(MIGRATION)
    assert set(order) == set(TABLES)
    position = {table: order.index(table) for table in order}
    assert position["users"] == 0
    for table in ("dasha_data", "compatibility_results"):
        assert position["birth_charts"] < position[table]


def test_the_demonstration_launches_rolls_back_and_launches_again(
    demonstration: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = demonstration
    review = world.prepare("first")
    staged = world.fingerprint(TABLES)
    assert {table["name"]: table["before"] for table in review["tables"]} == dict.fromkeys(TABLES, 0)
    (card,) = [figure for figure in review["figures"] if figure["title"].startswith("Scorecard")]
    verdicts = {row[0]: (row[2], row[3]) for row in card["rows"]}
    assert verdicts["people"] == ("4,093", "reached")
    assert verdicts["source rows without a trace"] == ("0", "reached")
    assert {name: said for name, said in verdicts.items() if said[1] not in ("reached", "not measured yet")} == {}
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path))
    world.approve("first")
    entry = world.swap("first")
    assert entry.approved_by == APPROVER
    launched = production(world)
    assert set(launched) == set(TABLES)
    assert world.value("select count(*) from cutover.certificate where run = 'first' and left_behind = '[]'") == 1
    assert world.validate("first", "production").success

    # the seed's figures
    assert world.value("select count(*) from users") >= 4_000
    assert world.value("select count(*) from birth_charts") >= 1_500
    assert world.value("select count(*) from compatibility_results") >= 1_000
    revenue = world.value("select sum(monthly_amount) from subscriptions where status = 'active'")
    assert 400 <= revenue <= 700

    world.roll_back("back")
    assert production(world) == {}
    world.roll_back("forth")
    assert production(world) == launched

    # identical results from identical input: a run into an emptied target stages the same again
    world.roll_back("back_again")
    world.prepare("second")
    assert world.fingerprint(TABLES) == staged


def test_new_tables_have_keys_indexes_an_owner_grants_and_capture(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    keys = "select count(*) from pg_constraint where contype = %s and convalidated and connamespace = 2200"
    assert world.value(keys, "f") == 11
    assert world.value(keys, "p") == len(TABLES)
    indexes = {row["indexname"] for row in world.rows("select indexname from pg_indexes where schemaname = 'public'")}
    assert {"birth_charts_one_default", "dasha_data_user_id_calculated_at_idx", "users_email_spelling_key"} <= indexes
    owners = world.rows("select distinct tableowner from pg_tables where schemaname = 'public'")
    assert owners == [{"tableowner": "cutover"}]
    for table in TABLES:
        assert world.value("select has_table_privilege('mula_app', %s, 'select, insert, update')", f"public.{table}")
        assert not world.value("select has_table_privilege('mula_reader', %s, 'select')", f"public.{table}")
    assert world.value("select count(distinct tgrelid) from pg_trigger where tgname = 'cutover_capture'") == len(TABLES)
    # a deleted account takes along what is its own, and is stopped by what it pays for
    world.execute("unified", "delete from users")
    assert world.value("select count(*) from birth_charts") == 0


def test_a_repeat_and_its_rollback_leave_the_schema_as_pg_dump_sees_it(world: World) -> None:
    """What the unified application has built on the tables since the first launch, too."""
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    built = (
        "create view public.people as select u.id, u.email, count(c.*) as charts from public.users as u "
        "left join public.birth_charts as c on c.user_id = u.id group by u.id",
        "create materialized view public.charts_by_month as select date_trunc('month', created_at) as month, count(*) "
        "from public.birth_charts group by 1",
        "create unique index on public.charts_by_month (month)",
        "create table public.letters (id integer primary key, user_id uuid references public.users on delete cascade)",
        "create function public.touch() returns trigger language plpgsql as "
        "$$ begin new.updated_at = now(); return new; end $$",
        "create trigger touched before update on public.birth_charts for each row execute function public.touch()",
        "alter table public.users enable row level security",
        "create policy own on public.users for select to mula_app using (id::text = current_setting('app.user', true))",
        "create index on public.users (lower(username)) where username is not null",
        "comment on column public.users.email is 'as it is written to'",
        "grant select (email) on public.users to mula_reader",
        "alter table public.birth_charts add constraint not_tomorrow check (birth_date < '2100-01-01')",
    )
    with psycopg.connect(world.admin["unified"], autocommit=True) as owner:
        owner.execute("set role cutover")
        for statement in built:
            owner.execute(statement.encode())
    before = dumped(world.admin["unified"])
    assert sum("charts_by_month" in block for block in before) >= 2
    world.user("compatibility", 1, "ben@example.com")
    world.launch("second")
    assert before ^ dumped(world.admin["unified"]) == set()
    world.roll_back("back")
    assert before ^ dumped(world.admin["unified"]) == set()


def test_what_was_written_to_a_first_launch_that_is_taken_back_is_counted_and_comes_again(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    new = "insert into public.users (id, email, username) values (gen_random_uuid(), %s, 'new')"
    world.execute("unified", new, "carla@example.com")
    world.execute("unified", "update public.birth_charts set birth_location_name = 'Pune'")
    world.roll_back("back")
    review = world.value("select review from cutover.run where run = 'back'")
    assert review["leaves_with"] == [
        {"table_name": "public.birth_charts", "operation": "update", "writes": 1},
        {"table_name": "public.users", "operation": "insert", "writes": 1},
    ]
    assert "1 × insert of public.users" in rollback.markdown(review)
    assert world.value("select to_regclass('public.users')") is None

    # a launch from the sources would not have them, and says so
    (warning,) = [one for one in world.prepare("without")["warnings"] if one["name"] == "taken_back"]
    assert warning["total"] == 2 and "backup_back" in warning["title"] and "take back" in warning["title"]

    world.roll_back("again")
    world.user("compatibility", 1, "ben@example.com")
    assert not [one for one in world.prepare("repeat")["warnings"] if one["name"] == "taken_back"]
    world.approve("repeat")
    world.swap("repeat")
    assert {row["email"] for row in world.rows("select email from public.users")} == {
        "ana@example.com", "ben@example.com", "carla@example.com",
    }  # fmt: skip
    assert world.value("select birth_location_name from public.birth_charts") == "Pune"


def test_a_name_that_was_changed_at_its_source_comes_with_a_repeat_unless_it_was_changed_here(world: World) -> None:
    world.user("dasha", 1, "ana@example.com", username="ana", last_login="2025-11-20")
    world.user("dasha", 2, "ben@example.com", username="ben", last_login="2025-11-20")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.execute("unified", "update public.users set username = 'ben here' where email = 'ben@example.com'")
    # nobody has signed in since
    world.execute("dasha", "update public.users set username = username || ' there', updated_at = now()")
    world.launch("second")
    assert {row["email"]: row["username"] for row in world.rows("select email, username from public.users")} == {
        "ana@example.com": "ana there",
        "ben@example.com": "ben here",
    }


def test_a_table_that_was_emptied_by_truncate_is_told_at_the_next_launch(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    assert _warned_of(world.prepare("first"), "55_truncated") == 0
    world.approve("first")
    world.swap("first")
    world.execute("unified", "truncate public.birth_charts cascade")
    assert _warned_of(world.prepare("second"), "55_truncated") >= 1


def _warned_of(review: dict[str, Any], name: str) -> int:
    """How many rows a warning of the review has."""
    return sum(int(one["total"]) for one in review["warnings"] if one["name"] == name)


def test_the_state_before_the_first_launch_is_reached_past_a_repeat(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.user("compatibility", 1, "ben@example.com")
    world.launch("second")
    world.roll_back("back", NEWEST_LAUNCH)
    assert world.value("select count(*) from public.users") == 1
    entry = world.roll_back("further", NEWEST_LAUNCH)
    assert entry.undoes == "first" and world.value("select to_regclass('public.users')") is None
    world.roll_back("again")
    assert world.value("select array_agg(email::text) from public.users") == ["ana@example.com"]


def test_a_table_that_was_made_beforehand_keeps_the_grants_that_it_has(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    with psycopg.connect(world.admin["unified"], autocommit=True) as owner:
        owner.execute("set role cutover")
        owner.execute(files.text("mula_unification/staging/users.sql").replace("staging.", "public.").encode())
    world.launch("first")
    may = "select has_table_privilege('mula_app', %s, 'select, insert, update')"
    assert world.value("select count(*) from public.users") == 1
    assert not world.value(may, "public.users")
    assert world.value(may, "public.birth_charts") and world.value(may, "public.legacy_identities")
    world.roll_back("back")
    assert world.value("select count(*) from public.users") == 0
    assert world.value("select to_regclass('public.birth_charts')") is None


def test_what_a_feature_keeps_in_columns_of_its_own_stays_through_a_repeat_and_its_rollback(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("dasha", 2, "ben@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.execute(
        "unified",
        "alter table public.users add column nickname text, add column level integer not null default 1, "
        "add column shout text generated always as (upper(nickname)) stored",
    )
    world.execute("unified", "update users set nickname = 'An', level = 7 where email = 'ana@example.com'")
    world.user("compatibility", 1, "cleo@example.com")
    review = world.prepare("second")
    assert next(t for t in review["tables"] if t["name"] == "users")["changed"] == 0
    # and while the question waits
    world.execute("unified", "update users set nickname = 'Benny' where email = 'ben@example.com'")
    world.approve("second")
    world.swap("second")
    columns = "select email, nickname, level, shout from users order by email"
    after = [
        {"email": "ana@example.com", "nickname": "An", "level": 7, "shout": "AN"},
        {"email": "ben@example.com", "nickname": "Benny", "level": 1, "shout": "BENNY"},
        {"email": "cleo@example.com", "nickname": None, "level": 1, "shout": None},
    ]
    assert world.rows(columns) == after
    world.roll_back("back")
    assert world.rows(columns) == after[:2]


def test_a_column_that_comes_between_freeze_and_load_stops_the_run(world: World) -> None:
    """What is in it was not copied, and would be gone."""
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.begin("second")
    world.copy()
    unified = world.connect("unified")
    world.record("second", *(f"extract.{name}" for name in MIGRATION.databases), "capture")
    freeze.freeze(unified, MIGRATION, "second", world.messages.append)
    transform.prepare(unified, MIGRATION, "second", world.messages.append)
    world.execute("unified", "alter table public.users add column nickname text")
    statement = files.text("mula_unification/transform/users.sql")
    with pytest.raises(CutoverError) as raised:
        transform.load(unified, MIGRATION, "second", step="users", statement=statement, log=world.messages.append)
    assert (raised.value.code, raised.value.obj) == ("transform.columns-changed", "public.users")
    assert "(nickname)" in raised.value.why


def test_a_result_and_its_link_stay_when_the_other_person_in_it_goes(world: World) -> None:
    world.user("compatibility", 1, "ana@example.com")
    world.user("compatibility", 2, "ben@example.com")
    world.chart("compatibility", 1, 1)
    world.chart("compatibility", 2, 2)
    world.insert("compatibility", "compatibility_results", id=1, user_id=1, chart1_id=1, chart2_id=2, share_code="ours")
    world.insert("compatibility", "compatibility_results", id=2, user_id=2, chart1_id=2, chart2_id=1, share_code="his")
    world.launch("first")
    world.execute("unified", "delete from users where email = 'ben@example.com'")
    left = "select share_code, chart1_id is not null as mine, chart2_id as other from compatibility_results"
    assert world.rows(left) == [{"share_code": "ours", "mine": True, "other": None}]
    # and a repeat does not bring the person back, nor the one in the result
    world.launch("second")
    assert world.rows(left) == [{"share_code": "ours", "mine": True, "other": None}]


# Every id of an application, and whatever refers to it, made a uuid.
AS_UUIDS = """
do $$
declare
    one record;
begin
    for one in select conrelid::regclass as of, conname from pg_constraint
        where contype = 'f' and connamespace = 'public'::regnamespace
    loop
        execute format('alter table %s drop constraint %I', one.of, one.conname);
    end loop;
    for one in select format('public.%I', table_name) as of, column_name, is_identity = 'YES' as counts
        from information_schema.columns where table_schema = 'public' and data_type = 'bigint'
    loop
        if one.counts then
            execute format('alter table %s alter %I drop identity', one.of, one.column_name);
        end if;
        execute format('alter table %s alter %I drop default', one.of, one.column_name);
        execute format('alter table %s alter %2$I type uuid using lpad(%2$I::text, 32, ''0'')::uuid',
            one.of, one.column_name);
    end loop;
end $$
"""


def test_a_source_whose_ids_are_uuids_is_launched_and_rolled_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Dasha Timer's are, Compatibility's are numbers."""
    for application in ("dasha", "compatibility"):
        world.user(application, 7, "ana@example.com")
        world.chart(application, 3, 7, birth_location_name=application)
        world.insert(application, "subscriptions", id=1, user_id=7, plan_name="basic", monthly_amount="4.99",
                     status="active", stripe_subscription_id=f"sub_{application}")  # fmt: skip
        world.insert(application, "fcm_tokens", id=1, user_id=7, token=f"phone of {application}")
        world.insert(application, "user_preferences", id=1, user_id=7, data={application: True})
    world.insert("dasha", "dasha_data", id=1, user_id=7, chart_id=3, current_dasha="Venus")
    world.insert("compatibility", "compatibility_results", id=1, user_id=7, chart1_id=3, share_code="abc")
    world.execute("dasha", AS_UUIDS)
    number = str(UUID(int=7))
    declared = yaml.safe_load(files.text("mula_unification/migration.yaml"))
    for table in declared["tables"].values():
        if table["database"] == "dasha":
            table["columns"] = {name: "uuid" if kind == "bigint" else kind for name, kind in table["columns"].items()}
    monkeypatch.setattr("tests.mula.world.MIGRATION", parse(yaml.safe_dump(declared), "mula_unification"))
    world.launch("first")
    assert world.value("select array_agg(legacy_user_id order by source) from legacy_identities") == ["7", number]
    assert world.value("select count(distinct user_id) from legacy_identities") == 1
    assert {row["place"] for row in world.rows("select birth_location_name as place from birth_charts")} == {
        "compatibility", "dasha",
    }  # fmt: skip
    counts = {table: world.value(f"select count(*) from public.{table}") for table in TABLES}
    assert counts == {
        "users": 1, "legacy_identities": 2, "birth_charts": 2, "dasha_data": 1, "compatibility_results": 1,
        "subscriptions": 2, "fcm_tokens": 2, "user_preferences": 1, "activity_log": 2,
    }  # fmt: skip
    launched = production(world)
    world.execute("dasha", "update birth_charts set birth_location_name = 'elsewhere', updated_at = now()")
    world.launch("second")
    assert world.value("select count(*) from birth_charts where birth_location_name = 'elsewhere'") == 1
    world.roll_back("back")
    assert production(world) == launched
    world.roll_back("to the beginning", NEWEST_LAUNCH)
    assert production(world) == {}


def test_one_default_chart_is_the_database_s_own_rule(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1, is_default=True)
    world.launch("first")
    with pytest.raises(psycopg.errors.UniqueViolation):
        world.execute(
            "unified",
            "insert into birth_charts (user_id, birth_date, is_default) select user_id, birth_date, true "
            "from birth_charts",
        )


def test_a_repeat_brings_what_the_sources_have_besides_and_keeps_what_the_unified_database_has(world: World) -> None:
    world.user("dasha", 1, "ana@example.com", username="ana")
    world.user("compatibility", 1, "ben@example.com")
    world.user("compatibility", 2, "cleo@example.com")
    world.chart("dasha", 1, 1, is_default=True, birth_location_name="Pune")
    world.chart("compatibility", 1, 1, is_default=True)
    world.chart("compatibility", 2, 2)
    world.insert("compatibility", "user_preferences", id=1, user_id=1, data={"theme": "light"})
    world.launch("first")
    execute = world.execute
    # what the unified application does: a new person, a changed chart, another address, a deleted account
    execute("unified", "insert into users (email) values ('dora@example.com')")
    execute("unified", "insert into birth_charts (user_id, birth_date) select id, '2000-01-01' from users "
                       "where email = 'dora@example.com'")  # fmt: skip
    execute("unified", "update birth_charts set birth_location_name = 'Mumbai' where birth_location_name = 'Pune'")
    execute("unified", "update users set email = 'ben.new@example.com' where email = 'ben@example.com'")
    execute("unified", "delete from users where email = 'cleo@example.com'")
    # what the sources do meanwhile, without a fence
    execute("dasha", "update birth_charts set birth_location_name = 'Delhi', updated_at = now() + interval '1 s'")
    world.user("dasha", 2, "emil@example.com")
    world.chart("dasha", 2, 2, is_default=True)
    world.chart("compatibility", 3, 1)
    before = production(world)

    world.launch("second")
    emails = {row["email"] for row in world.rows("select email from users")}
    assert emails == {"ana@example.com", "ben.new@example.com", "dora@example.com", "emil@example.com"}
    assert world.value("select count(*) from legacy_identities") == 3
    places = {row["p"] for row in world.rows("select birth_location_name as p from birth_charts")}
    assert "Mumbai" in places and "Delhi" not in places
    owners = world.rows(
        "select u.email, count(*) as charts from birth_charts as c join users as u on u.id = c.user_id group by 1"
    )
    assert {row["email"]: row["charts"] for row in owners} == {
        "ana@example.com": 1, "ben.new@example.com": 2, "dora@example.com": 1, "emil@example.com": 1,
    }  # fmt: skip
    balance = world.balance("second")
    assert balance["compatibility_users"]["reasons"]["left_out"] == {"deleted in the unified database": 1}
    assert balance["dasha_birth_charts"]["reasons"]["merged"] == {"changed in the unified database": 1}
    assert balance["unified_users"]["staged"] == 3

    world.roll_back("back")
    assert production(world) == before


def test_what_was_changed_before_the_first_repeat_is_still_known_at_the_second(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1, birth_location_name="Pune")
    world.chart("dasha", 2, 1, birth_location_name="Goa")
    world.launch("first")
    moved = "update birth_charts set birth_location_name = 'Mumbai' where birth_location_name = 'Pune'"
    world.execute("unified", moved)
    world.execute("unified", "delete from birth_charts where birth_location_name = 'Goa'")
    for number in ("second", "third"):
        world.launch(number)
        assert world.value("select string_agg(birth_location_name, ',') from birth_charts") == "Mumbai"


def test_a_person_who_was_changed_in_the_unified_database_stays_as_they_are_there(world: World) -> None:
    """Also where an old application was used again since: signing in there must not bring an unlinked sign-in back."""
    world.user("dasha", 1, "ana@example.com", username="ana_d", last_login="2025-11-20")
    world.user("compatibility", 1, "ana@example.com", username="ana_c", last_login="2025-11-25",
               oauth_provider="google", oauth_id="g-1")  # fmt: skip
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.execute("unified", "update users set username = 'queen', oauth_provider = null, oauth_id = null")
    world.execute("compatibility", "update users set last_login = '2025-11-30', updated_at = now() + interval '1 s'")
    world.launch("second")
    person = world.row("select username, oauth_provider, oauth_id, last_login::date::text as last from users")
    assert person == {"username": "queen", "oauth_provider": None, "oauth_id": None, "last": "2025-11-30"}
    won = world.value("select fields from cutover.merge where run = 'second'")
    assert (won["username"]["source"], "oauth" in won) == ("unified", False)


def test_what_was_changed_is_known_after_the_oldest_backup_was_dropped(world: World) -> None:
    """With a backup go the writes that were captured on its tables."""
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1, birth_location_name="Pune")
    world.chart("dasha", 2, 1, birth_location_name="Goa")
    world.launch("first")
    world.execute(
        "unified", "update birth_charts set birth_location_name = 'Mumbai' where birth_location_name <> 'Goa'"
    )
    world.execute("unified", "delete from birth_charts where birth_location_name = 'Goa'")
    world.launch("second")
    world.launch("third")
    world.execute("unified", "drop schema backup_second cascade")
    world.execute("unified", files.text("retention/purge_changelog.sql"))
    assert world.value("select count(*) from cutover.changelog as c where c.old_image ~ 'Goa'") == 0
    world.launch("fourth")
    assert world.value("select string_agg(birth_location_name, ',') from birth_charts") == "Mumbai"


def test_what_was_written_before_a_first_launch_was_rolled_back_says_nothing_about_the_next_one(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1, birth_location_name="Pune")
    world.launch("first")
    world.execute("unified", "update birth_charts set birth_location_name = 'Mumbai'")
    world.roll_back("back")
    world.launch("again")
    moved = "update birth_charts set birth_location_name = 'Delhi', updated_at = now() + interval '1 s'"
    world.execute("dasha", moved)
    world.launch("second")
    assert world.value("select birth_location_name from birth_charts") == "Delhi"


def test_what_was_deleted_does_not_come_back_by_the_other_application(world: World) -> None:
    """A token and preferences that both applications had are one row, whose id is that of only one of theirs."""
    for application in ("dasha", "compatibility"):
        world.user(application, 1, "ana@example.com")
        world.chart(application, 1, 1)
        world.insert(application, "fcm_tokens", id=1, user_id=1, token="phone")
        world.insert(application, "fcm_tokens", id=2, user_id=1, token="tablet")
        world.insert(application, "user_preferences", id=1, user_id=1, data={"theme": application})
    world.launch("first")
    world.execute("unified", "delete from fcm_tokens")
    world.execute("unified", "delete from user_preferences")
    # this one was registered anew since
    world.execute("unified", "insert into fcm_tokens (user_id, token) select id, 'tablet' from users")
    world.launch("second")
    assert world.rows("select token from fcm_tokens") == [{"token": "tablet"}]
    assert world.value("select count(*) from user_preferences") == 0
    balance = world.balance("second")
    for application in ("dasha", "compatibility"):
        for table in ("fcm_tokens", "user_preferences"):
            reasons = balance[f"{application}_{table}"]["reasons"]
            assert reasons["left_out"] == {"deleted in the unified database": 1}, (application, table)


def test_a_write_made_while_a_repeat_waits_for_approval_is_carried(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.chart("dasha", 1, 1)
    world.launch("first")
    world.prepare("second")
    world.execute("unified", "insert into users (email) values ('late@example.com')")
    world.approve("second")
    world.swap("second")
    assert world.value("select count(*) from users") == 2


def test_a_default_chosen_in_the_unified_database_stays_the_default(world: World) -> None:
    world.user("dasha", 1, "ana@example.com")
    world.user("compatibility", 1, "ana@example.com")
    world.chart("dasha", 1, 1, is_default=True, created_at="2025-11-10", birth_location_name="old")
    world.chart("compatibility", 1, 1, is_default=True, created_at="2025-11-20", birth_location_name="new")
    world.launch("first")
    chosen = "select birth_location_name from birth_charts where is_default"
    assert world.value(chosen) == "new"
    world.execute("unified", "update birth_charts set is_default = false where birth_location_name = 'new'")
    world.execute("unified", "update birth_charts set is_default = true where birth_location_name = 'old'")
    world.launch("second")
    assert world.value(chosen) == "old"


def test_the_seed_s_own_loop_loses_the_second_source_s_charts_of_every_shared_user(demonstration: World) -> None:
    world = demonstration
    by_the_seed = migrate(world.admin)
    shared = world.rows(
        "select c.id from birth_charts as c join users as u on u.id = c.user_id where u.email = any(%s)",
        [user["email"] for user in _dasha_users(world)],
        database="compatibility",
    )
    lost = {row["id"] for row in shared} & set(by_the_seed.skipped["compat"])
    # every single one of them
    assert {row["id"] for row in shared} == lost
    world.launch("first")
    ours = world.value(
        "select count(*) from raw.compatibility_birth_charts as r join public.birth_charts as c on c.id = "
        "md5('mula_unification/birth_charts/compatibility/' || r.id)::uuid where r.id = any(%s)",
        list(lost),
    )
    rejected = world.value(
        "select count(*) from cutover.rejects where source = 'compatibility_birth_charts' and source_id = any(%s)",
        [str(number) for number in lost],
    )
    assert ours + rejected == len(lost)
    assert (len(lost), ours, rejected) == FIGURES
    # and it makes several people of one who is spelled in two ways
    assert len(by_the_seed.users) > world.value("select count(*) from users")


# charts of shared users in the second source: lost by the seed's loop; kept here; impossible dates among them
FIGURES = (181, 181, 0)


def _dasha_users(world: World) -> list[dict[str, str]]:
    return world.rows("select email from users where email is not null", database="dasha")
