"""Every phase of clean_launch and of its rollback as a hosted platform's administrator, who is no superuser.

The demonstration's production, owned as there: ``auth`` belongs to the sign-in role, which has passed on what
Supabase's migrations do; everything of the team's belongs to the administrator, in whose name the engine logs in.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from cutover import preflight
from cutover.database.connect import connector
from stack.postgres import EmbeddedPostgres
from tests.clean_launch_run import PASSWORD, Launch, make_template
from tests.clean_launch_world import World

from .dump import dumped

ADMINISTRATOR = f"""
create role administrator login nosuperuser createdb createrole replication bypassrls password '{PASSWORD}';
grant pg_monitor, pg_read_all_data, pg_signal_backend to administrator with admin option;
"""
# Since 16, who makes a role administers it; before, whoever may make roles administers all.
MEMBERSHIPS = "grant anon, authenticated, service_role to administrator with admin option"
PLATFORM = """
do $$ begin execute format('alter database %I owner to administrator', current_database()); end $$;
alter schema public owner to pg_database_owner;
reassign owned by app_owner, cutover to administrator;
grant usage on schema auth to administrator;
grant all on all tables in schema auth to administrator;
grant all on all sequences in schema auth to administrator;
create function public.pgrst_ddl_watch() returns event_trigger language plpgsql as
$$ begin perform pg_catalog.pg_notify('pgrst', 'reload schema'); end $$;
create event trigger pgrst_ddl_watch on ddl_command_end execute function public.pgrst_ddl_watch();
create event trigger pgrst_drop_watch on sql_drop execute function public.pgrst_ddl_watch();
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server of this module's own: who administers which role is the cluster's."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("platform"), durable=False)
    embedded.start()
    make_template(embedded, "project")
    with psycopg.connect(embedded.dsn("project"), autocommit=True) as superuser:
        superuser.execute(ADMINISTRATOR.encode())
        if superuser.info.server_version >= 160_000:
            superuser.execute(MEMBERSHIPS)
        superuser.execute(PLATFORM.encode())
    yield embedded
    embedded.remove()


def test_a_launch_and_its_rollback_as_the_platforms_administrator(platform: EmbeddedPostgres) -> None:
    with psycopg.connect(platform.dsn("project")) as connection:
        world = World(connection)
        world.contact("customer@example.com", ["Affiliate"])
        world.movement(payment_link_id=world.invoice("customer@example.com"))
        for tag in ("PaidP2P", "Canva", "Affiliate"):
            world.tag(tag)
        member = world.account("free@example.com")
        connection.commit()
        engine = connector(platform.dsn("project", "administrator", PASSWORD), "production", "test")
        launch = Launch(engine, world)
        preflight.require_rights(launch.connect, launch.migration)
        before = dumped(platform.dsn("project"))
        launch.launch("launch1")
        assert world.rows("select count(*) as paid from public.transactions") == [{"paid": 1}]
        assert world.rows("select count(*) as people from public.unified_profiles") == [{"people": 2}]
        # a launch brings tables of its own; whatever was there is as it was, whoever owns it
        assert before - dumped(platform.dsn("project")) == set()
        connection.execute("update public.unified_profiles set phone = '+639170000001' where id = %s", (member,))
        connection.commit()
        launch.roll_back("back1")
        assert world.rows("select id, phone from public.unified_profiles") == [{"id": member, "phone": "+639170000001"}]
        assert dumped(platform.dsn("project")) ^ before == set()
