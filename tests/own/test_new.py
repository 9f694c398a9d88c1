"""``./run new``: what it writes fits any table, and what it cannot write it refuses in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from airflow.sdk import ObjectStoragePath

from cutover import erase, inspection
from cutover.database.connect import Connect, connector
from cutover.errors import CutoverError
from cutover.extract.drop import sync_drop
from cutover.extract.why import why
from cutover.migration import load, load_order
from cutover.scaffold import command
from cutover.ui import store as ui_store
from tests.own.conftest import use
from tests.own.run import Launches

# Names that want quotes, types of the database's own, every kind of constraint, and what PostgreSQL fills itself.
_WIDE = """
create type public.mood as enum ('good', 'so so', 'it''s bad');
create domain public.positive as integer check (value > 0);
create sequence public.odd_no_seq;
create table public."outside" (id integer primary key);
insert into public.outside values (1);
create table public.wide (
    id uuid primary key default gen_random_uuid(),
    "Order" text not null,
    "user" character varying(20) default 'It''s ME' check ("user" ~ '^[A-Za-z '']+$'),
    mood public.mood not null default 'good',
    size public.positive,
    tags text[] not null default '{}',
    places double precision[],
    no bigint not null default nextval('public.odd_no_seq'),
    seq integer generated always as identity,
    price numeric(12, 2) not null,
    double numeric generated always as (price * 2) stored,
    at timestamp(3) without time zone,
    span interval,
    data jsonb,
    bits bit varying(8),
    net inet,
    during tstzrange,
    outside_id integer references public.outside (id) on delete set null deferrable initially deferred,
    parent_id uuid references public.wide (id) on delete cascade,
    part_a integer,
    part_b integer,
    status text check (status in ('open', 'done', 'it''s gone')),
    unique ("Order", mood),
    exclude using gist (during with &&)
);
create table public.parts (a integer, b integer, wide_id uuid references public.wide (id), primary key (a, b));
create table public.nothing (id integer primary key);
alter table public.wide add constraint wide_part_fkey foreign key (part_a, part_b) references public.parts (a, b);
insert into public.wide (id, "Order", price, status, outside_id) values
('00000000-0000-0000-0000-000000000001', 'a', 1.5, 'it''s gone', 1);
insert into public.parts values (1, 2, '00000000-0000-0000-0000-000000000001');
update public.wide set part_a = 1, part_b = 2;
create view public.seen as select * from public.wide;
create table public.keyless (id integer);
create table public.one (id integer primary key, other integer not null);
create table public.two (id integer primary key, other integer not null references public.one (id));
alter table public.one add foreign key (other) references public.two (id);
"""
New = Callable[..., list[str]]


@pytest.fixture
def target(database: str) -> Connect:
    """A database with tables of every kind."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_WIDE)
    return connector(database, "target", "test")


@pytest.fixture
def new(request: pytest.FixtureRequest, tmp_path: Path) -> New:
    """The command, in a folder of its own; returns what it says. Nobody is asked but ``ask``."""

    def run(*arguments: str, ask: Callable[[str], str] | None = None) -> list[str]:
        said: list[str] = []

        def opener(name: str) -> Connect:
            connect: Connect = request.getfixturevalue("target")
            return connect

        command.main(arguments, root=tmp_path, opener=opener, ask=ask, say=said.append)
        return said

    return run


