"""A rehearsal does what a swap does, and leaves nothing: not when it goes through, and not when it is killed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from bench.clients import MARKED, at_work
from bench.production import Production
from cutover import rollback
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.records import ledger
from cutover.swap import coverage, rehearsal
from cutover.swap.execution import Observer
from cutover.swap.order import Order, read_scope
from cutover.swap.plan import Statement
from cutover.swap.rehearsal import Rehearsal, acts_outside, in_words, never_committed, rehearse

from .conftest import MIGRATION
from .dump import dump
from .test_kills import CAMPAIGN, KilledAt, _spawn, one_of_each

# Everything that a rehearsal could have left: rows of every table but those of PostgreSQL, with their versions, and
# where every sequence stands.
_TABLES = (
    "select format('%I.%I', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace "
    "where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1"
)
_SEQUENCES = (
    "select array_agg(format('%s.%s %s', schemaname, sequencename, last_value) order by schemaname, sequencename) "
    "from pg_sequences "
    # a staged identity is set to where production's stands, now as in the swap
    "where schemaname <> 'staging'"
)
_OBJECTS = (
    "select md5(string_agg(r, E'\\n' order by r)) from (select c.oid::text || c.relname || c.relnamespace || "
    "c.relfilenode || coalesce(c.relacl::text, '') || c.relhastriggers from pg_class as c where c.oid >= 16384 and "
    "c.relnamespace not in (select oid from pg_namespace where nspname ~ '^pg_(temp|toast)') union all "
    "select 'p' || p.oid || p.proname || p.pronamespace from pg_proc as p where p.oid >= 16384 union all "
    "select 'c' || k.oid || k.conname || k.convalidated from pg_constraint as k where k.oid >= 16384 union all "
    "select 't' || t.oid || t.tgname || t.tgenabled::text from pg_trigger as t union all "
    "select 'y' || p.oid || p.polname from pg_policy as p union all "
    "select 'n' || n.oid || n.nspname || coalesce(n.nspacl::text, '') from pg_namespace as n "
    "where n.nspname !~ '^pg_(temp|toast)') as o (r)"
)


def everything(production: Production) -> dict[str, Any]:
    """What there is: every object by oid and file, every row by version and content, every sequence."""
    with production.admin() as admin:
        rows = {
            name: admin.execute(f"select count(*), md5(string_agg(concat(xmin, ctid, t::text), '' order by ctid)) "
                                f"from {name} as t".encode()).fetchone()
            for (name,) in admin.execute(_TABLES.encode()).fetchall()
        }  # fmt: skip
        return {
            "rows": rows,
            "sequences": admin.execute(_SEQUENCES.encode()).fetchone(),
            "objects": admin.execute(_OBJECTS.encode()).fetchone(),
        }


def back(production: Production, run: str) -> Order:
    """The rollback of the newest entry, which nobody has approved."""
    with production.connect() as connection:
        return rollback.order(rollback.undoable(connection, "test"), MIGRATION, run)


def went_through(outcome: Rehearsal) -> bool:
    return outcome.reason is None and outcome.hold_ms is not None and outcome.hold_ms <= (outcome.waited_ms or 0)


def test_a_rehearsal_does_everything_and_leaves_nothing_neither_of_a_swap_nor_of_its_rollback(
    production: Production,
) -> None:
    order = production.prepare("r1")
    with psycopg.connect(production.app_dsn) as app:
        app.execute("update public.profiles set name = 'New' where email = 'person3@example.com'")
    before, shown, inventory = everything(production), dump(production), production.inventory()
    rehearsed = rehearse(production.connect, order, production.log)
    assert went_through(rehearsed) and rehearsed.statements >= 50 and rehearsed.facts > 100
    assert [(one["table_name"], one["carried"]) for one in rehearsed.carried] == [("profiles", 1)]
    assert everything(production) == before
    assert inventory.compare(production.inventory()) == []
    assert dump(production) == shown
    assert production.value("select count(*) from cutover.chain where kind = 'rehearsal'") == 0
    production.approve(order)
    entry = production.swap(order)
    assert (entry.entry, entry.carried) == (1, list(rehearsed.carried)), "the ledger leaves out no number"

    undo = back(production, "b1")
    with psycopg.connect(production.app_dsn) as app:
        app.execute("update public.profiles set name = 'Newer' where email = 'person4@example.com'")
    before = everything(production)
    rehearsed = rehearse(production.connect, undo, production.log)
    assert went_through(rehearsed) and [one["carried"] for one in rehearsed.carried] == [1]
    after = everything(production)
    # identities of the backup are set to where production's stand
    assert {**after, "sequences": None} == {**before, "sequences": None}


def test_a_transaction_of_a_rehearsal_is_one_that_postgresql_does_not_commit(production: Production) -> None:
    for end in (
        "commit",
        "set constraints all immediate; commit",
        "prepare transaction 'rehearsed'",
        "commit and chain",
    ):
        with production.connect() as connection:
            connection.autocommit = True
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="ON COMMIT"), never_committed(connection):
                connection.execute("create table public.left_over ()")
                connection.execute(end.encode())
    with production.connect() as connection:
        connection.autocommit = True
        with pytest.raises(psycopg.ProgrammingError, match="commit"), never_committed(connection):
            connection.execute("create table public.left_over ()")
            connection.commit()
    assert production.value("select to_regclass('public.left_over')") is None


def test_a_rehearsal_that_is_not_ended_where_it_should_be_is_not_committed_all_the_same(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the exception at its end, it goes on to what a swap takes for its commit."""
    order = production.prepare("r1")
    before = everything(production)
    monkeypatch.setattr(rehearsal._Watch, "at", lambda self, moment: self.observer.at(moment))

    class Ended(Observer):
        def at(self, moment: str) -> None:
            if moment == "committed":
                assert production.value("select count(*) from cutover.ledger") == 0
                raise InterruptedError

    with pytest.raises(InterruptedError):
        rehearse(production.connect, order, production.log, Ended())
    assert {**everything(production), "sequences": None} == {**before, "sequences": None}


