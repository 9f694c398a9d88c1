"""One person taken out of everything that the engine keeps, before a rollback that still goes through."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover import erase, review
from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.records import audit, run, signing
from cutover.swap.transaction import swap
from stack.__main__ import main
from tests.clean_launch_launched import MIGRATION, Launched
from tests.clean_launch_world import at

ADDRESS = "ana.reyes@example.com"
# Everything that would tell who she is, wherever it is written.
CLEAR = ("ana.reyes", "Anastacia", "Reyes-Villanueva", "0917555", "page-of-ana")


@pytest.fixture
def world(database: str) -> Iterator[Launched]:
    """Ana, whom everything knows; Ben, who knows Ana; and Susana, whose address ends like Ana's."""
    with psycopg.connect(database, autocommit=True) as connection:
        world = Launched(connection)
        world.dsn, world.said = database, []
        world.create()
        fill(world)
        yield world


def fill(world: Launched) -> None:
    """Raw rows, production rows, and what the engine has noted of them."""
    ana = world.account("Ana.Reyes@example.com", raw_user_meta_data={"name": "Anastacia"})
    world.profile(ana, ADDRESS, first_name="Anastacia", last_name="Reyes-Villanueva", phone="+63 0917555")
    affiliate = world.current("affiliates", user_id=ana, total_earned=500)
    tags = [world.tag(name) for name in ("PaidP2P", "Affiliate")]
    assert len(tags) == 2
    contact = world.contact(
        ADDRESS, ["PaidP2P", "Affiliate"], first_name="Anastacia", surname="Reyes-Villanueva", phone_number="0917555",
        source_url="https://example.com/page-of-ana",
    )  # fmt: skip
    invoice = world.invoice("ANA.REYES@example.com ", customer={"given_names": "Anastacia", "mobile": "0917555"})
    world.movement(payment_link_id=invoice)
    world.movement("REFUND", 100, payment_link_id=invoice)
    # by its reference alone
    world.invoice(ADDRESS, id="inv-by-reference", external_id="ref-of-ana", description="Canva")
    world.movement(id="txn-by-reference", reference_id="ref-of-ana")
    ben = world.account("ben@example.com")
    world.profile(
        ben, "ben@example.com", affiliate_id=affiliate, admin_metadata={"note": f"asked by {ADDRESS}\nabout the fee"}
    )
    world.contact("ben@example.com", ["PaidP2P"], source_url="https://example.com/?from=ana.reyes%40example.com")
    world.invoice("ben@example.com")
    world.account("susana.reyes@example.com")
    world.contact("susana.reyes@example.com", ["PaidP2P"], first_name="Susana")
    world.invoice("susana.reyes@example.com", external_id="shared", id="inv-shared-1")
    world.invoice(ADDRESS, "EXPIRED", external_id="shared", id="inv-shared-2")
    world.movement(id="txn-shared", reference_id="shared")
    world.insert("cutover.rejects", run="r1", source="systemeio_contacts", source_id=str(contact), reason="typed",
                 detail='invalid input syntax for type integer: "0917555"',
                 source_row={"id": contact, "phone": "0917555"})  # fmt: skip
    world.insert("cutover.rejects", run="r1", source="xendit_invoices", source_id="elsewhere", reason="broken",
                 source_bytes=b'{"payer_email": "Ana.Reyes@Example.com", "bad": "\x00"}')  # fmt: skip
    world.insert("cutover.sync", source="systemeio_contacts", mode="full", because="first", api="a", account="b",
                 declaration="c", until=at("2025-09-30"), state="complete")  # fmt: skip
    world.insert("cutover.sync_adjustment", sync_id=1, page_no=1, source="systemeio_contacts", source_id=str(contact),
                 change="a NUL was taken out", received=b"Anastacia\x00 Reyes-Villanueva")  # fmt: skip
    world.insert("cutover.sync_state", source="systemeio_contacts", api="a", account="b", declaration="c",
                 watermark=at("2025-09-30"), stored=3, last_sync=1, last_full_sync=1)  # fmt: skip


def use(world: Launched) -> None:
    """What the application writes after the launch, and what cannot be carried."""
    world.connection.execute("update public.unified_profiles set phone = '0917555 222' where email = %s", (ADDRESS,))
    world.connection.execute("update public.unified_profiles set phone = '1' where email = 'ben@example.com'")
    image = {"id": 1, "email": "Ana.Reyes@example.com", "first_name": "Anastacia"}
    world.insert("cutover.quarantine", run="r1", change_id=-1, schema_name="public", table_name="leads",
                 operation="insert", new_row=image, sqlstate="23505",
                 reason=f"Key (email)=({ADDRESS}) already exists.")  # fmt: skip