def test_tables_of_every_kind_are_copied_as_they_are(
    new: New, target: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new("wide", "--target", "target", "--like", "public.wide", "--like", "parts", "--like", "nothing")
    use(monkeypatch, tmp_path)
    assert inspection.of_files(load("wide")) == []
    assert load_order.steps(load("wide"))[-1] in ("wide.part_a", "parts.wide_id")
    everything = "select w.*, p from public.wide as w inner join public.parts as p on p.wide_id = w.id"
    with psycopg.connect(target().info.dsn, password=target().info.password) as connection:
        before = connection.execute(everything).fetchall()
    runs = Launches("wide", target)
    runs.review("r1", with_suites=True)
    runs.launch("r2")
    with psycopg.connect(target().info.dsn, password=target().info.password) as connection:
        assert connection.execute(everything).fetchall() == before
        assert connection.execute("select count(*) from cutover.ledger").fetchone() == (1,)


def test_files_are_launched_as_they_come(
    new: New, target: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(target().info.dsn, password=target().info.password, autocommit=True) as connection:
        connection.execute(
            "create table public.buyers (id bigint primary key, email text not null, spent numeric(12,2) not null,"
            " seen_at timestamptz, tags text[], vip boolean not null default false, note text)"
        )
        connection.execute("insert into public.buyers values (1, 'old@example.com', 1, null, null, true, 'ours')")
        connection.execute("insert into public.buyers values (900, 'walk-in@example.com', 5)")
    drop = tmp_path / "drop"
    drop.mkdir()
    said = new("deal", "--target", "target", "--like", "buyers", "--source", f"files:lake:{drop.as_uri()}")
    assert any("what the files of" in line for line in said)
    declared = tmp_path / "include/sql/deal/migration.yaml"
    text = declared.read_text().replace("settled: 1m", "settled: 0s").replace("names: {}", "names: {email: E-Mail}")
    person = "person: {address: [email], account: account, leads: {account: [buyers.id, deal_buyers.id]}}"
    declared.write_text(f"{text}\n{person}\n")
    use(monkeypatch, tmp_path)
    assert inspection.of_files(load("deal")) == []
    head = "id,E-Mail,spent,seen_at,tags,vip,note\n"
    (drop / "1.csv").write_text(
        head + '1,ana@example.com,10.50,2026-01-02T03:04Z,"{a,b}",false,\n2,bo@example.com,x,,,true,\n'
    )
    (drop / "2.csv").write_text(head + "3,cy@example.com,7,,,true,asked by ana@example.com\n")
    runs = Launches("deal", target)
    review = runs.review("r1")
    [read] = [one for one in review["reconciliation"] if one["source"] == "deal_buyers"]
    assert (read["read"], read["staged"], read["rejected"], read["difference"]) == (3, 2, 1, 0)
    assert "ana@example.com" not in str(review), "the review masks what it shows"
    runs.launch("r2")
    with psycopg.connect(target().info.dsn, password=target().info.password) as connection:
        assert connection.execute("select id, email, spent::text, note from public.buyers order by id").fetchall() == [
            (1, "ana@example.com", "10.50", None),
            (3, "cy@example.com", "7.00", "asked by ana@example.com"),
            (900, "walk-in@example.com", "5.00", None),
        ]
        [frozen] = connection.execute(
            "select result -> 'files' -> 'deal_buyers' from cutover.phase where run = 'r2' and step = 'snapshot'"
        ).fetchone() or [{}]
        assert (frozen["files"], frozen["rows"], len(frozen["digest"])) == (2, 3, 64)
        [origin] = why(connection, "buyers", "1")
        assert (origin.request, origin.api_response["email"]) == (f"{drop.as_uri()}/1.csv, line 2", "ana@example.com")
        [shown] = ui_store.origins(connection, load("deal"), "buyers", {"id": 1})
        assert "ana@" not in shown["text"]
        assert '"spent": "10.50"' in shown["text"]
        assert connection.execute("select count(*) from cutover.rejects where source_id = '2'").fetchone() == (1,)
        erase.erase(connection, load("deal"), "ana@example.com", by="operator")
        erase.erase(connection, load("deal"), "bo@example.com", by="operator")
        connection.commit()
        raw = connection.execute("select id, note, api_response ->> 'note' from raw.deal_buyers").fetchall()
        assert raw == [(3, "asked by [erased]", "asked by [erased]")]
        assert connection.execute(
            "select count(*) from cutover.rejects where source_row is null and source_bytes is null and detail is null"
        ).fetchone() == (1,)
    sync_drop(load("deal").files["deal_buyers"], ObjectStoragePath(drop.as_uri()), target)
    with psycopg.connect(target().info.dsn, password=target().info.password) as connection:
        assert connection.execute("select count(*) from raw.deal_buyers").fetchone() == (1,), "read once, gone for good"


def test_nothing_is_written_over(new: New, tmp_path: Path) -> None:
    new("shop", "--target", "target", "--tables", "orders", "--source", "http")
    first = {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(CutoverError, match=r"\[new\.there-already\].*nothing was written"):
        new("shop", "--target", "target", "--tables", "orders,customers", "--source", "http")
    assert {path: path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == first


def test_half_of_it_is_not_left_behind(new: New, tmp_path: Path) -> None:
    (tmp_path / "tests").write_text("in the way of a folder")
    with pytest.raises(CutoverError, match=r"\[new\.not-writable\]"):
        new("shop", "--target", "target", "--tables", "orders", "--source", "http")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["tests"]


def test_who_leaves_something_out_is_asked(new: New, tmp_path: Path) -> None:
    answers = iter(["", "orders, customers", "http"])
    said = new("shop", ask=lambda question: next(answers))
    assert next(answers, None) is None
    assert (tmp_path / "include/sql/shop/staging/customers.sql").exists()
    assert "target: production" in (tmp_path / "include/sql/shop/migration.yaml").read_text()
    assert any("AIRFLOW_CONN_SHOP_API" in line for line in said)


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        (["Shop"], ("new.bad-name", "choose a name such as shop")),
        (["../shop"], ("new.bad-name", "choose a name such as shop")),
        (["review"], ("migration.name-taken", "such as review_data")),
        (["shop", "--tables", "a b", "--source", "http"], ("new.bad-name", "write it as schema.table")),
        (["shop", "--tables", "orders"], ("new.incomplete", "--target production --tables customers,orders")),
        (["shop", "--tables", "orders", "--like", "wide"], ("new.incomplete", "add --source orders=KIND")),
        (["shop", "--tables", "orders", "--source", "ftp"], ("new.bad-source", "--source orders=http:crm:/api/orders")),
        (["shop", "--tables", "orders", "--source", "other=http"], ("new.bad-source", "--source orders=http")),
        (["shop", "--like", "public.absent"], ("new.no-such-table", "write it as schema.table")),
        (["shop", "--like", "seen"], ("new.not-a-table", "name a plain table")),
        (["shop", "--like", "keyless"], ("new.no-primary-key", "alter table public.keyless add primary key")),
        (["shop", "--like", "one", "--like", "two"], ("new.circle", "drop not null")),
        (["shop", "--like", "public.wide", "--like", "other.t"], ("new.two-schemas", "a migration for each schema")),
        (["shop", "--like", "wide", "--source", "postgres:old:public.parts"], ("new.key-of-several", "of one column")),
        (["shop", "--like", "parts", "--source", "files"], ("new.key-of-several", "leave the table out")),
        (["shop", "--like", "parts", "--source", "postgres:old:public.wide"], ("new.no-common-key", "SCHEMA.TABLE")),
    ],
)
def test_what_cannot_be_written_is_refused_in_words(
    new: New, target: Connect, tmp_path: Path, arguments: list[str], refusal: tuple[str, str]
) -> None:
    code, remedy = refusal
    with pytest.raises(CutoverError) as raised:
        new(*arguments, "--target", "target") if len(arguments) != 3 or "incomplete" not in code else new(*arguments)
    assert (raised.value.code, remedy in raised.value.remedy) == (code, True), raised.value
    assert not list(tmp_path.iterdir())
