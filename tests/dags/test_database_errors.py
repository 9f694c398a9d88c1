"""Errors of PostgreSQL that any task can meet end it with words, and not with a traceback; what may pass is retried."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cutover.database.connect import opened
from cutover.operators.base import CutoverOperator

RAISED = "do $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$"
PEOPLE = "create table public.people (id uuid primary key, email text unique, phone text not null);"
ANA = "insert into public.people values ('00000000-0000-0000-0000-000000000001', 'ana@example.com', '+639');"


class Statement(CutoverOperator):
    """A task that runs one statement in production."""

    def __init__(self, *, statement: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.statement = statement

    def run_phase(self, context: Any) -> None:
        """In a transaction of its own."""
        with opened(self.connect(context)) as connection:
            connection.execute(self.statement.encode())


def message(statement: str) -> AirflowException:
    """What ends the task."""
    context: Any = {"dag_run": SimpleNamespace(dag_id="clean_launch", run_id="manual__1"), "params": {}}
    with pytest.raises(AirflowException) as raised:
        Statement(task_id="statement", migration="clean_launch", statement=statement).execute(context)
    return raised.value


@pytest.mark.parametrize(
    ("statement", "code", "said"),
    [
        (RAISED, "database.out-of-room", "the server has run out of something (53100: could not extend file"),
        ("set statement_timeout = 20; select pg_sleep(20)", "database.cancelled", "due to statement timeout"),
        ("select pg_terminate_backend(pg_backend_pid())", "database.ended", "terminating connection"),
        ("do $$ begin raise serialization_failure; end $$", "database.conflict", "40001"),
        ("set transaction read only; create table public.t ()", "database.read-only", "in a read-only transaction"),
        ("select 1 / 0", "database.value", "division by zero"),
        ("select 'Ana Cruz'::integer", "database.value", 'invalid input syntax for type integer: "•••")'),
        ("select 'say \"Ana\" Cruz'::integer", "database.value", 'invalid input syntax for type integer: "•••")'),
        ("select '{\"Ana\": Cruz}'::jsonb", "database.value",
         'invalid input syntax for type json. Token "•••" is invalid)'),
        ("select '2025-13-45 Ana Cruz'::date", "database.value", 'for type date: "•••")'),
        ("create type public.mood as enum ('ok'); select 'Ana Cruz'::public.mood", "database.value",
         'invalid input value for enum public.mood: "•••")'),
        ("do $$ begin raise exception 'no column \"phone\" for \"Ana Cruz\"'; end $$", "database.statement",
         'no column "phone" for "•••")'),
        (f"{PEOPLE} {ANA} {ANA}", "database.value", "Key (id)=(00000000-0000-0000-0000-000000000001) already exists"),
        (f"{PEOPLE} {ANA} insert into public.people select gen_random_uuid(), email, phone from public.people",
         "database.value", "Key (email)=(a•••@e•••) already exists"),
        (f"{PEOPLE} insert into public.people (id, email) values (gen_random_uuid(), 'ana@example.com')",
         "database.value",
         'null value in column "phone" of relation "people" violates not-null constraint. The row begins with '),
        (f"{PEOPLE} alter table public.people add check (phone <> 'x'); insert into public.people "
         "values ('00000000-0000-0000-0000-000000000007', 'Ana Cruz', 'x')", "database.value",
         'new row for relation "people" violates check constraint "people_phone_check". '
         "The row begins with 00000000-0000-0000-0000-000000000007)"),
        ("create table public.phones (phone bigint primary key, owner_id bigint unique); "
         "insert into public.phones values (639171234567, 7); insert into public.phones values (639171234567, 8)",
         "database.value", "Key (phone)=(6•••) already exists"),
        ("create table public.phones (phone bigint primary key, owner_id bigint unique); "
         "insert into public.phones values (639171234567, 7); insert into public.phones values (639171234568, 7)",
         "database.value", "Key (owner_id)=(7) already exists"),
        ("create table public.names (name text primary key check (name = '')); "
         "insert into public.names values ('Ana Cruz')", "database.value",
         'new row for relation "names" violates check constraint "names_name_check")'),
        ("select * from nowhere", "database.unknown-name", 'relation "nowhere" does not exist'),
        ("select nothing(1)", "database.unknown-name", "function nothing(integer) does not exist"),
        ("select a from (select 1 as b) as t", "database.statement", 'column "a" does not exist'),
    ],
)  # fmt: skip
def test_it_is_said_what_happened_and_what_clears_it(
    database: str, monkeypatch: pytest.MonkeyPatch, statement: str, code: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", database)
    error = message(statement)
    assert str(error).startswith(f"[{code}] task statement: ")
    assert said in str(error) and "To clear it:" in str(error)
    for value in ("ana@", "+639", "63917", "Ana", "Cruz"):
        assert value not in str(error)
    assert isinstance(error, AirflowFailException) == (code not in ("database.ended", "database.conflict"))


def test_a_missing_right_and_a_lock_that_somebody_holds_are_named(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", database)
    with psycopg.connect(database) as holder:
        holder.execute("create table held (); create role nobody_there; grant nobody_there to current_user")
        holder.commit()
        try:
            refused = str(message("set role nobody_there; select from public.held"))
            assert "[database.not-allowed]" in refused and "permission denied for table held" in refused
            holder.execute("lock table public.held")
            assert "[database.locked]" in str(message("set lock_timeout = 20; lock table public.held"))
        finally:
            holder.rollback()
            holder.execute("drop role nobody_there")


def test_the_log_says_where_without_showing_a_row(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", database)
    message(f"{PEOPLE} insert into public.people (id, email) values (gen_random_uuid(), 'ana@example.com')")
    output = capsys.readouterr().out
    assert "NotNullViolation at" in output and "in run_phase" in output
    assert "ana@" not in output