def kill_backend(production: Production) -> None:
    """End the engine's backend; SIGKILL would take along the whole server, which other tests use."""
    production.value("select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'cutover'")


class Ends(Observer):
    """Does something at the n-th boundary, or counts them when n is None."""

    def __init__(self, n: int | None, deed: Callable[[], None] = lambda: None) -> None:
        self.left, self.deed, self.passed = n, deed, list[str]()

    def _boundary(self, name: str) -> None:
        self.passed.append(name)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.deed()

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        self._boundary(f"{statement.step} {statement.object}")

    def at(self, moment: str) -> None:
        self._boundary(moment)


def gone(production: Production) -> None:
    """Wait until the server has noticed that the engine's sessions are lost."""
    deadline = time.monotonic() + 20
    while production.value("select count(*) from pg_stat_activity where usename = 'cutover'"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_killed_at_each_step_it_leaves_nothing_whoever_is_killed(production: Production) -> None:
    order = production.prepare("r1")
    counting = Ends(None)
    assert went_through(rehearse(production.connect, order, production.log, counting))
    assert "committed" not in counting.passed and counting.passed[-1] == "recorded"
    before = everything(production)
    # the campaign of test_kills.py tries each of them
    for place in one_of_each(counting.passed)[:: 1 if CAMPAIGN else 2]:
        child = _spawn.Process(target=rehearse, args=(production.connect, order, print, KilledAt(place)))
        child.start()
        child.join(60)
        assert child.exitcode == -signal.SIGKILL
        gone(production)
        assert everything(production) == before, counting.passed[place - 1]
    for place in one_of_each(counting.passed)[::4]:
        with pytest.raises(psycopg.OperationalError):
            rehearse(production.connect, order, production.log, Ends(place, lambda: kill_backend(production)))
        gone(production)
        assert everything(production) == before, counting.passed[place - 1]
    assert production.swap(order).entry == 1


def test_what_would_fail_the_swap_fails_its_rehearsal_with_the_same_words(production: Production) -> None:
    order = production.prepare("r1")

    class Meddle(Observer):
        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            if statement.step == "60_views":
                connection.execute("drop view if exists public.small_orders cascade")

    before = everything(production)
    with pytest.raises(CutoverError) as refused:
        rehearse(production.connect, order, production.log, Meddle())
    assert refused.value.code in ("swap.parity", "swap.cannot-move") and "othing was changed" in refused.value.why
    assert everything(production) == before

    def shut() -> None:
        raise CutoverError("window.over", "window", "it is over.", "run again.")

    with pytest.raises(CutoverError, match=r"\[window.over\]"):
        rehearse(production.connect, order, production.log, require=shut)
    with production.admin() as admin:
        admin.execute("alter table public.profiles disable trigger cutover_capture")
    with pytest.raises(CutoverError, match=r"\[swap.capture-gap\]"):
        rehearse(production.connect, order, production.log)


def test_what_is_checked_at_the_commit_is_checked_by_a_rehearsal(production: Production) -> None:
    """A constraint trigger of the application that is deferred, on accounts that the swap makes."""
    with production.admin() as admin:
        admin.execute(
            "create function public.late() returns trigger language plpgsql as "
            "$$begin raise exception 'too late'; end$$;"
            "create constraint trigger late after insert on auth.users deferrable initially deferred "
            "for each row execute function public.late()"
        )
    order = production.prepare("r1")

    class Insert(Observer):
        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            if statement.step == "95_drop_old_functions":
                connection.execute("set constraints all deferred; insert into auth.users (email) values ('a@x.org')")

    with pytest.raises(CutoverError, match="too late"):
        rehearse(production.connect, order, production.log, Insert())


@contextmanager
def held(production: Production, statement: str) -> Iterator[psycopg.Connection]:
    """A session that has done a statement in a transaction that goes on."""
    with production.admin() as other:
        other.autocommit = False
        other.execute(statement.encode())
        yield other
        other.rollback()


def test_a_lock_that_is_not_to_be_had_is_a_reason_and_no_error(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = production.prepare("r1")
    before = everything(production)
    monkeypatch.setattr(rehearsal.approach, "TRIES", 1)
    monkeypatch.setattr(rehearsal.approach, "LAST_LOOK_S", 0.1)
    with held(production, "lock table public.orders in access share mode"):
        rehearsed = rehearse(production.connect, order, production.log)
    assert rehearsed.reason is not None and rehearsed.attempts == rehearsal.ATTEMPTS and rehearsed.hold_ms is None
    assert any("in the way: pid" in line for line in production.messages)
    assert in_words(rehearsed.as_dict()).startswith("**Not rehearsed** at ")
    assert everything(production) == before
    assert went_through(rehearse(production.connect, order, production.log))


def test_two_rehearsals_at_once_and_one_beside_a_swap_are_in_nobody_s_way(production: Production) -> None:
    order = production.prepare("r1")
    lines: list[Rehearsal] = []

    class Second(Observer):
        def at(self, moment: str) -> None:
            if moment == "planned":
                lines.append(rehearse(production.connect, order, production.log))

    first = rehearse(production.connect, order, production.log, Second())
    assert went_through(first)
    assert [one.reason for one in lines] == ["another rehearsal is under way in this database"]
    lines.clear()

    class Beside(Observer):
        """Another migration's swap is at work."""

        def at(self, moment: str) -> None:
            if moment == "locked":
                with production.connect() as connection:
                    taken = connection.execute(files.statement("turn/taken.sql"), {"name": "swap"}).fetchone()
                    assert taken == (True,)
                    with pytest.raises(psycopg.errors.LockNotAvailable, match="another run is swapping"):
                        rehearsal._require_no_swap(connection)

    class Free(Observer):
        """A swap takes its turn whatever is rehearsed."""

        def at(self, moment: str) -> None:
            if moment == "locked":
                with production.connect() as connection:
                    assert ledger.take_turn(connection, "swap")

    assert went_through(rehearse(production.connect, order, production.log, Free()))
    production.swap(order, Beside())


def test_a_statement_that_takes_long_while_clients_wait_ends_a_rehearsal_for_good(
    production: Production, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "HELD_STATEMENT_MS", 20)
    order = production.prepare("r1")

    class Slow(Observer):
        def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
            connection.execute("select pg_sleep(1)")

    rehearsed = rehearse(production.connect, order, production.log, Slow())
    assert rehearsed.reason is not None and "more than 20 ms" in rehearsed.reason and rehearsed.attempts == 1


def test_clients_wait_and_go_on_with_the_tables_that_they_had(empty_production: Production) -> None:
    """Prepared statements of every client, before, during and after; and a look at who waited."""
    production = empty_production
    production.fill(200)
    with production.admin() as admin:
        admin.execute("grant select on public.paid to app; grant execute on function public.display_name to app")
    order = production.prepare("r1", MARKED, carry_limit=None)
    facts = production.inventory()
    waiting = threading.Event()

    def write() -> None:
        with psycopg.connect(production.app_dsn, autocommit=True, prepare_threshold=0) as app:
            statement = "update public.profiles set name = name || '!' where email = 'person3@example.com'"
            app.execute(statement)
            waiting.wait()
            app.execute(statement)

    class Look(Observer):
        def at(self, moment: str) -> None:
            if moment == "locked":
                waiting.set()
                while not production.value("select count(*) from pg_locks where not granted"):
                    time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    rehearsed = rehearse(production.connect, order, production.log, Look())
    thread.join()
    assert went_through(rehearsed) and rehearsed.clients >= 1 and rehearsed.longest_ms > 0
    assert production.value("select name from public.profiles where email = 'person3@example.com'").endswith("!!")
    with at_work(production.app_dsn, 200, counting=True) as answers:
        through = [rehearse(production.connect, order, production.log) for _ in range(3)]
    assert any(went_through(one) for one in through)
    assert [answer for answer in answers if answer.outcome != "ok"] == []
    assert facts.compare(production.inventory()) == []
    counted = production.value("select coalesce(sum((settings ->> 'count')::integer), 0) from public.profiles")
    assert counted == sum(answer.kind == "write_profile" for answer in answers)


def test_it_takes_no_lock_of_a_live_table_before_its_own_that_a_reader_or_writer_would_wait_for(
    production: Production,
) -> None:
    order = production.prepare("r1")
    lines: list[Any] = []

    class Look(Observer):
        def at(self, moment: str) -> None:
            if moment in ("planned", "locking"):
                lines.append(
                    production.value(
                        "select array_agg(distinct l.relation::regclass || ' ' || l.mode) from pg_locks as l "
                        "join pg_stat_activity as a using (pid) join pg_class as c on c.oid = l.relation "
                        "join pg_namespace as n on n.oid = c.relnamespace where a.usename = 'cutover' and c.oid >= "
                        "16384 and n.nspname !~ '^(pg_|staging|backup_|cutover)' and l.mode !~ 'Access.hare|RowShare'"
                    )
                )

    rehearse(production.connect, order, production.log, Look())
    assert lines == [None, None]


def test_what_a_rollback_would_not_take_back_is_not_rehearsed_and_named(production: Production) -> None:
    order = production.prepare("r1")
    with production.connect() as connection:
        assert acts_outside(connection, read_scope(connection, order)) == []
    with production.admin() as admin:
        admin.execute(
            "create function public.note() returns void language sql as "
            "$$select pg_logical_emit_message(false, 'a', 'b')$$;"
            "create function public.tell() returns trigger language plpgsql as $$begin perform public.note (); "
            "return null; end$$;"
            "create trigger tell after insert on auth.users for each row execute function public.tell()"
        )
    rehearsed = rehearse(production.connect, order, production.log)
    assert rehearsed.reason is not None and "note(): it sends a logical message at once" in rehearsed.reason
    with production.admin() as admin:
        admin.execute("alter table auth.users disable trigger tell")
        admin.execute(f"revoke temporary on database {admin.info.dbname} from public".encode())
    rehearsed = rehearse(production.connect, order, production.log)
    assert rehearsed.reason is not None and "grant temporary on database" in rehearsed.reason


def test_the_staged_tables_are_what_they_were_and_their_fingerprint_is_the_same(production: Production) -> None:
    order = production.prepare("r1")
    with production.connect() as connection:
        before = coverage.again(connection, order)[0]
    assert went_through(rehearse(production.connect, order, production.log))
    with production.connect() as connection:
        now, changed = coverage.again(connection, order)
    assert (changed, now.fingerprint) == ([], before.fingerprint)
    # and the guard still proves it, without reading a row
    assert all(table.guard == before.tables[name].guard for name, table in now.tables.items())


def test_a_reason_quotes_no_person() -> None:
    result = masked_text("pid 7 (0:01: select * from users where email = 'maria@example.com')")
    assert "maria@example.com" not in result
