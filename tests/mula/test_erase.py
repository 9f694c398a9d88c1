"""One person taken out of a launch of two applications, as the engine's own role."""

from __future__ import annotations

from cutover import erase
from cutover.database.connect import opened
from tests.mula.world import MIGRATION, World

ADDRESS = "maria.santos@example.com"


def clear(world: World) -> set[str]:
    """Tables outside production in which anything of hers can be read."""
    names = set()
    for row in world.rows(
        "select n.nspname || '.' || c.relname as name from pg_class as c join pg_namespace as n "
        "on c.relnamespace = n.oid where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema|public$)'"
    ):
        name = row["name"]
        if world.value(f"select count(*) from {name} as t where t::text ~* 'maria|tagaytay|marias-phone'"):
            names.add(name)
    return names


def test_a_person_of_two_applications_is_erased_and_their_namesake_in_number_is_not(world: World) -> None:
    world.user("dasha", 1, ADDRESS, username="maria")
    world.user("dasha", 2, "juan@example.com")
    # the same numbers mean others here
    world.user("compatibility", 1, "ana@example.com")
    world.user("compatibility", 2, "Maria.Santos@Example.com", username="maria2")
    world.chart("dasha", 1, 1, birth_location_name="Tagaytay")
    world.chart("compatibility", 1, 1, birth_location_name="Cebu")
    world.chart("compatibility", 2, 2, birth_location_name="Tagaytay")
    world.insert("dasha", "fcm_tokens", id=1, user_id=1, token="t1", device_name="marias-phone")
    world.launch("first")
    world.launch("second")
    person = world.value("select id from users where email = %s", ADDRESS)
    for table in ("birth_charts", "fcm_tokens", "legacy_identities", "activity_log"):
        world.execute("unified", f"delete from {table} where user_id = %s", person)
    world.execute("unified", "delete from users where id = %s", person)
    assert {"raw.dasha_users", "raw.compatibility_birth_charts", "backup_second.users", "input.account"} <= clear(world)
    with opened(world.connect("unified")) as connection:
        copies = erase.erase(connection, MIGRATION, ADDRESS, by="operator")
    assert clear(world) == set()
    assert copies.production == {} and set(copies.backups) == {"backup_second"}
    assert {row["email"] for row in world.rows("select email from users")} == {"juan@example.com", "ana@example.com"}
    stored = world.rows("select birth_location_name as place from raw.compatibility_birth_charts")
    assert [row["place"] for row in stored] == ["Cebu"]
    world.roll_back("third")
    assert {row["email"] for row in world.rows("select email from users")} == {"juan@example.com", "ana@example.com"}
    assert clear(world) == set()