def leave(world: Launched) -> None:
    """The application deletes her, as its users may ask of it."""
    world.connection.execute("delete from public.leads where email = %s", (ADDRESS,))
    ids = "select id from public.unified_profiles where email = %s"
    world.connection.execute(f"delete from public.transactions where user_id in ({ids})", (ADDRESS,))
    world.connection.execute("delete from public.transactions where contact_email ilike %s", (ADDRESS,))
    world.connection.execute(
        f"update public.unified_profiles set affiliate_id = null "
        f"where affiliate_id in (select id from public.affiliates where user_id in ({ids}))", (ADDRESS,)
    )  # fmt: skip
    world.connection.execute("delete from public.unified_profiles where email = %s", (ADDRESS,))
    world.connection.execute("delete from auth.users where lower(email) = %s", (ADDRESS,))
    world.connection.execute("update public.unified_profiles set admin_metadata = null where email = 'ben@example.com'")


def remains(world: Launched) -> dict[str, list[str]]:
    """Table → rows in which anything of hers can be read, in every column of every schema outside production."""
    by_name: dict[str, list[str]] = {}
    for row in world.rows(
        "select n.nspname, c.relname from pg_class as c join pg_namespace as n on c.relnamespace = n.oid "
        "where c.relkind in ('r', 'm') and n.nspname !~ '^(pg_|information_schema|public$|auth$)'"
    ):
        name = sql.Identifier(row["nspname"], row["relname"])
        with world.connection.cursor() as cursor:
            cursor.execute(sql.SQL("select t.* from {} as t").format(name))
            for values in cursor.fetchall():
                text = " ".join(value.decode("latin-1") if isinstance(value, bytes) else str(value) for value in values)
                where = re.search("|".join(map(re.escape, CLEAR)), text.replace("susana.reyes", ""), re.IGNORECASE)
                if where:
                    excerpt = text[max(0, where.start() - 80) : where.end() + 20]
                    by_name.setdefault(f"{row['nspname']}.{row['relname']}", []).append(excerpt)
    return by_name


def erase_now(world: Launched, given: str = ADDRESS, **values: Any) -> erase.Found:
    with opened(world.connect()) as connection:
        return erase.erase(connection, MIGRATION, given, by="operator", **values)


def test_nothing_that_is_kept_tells_of_a_person_who_was_erased(world: Launched) -> None:
    world.launch("r1")
    use(world)
    leave(world)
    before = remains(world)
    assert {
        "raw.systemeio_contacts", "raw.xendit_invoices", "cutover.rejects", "cutover.changelog", "cutover.quarantine",
        "cutover.sync_adjustment", "backup_r1.unified_profiles", "input.customer", "input.auth_users",
    } <= before.keys()  # fmt: skip
    copies = erase_now(world)
    assert remains(world) == {}
    assert copies.production == {}
    assert copies.evidence == {}
    # and nobody else has lost a row
    assert world.people() == {"ben@example.com", "susana.reyes@example.com"}
    assert {row["email"] for row in world.rows("select email from raw.systemeio_contacts")} == {
        "ben@example.com", "susana.reyes@example.com",
    }  # fmt: skip
    assert {row["id"] for row in world.rows("select id from raw.xendit_transactions")} == {"txn-shared"}
    assert world.value("select source_url from raw.systemeio_contacts where email = 'ben@example.com'") == (
        "https://example.com/?from=[erased]"
    )
    assert world.value("select admin_metadata ->> 'note' from backup_r1.unified_profiles") == (
        "asked by [erased]\nabout the fee"
    )
    # the application's trigger slept, and is awake again
    assert world.value("select count(*) from pg_trigger where tgenabled = 'D' and not tgisinternal") == 0


