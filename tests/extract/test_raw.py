"""What stands in ``raw`` is read and written by several roles: none of them runs another one's code there."""

from __future__ import annotations

import psycopg
import pytest

from cutover.errors import CutoverError

from .conftest import World

ROLE = """
do $$
begin
    if to_regrole('raw_filler') is null then
        create role raw_filler;
    end if;
end $$;
create function public.filler_code() returns boolean language plpgsql as $f$
begin
    raise exception 'ran as %', current_user;
end $f$;
alter function public.filler_code() owner to raw_filler;
create function public.filler_trigger() returns trigger language plpgsql as $f$
begin
    raise exception 'ran as %', current_user;
end $f$;
alter function public.filler_trigger() owner to raw_filler;
"""
CASES = {
    "a trigger": "create trigger t before insert or update on raw.systemeio_tags for each row "
    "execute function public.filler_trigger()",
    "a check": "alter table raw.systemeio_tags add constraint c check (public.filler_code()) not valid",
    "a default": "alter table raw.systemeio_tags add column d boolean default null; "
    "alter table raw.systemeio_tags alter column d set default public.filler_code()",
    "a rule": "create rule r as on insert to raw.systemeio_tags do also select public.filler_code()",
    "a policy": "alter table raw.systemeio_tags enable row level security; "
    "create policy p on raw.systemeio_tags using (public.filler_code())",
    "a view": "alter table raw.systemeio_tags rename to hidden; "
    "create view raw.systemeio_tags as select * from raw.hidden where public.filler_code()",
    "a type": "create type public.odd as (n integer); alter table raw.systemeio_tags add column odd public.odd",
}


@pytest.fixture
def filled(world: World) -> World:
    """A world whose raw table of tags is there, and a role whose functions must not run."""
    world.sync("systemeio_tags")
    with psycopg.connect(world.dsn, autocommit=True) as admin:
        admin.execute(ROLE.encode())
    return world


@pytest.mark.parametrize("case", CASES)
def test_whoever_fills_a_raw_table_runs_no_code_as_who_uses_it(filled: World, case: str) -> None:
    with psycopg.connect(filled.dsn, autocommit=True) as admin:
        for statement in CASES[case].split("; "):
            admin.execute(statement.encode())
    with pytest.raises(CutoverError) as raised:
        filled.sync("systemeio_tags", full=True)
    assert raised.value.code == "extract.foreign-code"
    assert "systemeio_tags" in raised.value.obj
    assert "ran as" not in str(raised.value)


def test_a_plain_table_goes_on(filled: World) -> None:
    assert filled.sync("systemeio_tags", full=True).total > 0
