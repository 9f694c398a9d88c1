"""A first launch into an empty target and a repeat over a live one: both swap, and both roll back."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from cutover import sql as files
from cutover import transform
from tests.mula.seed_loop import migrate
from tests.mula.world import APPROVER, MIGRATION, World

TABLES = MIGRATION.staging_tables()


def production(world: World) -> dict[str, str]:
    """A sum over every row of the unified database's tables; nothing for one that is not there."""
    found = {}
    for table in TABLES:
        if world.value("select to_regclass(%s) is not null", f"public.{table}"):
            query = sql.SQL("select sum(hash_record_extended(t, 0))::text as sum from public.{} as t").format(
                sql.Identifier(table)
            )
            found[table] = world.value(query.as_string())
    return found


def test_the_order_is_that_of_the_foreign_keys() -> None:
    order = transform.load_order(MIGRATION)
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
    assert world.value("select count(*) from cutover.changelog where old_row ->> 'birth_location_name' = 'Goa'") == 0
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