def test_what_hangs_on_a_person_and_was_set_aside_goes_with_them(world: Launched) -> None:
    """Rows of tables that nobody declared: they name her by her account's id alone, or by a foreign key."""
    world.launch("r1")
    ana = world.value("select id from public.unified_profiles where email = %s", ADDRESS)
    ben = world.value("select id from public.unified_profiles where email = 'ben@example.com'")
    world.connection.execute(
        "create table public.notes (id integer primary key, whose uuid references public.unified_profiles, body text)"
    )

    def aside(columns: list[str], values: list[Any], key: str = "public.other:some_key") -> int:
        made: int = world.value(
            "insert into cutover.set_aside (run, relid, table_name, key_name, operation, level, columns, values, "
            "row_id, row_version) values ('r1', 'public.notes'::regclass, 'public.notes', %s, 'delete', 0, %s, %s, "
            "'(0,1)', '1') returning set_aside_id", key, columns, values,
        )  # fmt: skip
        return made

    by_column = aside(["id", "user_id", "body"], ["1", str(ana), "hers"])
    by_key = aside(["id", "whose", "body"], ["2", str(ana), "hers"], "public.notes:notes_whose_fkey")
    of_ben = aside(["id", "whose", "body"], ["3", str(ben), "his"], "public.notes:notes_whose_fkey")
    # it is Ben's row: she is no more than named in it
    mentions = aside(["id", "whose", "body", "approved_by"], ["4", str(ben), f"see {ADDRESS}", str(ana)])
    with opened(world.connect()) as connection:
        copies = erase.preview(connection, MIGRATION, ADDRESS)
    assert copies.counts["cutover.set_aside"] == {"deleted": 2, "redacted": 1}
    leave(world)
    erase_now(world)
    left = {row["set_aside_id"]: row["values"] for row in world.rows("select * from cutover.set_aside")}
    assert left == {of_ben: ["3", str(ben), "his"], mentions: ["4", str(ben), "see [erased]", str(ana)]}
    assert {by_column, by_key}.isdisjoint(left)
    assert remains(world) == {}


def test_an_erasure_is_proved_without_a_name(world: Launched) -> None:
    world.launch("r1")
    leave(world)
    copies = erase_now(world)
    row = world.row("select * from cutover.erasure")
    assert row["subject"] is None and row["approved_by"] == "operator" and row["erased_at"] is not None
    assert row["counts"]["counts"] == copies.counts and copies.counts["raw.xendit_invoices"] == {"deleted": 3}
    assert row["digests"] == [world.value("select cutover.person_digest(%s)", ADDRESS)]
    with opened(world.connect()) as connection:
        audit.require_whole(audit.look(connection, signing.keys()), "production")
    # that one was rejected, and why, is still known; the balance of the run still adds up
    assert world.value("select count(*) from cutover.rejects where erased_at is not null and reason is not null") == 2


def test_a_table_that_was_kept_whole_before_a_column_went_is_looked_through_too(world: Launched) -> None:
    """As a rollback leaves it after a deploy; her row in it is told by its id alone."""
    world.launch("r1")
    with opened(world.connect()) as connection:
        connection.execute(
            "create table backup_r1.whole_unified_profiles as select id, first_name from backup_r1.unified_profiles"
        )
    before = world.value("select count(*) from backup_r1.whole_unified_profiles")
    copies = erase_now(world)
    assert copies.counts["backup_r1.whole_unified_profiles"] == {"deleted": 1}
    assert world.value("select count(*) from backup_r1.whole_unified_profiles") == before - 1


def test_a_rollback_after_an_erasure_goes_through_without_her(world: Launched) -> None:
    world.launch("r1")
    use(world)
    leave(world)
    assert erase_now(world).backups == {"backup_r1": 2}
    world.roll_back("r2")
    assert world.people() == {"ben@example.com"}
    assert world.value("select phone from public.unified_profiles where email = 'ben@example.com'") == "1"
    with opened(world.connect()) as connection:
        audit.require_whole(audit.look(connection, signing.keys()), "production")
    world.roll_back("r3")
    assert ADDRESS not in world.people()
    assert remains(world) == {}


def test_a_preview_says_what_would_happen_and_changes_nothing(world: Launched) -> None:
    world.launch("r1")
    before = remains(world)
    with opened(world.connect()) as connection:
        copies = erase.preview(connection, MIGRATION, ADDRESS)
    assert remains(world) == before
    sentences = "\n".join(erase.lines(copies))
    assert "raw.systemeio_contacts: 1 deleted" in sentences
    assert "backup_r1 loses 2 rows: a rollback to it goes through, and comes back without them." in sentences
    assert (
        "public.unified_profiles: 1 still in production" in sentences
        and "auth.users: 1 still in production" in sentences
    )
    assert "Erase them at the sources first" in sentences
    assert not any(clear in sentences for clear in CLEAR)
    assert world.value("select count(*) from cutover.erasure") == 0


def test_production_is_left_to_the_application(world: Launched) -> None:
    world.launch("r1")
    before = world.rows("select * from public.unified_profiles order by id")
    erase_now(world)
    assert world.rows("select * from public.unified_profiles order by id") == before


def test_an_account_is_erased_by_its_id_too(world: Launched) -> None:
    world.launch("r1")
    account = world.value("select id from auth.users where email ilike %s", ADDRESS)
    leave(world)
    erase_now(world, str(account).upper())
    assert remains(world) == {}


def test_a_source_that_brings_a_person_back_is_noticed(world: Launched) -> None:
    world.launch("r1")
    leave(world)
    erase_now(world)
    assert world.value("select stored from cutover.sync_state") == 2
    with opened(world.connect()) as connection:
        assert erase.returned(connection, MIGRATION) == {}
        world.contact("Ana.Reyes@example.com ")
        assert erase.returned(connection, MIGRATION) == {"raw.systemeio_contacts": 1}


def test_an_erasure_before_the_swap_voids_what_was_approved(world: Launched) -> None:
    world.stage("r1")
    world.approve("r1", "swap")
    assert erase_now(world).runs == ["r1"]
    with opened(world.connect()) as connection:
        row = run.get(connection, "r1")
    with pytest.raises(CutoverError):
        swap(world.connect(), review.order(MIGRATION, row), world.said.append)
    assert world.people() == {ADDRESS, "ben@example.com"}


def test_a_request_holds_the_name_until_it_is_done(world: Launched) -> None:
    world.launch("r1")
    leave(world)
    with opened(world.connect()) as connection:
        number = erase.ask(connection, MIGRATION, f" {ADDRESS} ", "operator")
        assert erase.subject_of(connection, MIGRATION, number) == ADDRESS
    erase_now(world, erasure_id=number)
    assert world.row("select subject, requested_by from cutover.erasure") == {
        "subject": None, "requested_by": "operator"
    }  # fmt: skip
    assert remains(world) == {}
    with opened(world.connect()) as connection, pytest.raises(CutoverError, match=r"\[erase.no-request\]"):
        erase.subject_of(connection, MIGRATION, number)


def test_a_run_erases_whom_it_was_asked_for_after_an_approval(world: Launched) -> None:
    world.begin("e1", "erase_person")
    with opened(world.connect()) as connection:
        number = erase.ask(connection, MIGRATION, ADDRESS, "operator")
    erase.review(world.connect(), MIGRATION, "e1", number, world.said.append)
    with opened(world.connect()) as connection:
        row = run.get(connection, "e1")
    assert row.review is not None and row.fingerprint == erase.fingerprint_of(row)
    form = erase.markdown(row.review)
    assert "**This cannot be undone.**" in form and "raw.xendit_invoices: 3 deleted" in form
    assert not any(clear.lower() in (form + str(row)).lower() for clear in CLEAR)
    with pytest.raises(CutoverError, match=r"\[swap.not-approved\]"):
        erase.erase_reviewed(world.connect(), MIGRATION, "e1", world.said.append)
    assert remains(world)
    world.approve("e1", erase.ACTION)
    erase.erase_reviewed(world.connect(), MIGRATION, "e1", world.said.append)
    assert remains(world) == {}
    assert world.value("select approved_by from cutover.erasure") == "reviewer"
    assert not any(clear.lower() in " ".join(world.said).lower() for clear in CLEAR)
    with opened(world.connect()) as connection:
        audit.require_whole(audit.look(connection, signing.keys()), "production")


@pytest.mark.parametrize("given", ["", "ana", "12345", "a\0b@example.com", "a b@example.com", "Anastacia Reyes"])
def test_a_name_alone_is_nobody(world: Launched, given: str) -> None:
    with pytest.raises(CutoverError, match=r"\[erase.nobody-named\]") as refused:
        erase_now(world, given)
    assert not given or given not in str(refused.value)


def test_a_stranger_is_nobody_elses_namesake(world: Launched) -> None:
    world.launch("r1")
    for given in ("reyes@example.com", "a@example.com", "example@example.com"):
        assert erase_now(world, given).rows == 0
    assert ADDRESS in world.people("public")
    assert world.value("select count(*) from raw.systemeio_contacts") == 3


def test_the_command_asks_whom_and_says_what_it_does_before_it_does_it(
    world: Launched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", world.dsn)

    def command(*arguments: str, typed: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(["erase", *arguments])
        output = capsys.readouterr()
        return f"{status} {output.out} {output.err}"

    assert "[erase.nobody-named]" in command(typed="nobody\n")
    output = command(typed=f"{ADDRESS}\nno\n")
    assert output.startswith("1") and "raw.xendit_invoices: 3 deleted" in output and "Nothing was erased" in output
    assert "raw.systemeio_contacts" in remains(world)
    assert "This is request 1. Trigger DAG erase_person" in command("--ask", typed=f"{ADDRESS}\n")
    output = command("clean_launch", typed=f"{ADDRESS}\nerase\n")
    assert output.startswith("0") and "Erased:" in output and ADDRESS not in output
    world.connection.execute("delete from cutover.erasure where subject is not null")
    assert remains(world) == {}
