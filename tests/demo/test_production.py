"""The demonstration's production: complete, contaminated as the seed says, and guarded as Supabase guards it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from cutover.errors import CutoverError
from demo import production as production_module
from demo.contamination import Contamination
from demo.population import CANVA, P2P, Block, Population
from demo.production import TABLES, load
from tests.demo.client import SMALL, SMALL_CONTAMINATION


@pytest.fixture(scope="module")
def block() -> Block:
    return Population().block(0)


@pytest.fixture
def db(production: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(production) as connection:
        yield connection


def scalar(db: psycopg.Connection, query: str, *values: object) -> object:
    """The first column of the only row."""
    row = db.execute(query, values or None).fetchone()
    assert row is not None
    return row[0]


def column(db: psycopg.Connection, query: str, *values: object) -> list[object]:
    """The first column of every row."""
    return [row[0] for row in db.execute(query, values or None).fetchall()]


def as_role(dsn: str, user: str, password: str) -> str:
    """The same database, as another role."""
    return make_conninfo(dsn, user=user, password=password)


# counts and shape


def test_it_has_the_counts_of_the_seed(db: psycopg.Connection) -> None:
    tables = """
        select count(*) from pg_class
        where relkind in ('r', 'p') and relnamespace in ('public'::regnamespace, 'auth'::regnamespace)
    """
    assert scalar(db, tables) == TABLES == 109
    assert scalar(db, "select count(*) from auth.users") == Contamination().accounts == 3_645
    assert scalar(db, "select count(*) from unified_profiles") == Contamination().profiles == 3_636
    assert scalar(db, "select count(*) from transactions") == Contamination().transactions == 3_358
    assert scalar(db, "select count(*) from enrollments") == Contamination().enrollments == 2_883
    assert scalar(db, "select count(*) from affiliates where total_earned > 0") > 50


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "unified_profiles",
            "id uuid, email text, first_name text, last_name text, full_name text, phone text, tags text[], "
            "acquisition_source text, status text, membership_level_id uuid, affiliate_id uuid, admin_metadata jsonb, "
            "systemeio_id text, systemeio_tags text[], api_source text, created_at timestamp with time zone, "
            "updated_at timestamp with time zone",
        ),
        (
            "transactions",
            "id uuid, receipt_no bigint, user_id uuid, xendit_invoice_id text, xendit_transaction_id text, "
            "external_id text, contact_email text, product_type text, transaction_type text, amount numeric(12,2), "
            "currency text, status text, payment_method text, fee_amount numeric(12,2), net_amount numeric(12,2), "
            "refunded_amount numeric(12,2), fiscal_year integer, fiscal_quarter integer, "
            "created_at timestamp with time zone, paid_at timestamp with time zone, "
            "settled_at timestamp with time zone, expires_at timestamp with time zone, metadata jsonb",
        ),
        (
            "enrollments",
            "id uuid, enrollment_no integer, user_id uuid, course_id uuid, transaction_id uuid, product_type text, "
            "status text, enrolled_at timestamp with time zone, expires_at timestamp with time zone, "
            "last_accessed_at timestamp with time zone, metadata jsonb",
        ),
        (
            "affiliates",
            "id uuid, user_id uuid, status text, commission_rate numeric(5,4), total_earned numeric(10,2), "
            "created_at timestamp with time zone, updated_at timestamp with time zone",
        ),
    ],
)
def test_targets_have_the_agreed_columns_in_order(db: psycopg.Connection, table: str, columns: str) -> None:
    actual = scalar(
        db,
        """
        select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum)
        from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
        """,
        table,
    )
    assert actual == columns


def test_auth_users_has_the_traits_that_trip_migrations(db: psycopg.Connection) -> None:
    assert (
        scalar(
            db,
            "select attgenerated = 's' from pg_attribute where attrelid = 'auth.users'::regclass "
            "and attname = 'confirmed_at'",
        )
        is True
    )
    index = str(scalar(db, "select pg_get_indexdef('auth.users_email_partial_key'::regclass)"))
    assert "UNIQUE" in index and "(email) WHERE (is_sso_user = false)" in index
    assert scalar(db, "select relrowsecurity from pg_class where oid = 'auth.users'::regclass") is True
    assert scalar(db, "select count(*) from pg_policy where polrelid = 'auth.users'::regclass") == 0
    with pytest.raises(psycopg.errors.GeneratedAlways):
        db.execute("insert into auth.users select * from auth.users limit 1")


def test_around_the_targets_is_what_a_real_database_has(db: psycopg.Connection) -> None:
    targets = (
        "('unified_profiles'::regclass, 'transactions'::regclass, 'enrollments'::regclass, 'affiliates'::regclass)"
    )
    outside = column(
        db,
        f"select distinct conrelid::regclass::text from pg_constraint "
        f"where contype = 'f' and confrelid in {targets} and conrelid not in {targets}",
    )
    assert {"lesson_progress", "refunds", "support_tickets", "commissions", "events", "events_2024"} <= set(outside)
    assert (
        scalar(
            db,
            "select condeferrable and condeferred from pg_constraint "
            "where conname = 'fk_unified_profiles_affiliate_id'",
        )
        is True
    )
    views = db.execute(
        "select count(*), count(*) filter (where reloptions::text like '%security_invoker=true%') from pg_class "
        "where relkind = 'v' and relnamespace = 'public'::regnamespace"
    ).fetchone()
    assert views == (6, 3)
    assert scalar(db, "select indisunique from pg_index where indexrelid = 'monthly_revenue_key'::regclass") is True
    assert scalar(db, "select count(*) from monthly_revenue") > 20
    functions = dict(
        db.execute(
            """
            select case when prosqlbody is not null then 'bound' else lanname::text end, count(*)
            from pg_proc join pg_language on pg_language.oid = prolang
            where pronamespace = 'public'::regnamespace group by 1
            """
        ).fetchall()
    )
    assert functions.keys() == {"bound", "sql", "plpgsql"}
    assert scalar(db, "select count(*) from pg_proc where prorettype = 'transactions'::regtype and proretset") == 1
    assert (
        scalar(db, "select count(*) from pg_proc where 'unified_profiles'::regtype = any(proargtypes::regtype[])") == 2
    )
    assert column(db, "select tgname from pg_trigger where tgenabled = 'D'") == ["audit_enrollment"]
    policies = column(db, "select polrelid::regclass::text from pg_policy")
    assert {"unified_profiles", "transactions", "lesson_progress", "refunds", "commissions"} <= set(policies)
    published = db.execute("select pubname, tablename, rowfilter is not null from pg_publication_tables").fetchall()
    assert ("accounting", "transactions", True) in published
    assert ("supabase_realtime", "unified_profiles", False) in published
    sequences = column(
        db,
        """
        select deptype::text from pg_depend
        where classid = 'pg_class'::regclass and deptype in ('a', 'i') and refobjsubid > 0
        and objid in ('transactions_receipt_no_seq'::regclass, 'enrollments_enrollment_no_seq'::regclass)
        """,
    )
    assert sorted(sequences) == ["a", "i"], "one serial, one identity"
    assert scalar(db, "select count(*) from pg_statistic_ext") == 2
    assert "fillfactor=90" in scalar(db, "select reloptions from pg_class where relname = 'transactions'")


# who may do what


def test_the_migrating_role_can_do_its_work_and_no_more(production: str) -> None:
    with psycopg.connect(as_role(production, "cutover", "migrates")) as db:
        assert scalar(db, "select rolsuper from pg_roles where rolname = current_user") is False
        assert scalar(db, "select count(*) from auth.users") == 3_645, "row-level security hides nothing from it"
        db.execute("create schema staging")
        db.execute("create table staging.trial (like public.affiliates)")
        db.execute("alter table public.affiliates set schema staging")
        db.execute("alter table staging.affiliates set schema public")
        db.execute("alter publication accounting drop table public.transactions")
        db.execute("lock table auth.users in share row exclusive mode")
        db.execute("update auth.users set updated_at = now() where email like 'test+%'")
        db.execute("create function staging.note() returns trigger language plpgsql as 'begin return null; end'")
        db.execute("create trigger note after insert on auth.users execute function staging.note()")
        for forbidden in (
            "delete from auth.audit_log_entries",
            "select encrypted_password from auth.users, auth.saml_providers",
            "alter table auth.users disable trigger on_auth_user_created",
            "set session_replication_role = replica",
            "create role somebody",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
                db.execute(forbidden)
        db.rollback()


def test_people_see_their_own_rows_and_strangers_none(production: str) -> None:
    with psycopg.connect(as_role(production, "app", "serves")) as db:
        db.execute("set role service_role")
        person = scalar(db, "select user_id from transactions where xendit_invoice_id is not null order by 1 limit 1")
        assert scalar(db, "select count(*) from unified_profiles") == 3_636
        db.execute("set role authenticated")
        assert scalar(db, "select count(*) from unified_profiles") == 0
        db.execute("select set_config('request.jwt.claim.sub', %s, false)", (str(person),))
        assert column(db, "select id from unified_profiles") == [person]
        assert set(column(db, "select user_id from transactions")) == {person}
        assert scalar(db, "select count(*) from my_transactions") >= 1
        db.execute("update unified_profiles set phone = '1'")
        db.execute("set role anon")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
            db.execute("select email from unified_profiles")
        assert scalar(db, "select count(full_name) from unified_profiles") == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege), db.transaction():
            db.execute("select * from transactions")


def test_new_tables_in_public_are_open_to_strangers(db: psycopg.Connection) -> None:
    db.execute("set role cutover")
    db.execute("create table public.exposed (id int)")
    assert scalar(db, "select has_table_privilege('anon', 'public.exposed', 'insert')") is True


def test_signing_up_makes_a_profile(db: psycopg.Connection) -> None:
    account = uuid4()
    db.execute(
        "insert into auth.users (id, email, raw_user_meta_data) values (%s, 'new@example.com', %s)",
        (account, '{"first_name": "Eva"}'),
    )
    assert scalar(db, "select first_name from unified_profiles where id = %s", account) == "Eva"
    assert scalar(db, "select operation from row_audit where row_id = %s", account) == "INSERT"


def test_the_applications_functions_work(db: psycopg.Connection) -> None:
    person = scalar(db, "select user_id from transactions where xendit_invoice_id is not null order by 1 limit 1")
    assert scalar(db, "select customer_revenue(%s)", person) > 0
    assert scalar(db, "select count(*) from unified_profiles p, profile_transactions(p) where p.id = %s", person) == 1
    assert scalar(db, "select p.display_name from unified_profiles p where id = %s", person)
    assert scalar(db, "select active_enrollment_count('p2p_course')") == 2_883
    assert scalar(db, "select students from dashboard_summary()") == 2_883
    assert scalar(db, "select max(commission_due(id)) from affiliates") > 0
    assert scalar(db, "select count(*) from search_profiles('test+')") == 40
    with pytest.raises(psycopg.errors.IntegrityConstraintViolation), db.transaction():
        db.execute("update transactions set receipt_no = receipt_no + 1000000")
    db.execute("refresh materialized view concurrently monthly_revenue")


# contamination


def test_it_mixes_real_customers_with_test_accounts(db: psycopg.Connection, block: Block) -> None:
    customers = {person.email_key for person in block.people if person.is_customer}
    keys = [str(email).strip().lower() for email in column(db, "select email from auth.users")]
    accounts = Counter(keys)
    known = [key for key in keys if key in customers]
    assert len(known) == 3_306 + 9
    assert sum(count == 2 for count in accounts.values()) == 8, "eight keys have two accounts"
    spelled = column(db, "select email from auth.users where email <> lower(email)")
    assert len(spelled) > 200
    assert scalar(db, "select count(*) from auth.users where email like 'test+%'") == 40
    unknown = {key for key in keys if key not in customers}
    assert len(unknown) == 160 + 60 + 110


def test_second_accounts_cover_each_case_of_the_rule(db: psycopg.Connection) -> None:
    pairs = db.execute(
        """
        select array_agg(unified_profiles.id is not null order by users.created_at)
        from auth.users left join unified_profiles using (id)
        group by lower(users.email) having count(*) > 1
        """
    ).fetchall()
    cases = Counter(tuple(pair) for (pair,) in pairs)
    # oldest first: with a profile and without
    assert cases == {(True, False): 5, (False, True): 2, (False, False): 1}


def test_payments_are_a_part_of_the_truth_and_some_inventions(db: psycopg.Connection, block: Block) -> None:
    invoices = {invoice.id: invoice for invoice in block.invoices}
    payments = {movement.id: movement for movement in block.transactions}
    people = {person.number: person.email_key for person in block.people}
    rows = db.execute(
        "select xendit_invoice_id, xendit_transaction_id, amount, email, receipt_no from transactions "
        "join auth.users on users.id = user_id where transaction_type not in ('test', 'manual')"
    ).fetchall()
    assert len(rows) == 2_790
    shapes = Counter((invoice is not None, payment is not None) for invoice, payment, *_ in rows)
    assert min(shapes[True, True], shapes[True, False], shapes[False, True]) > 200 and shapes[False, False] == 0
    for invoice_id, payment_id, amount, email, _ in rows:
        truth = invoices[invoice_id or payments[payment_id].invoice_id]
        assert truth.product == P2P and truth.paid_amount == amount * 100
        assert people[truth.person] == email.lower()
        assert payment_id is None or payments[payment_id].invoice_id == truth.id
    assert (
        scalar(db, "select count(*) from transactions where product_type = %s and transaction_type <> 'test'", CANVA)
        == 0
    )
    assert scalar(db, "select count(*) from transactions where transaction_type = 'test'") == 288
    assert scalar(db, "select count(*) from transactions where transaction_type = 'manual' and amount = 800") == 280


TESTERS = re.compile(r"(test\+|qa\.).*@learn\.example\.com|dev.*@mailinator\.com|test\.checkout.*@example\.com")


def survivors(db: psycopg.Connection, block: Block) -> dict[str, set[object]]:
    """Ids that the business rules keep, worked out from the world and not from the loader."""
    customers = {person.email_key: person for person in block.people if person.is_customer}
    paid = {invoice.id for person in block.people for invoice in person.paid}
    moved = {movement.id for movement in block.transactions if movement.invoice_id in paid}
    # members stay, whoever they are; what test accounts did goes with them
    profiles: set[object] = {
        profile
        for profile, email in db.execute("select id, email from unified_profiles")
        if email.lower() in customers or not TESTERS.match(email.lower())
    }
    return {
        "unified_profiles": profiles,
        "transactions": {
            transaction
            for transaction, invoice, movement in db.execute(
                "select id, xendit_invoice_id, xendit_transaction_id from transactions"
            )
            if invoice in paid or movement in moved
        },
        "enrollments": {
            enrollment
            for enrollment, email in db.execute(
                "select enrollments.id, email from enrollments join unified_profiles on user_id = unified_profiles.id"
            )
            if (person := customers.get(email.lower()))
            and (P2P in person.cohort.tagged or any(invoice.product == P2P for invoice in person.paid))
        },
        "affiliates": {
            affiliate for affiliate, profile in db.execute("select id, user_id from affiliates") if profile in profiles
        },
    }


def references(db: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Outside tables' foreign keys to the targets: table, column, target."""
    return db.execute(
        """
        select distinct conrelid::regclass::text, attname, confrelid::regclass::text
        from pg_constraint join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype = 'f'
        and confrelid::regclass::text in ('unified_profiles', 'transactions', 'enrollments', 'affiliates')
        and conrelid::regclass::text not in ('unified_profiles', 'transactions', 'enrollments', 'affiliates')
        """
    ).fetchall()


def test_outside_rows_refer_to_what_outlives_the_launch_or_to_test_accounts(
    db: psycopg.Connection, block: Block
) -> None:
    stored = survivors(db, block)
    assert all(stored.values())
    testers = {i for i, email in db.execute("select id, email from unified_profiles") if TESTERS.match(email.lower())}
    filled = set()
    for table, name, target in references(db):
        used = set(column(db, f"select {name} from {table} where {name} is not null"))
        lost = used - stored[target]
        assert not lost or (target == "unified_profiles" and lost <= testers), (table, name)
        filled |= {table} if used else set()
    assert {"lesson_progress", "refunds", "disputes", "support_tickets", "commissions", "events"} <= filled


def test_orphans_can_be_asked_for(database: str) -> None:
    load(database, 1, "migrates", orphans=True, population=SMALL, contamination=SMALL_CONTAMINATION)
    with psycopg.connect(database) as db:
        stored = survivors(db, SMALL.block(0))
        lost = {
            table
            for table, name, target in references(db)
            if set(column(db, f"select {name} from {table} where {name} is not null")) - stored[target]
        }
    assert {"lesson_progress", "refunds", "support_tickets", "events"} <= lost


def test_every_profile_names_its_affiliate_row_and_back(db: psycopg.Connection) -> None:
    assert scalar(db, "select count(*) from affiliates") == 64
    assert (
        scalar(
            db,
            "select count(*) from affiliates a join unified_profiles p on p.affiliate_id = a.id and a.user_id = p.id",
        )
        == 64
    )
    assert scalar(db, "select count(*) from enrollments where last_accessed_at is not null") > 1_000
    assert scalar(db, "select count(*) from unified_profiles where membership_level_id is not null") > 500
    assert scalar(db, "select count(*) from unified_profiles where admin_metadata <> '{}'") > 100


# loading


def test_loading_again_changes_nothing(production: str) -> None:
    with psycopg.connect(production) as db:
        # what a launch does must survive a second start of the demonstration
        db.execute("delete from lesson_progress")
    assert load(production, 1, "another password") is False
    with psycopg.connect(production) as db:
        assert scalar(db, "select count(*) from lesson_progress") == 0
        assert scalar(db, "select count(*) from auth.users") == 3_645
    psycopg.connect(as_role(production, "cutover", "another password")).close()
    load(production, 1, "migrates", app_password="serves")


def test_a_load_that_breaks_off_leaves_nothing_and_can_be_repeated(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(production_module, "_write_mark", broken)
        with pytest.raises(KeyboardInterrupt):
            load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION)
    with psycopg.connect(database) as db:
        assert scalar(db, "select to_regclass('public.unified_profiles')") is None
    assert load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION) is True
    assert load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION) is False


def test_another_world_replaces_the_one_before_and_what_was_kept_of_it(database: str) -> None:
    load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION)
    with psycopg.connect(database) as db:
        db.execute("create schema backup_first create table affiliates (id int)")
    other = Population(scale=2, profile=SMALL.profile)
    assert load(database, 2, "migrates", population=other, contamination=SMALL_CONTAMINATION) is True
    with psycopg.connect(database) as db:
        assert scalar(db, "select count(*) from auth.users") == 2 * SMALL_CONTAMINATION.accounts
        assert scalar(db, "select to_regnamespace('backup_first')") is None


def test_two_loads_at_once_end_with_one_fixture(database: str) -> None:
    def once(_: int) -> bool:
        return load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(once, range(2))) == [False, True]


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create table payroll (id int)", "public.payroll"),
        ("create view totals as select 1 as one", "public.totals"),
        ("create function pay() returns int language sql as 'select 1'", "public.pay"),
        ("create schema payroll", "schema payroll"),
    ],
)
def test_somebody_elses_database_is_refused(database: str, statement: str, named: str) -> None:
    with psycopg.connect(database) as db:
        db.execute(statement.encode())
    with pytest.raises(CutoverError, match=rf"\[demo.not-a-demonstration\].* {named}"):
        load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION)


def test_ids_are_the_same_in_every_load(production: str, loaded: str) -> None:
    with psycopg.connect(production) as db:
        first = scalar(db, "select id from auth.users where email like 'test+0.0@%'")
    assert isinstance(first, UUID)
    made = production_module.production_block(Population(), Population().block(0), Contamination())
    assert str(first) in {row[1] for row in made.rows["auth.users"]}


def test_further_members_leave_rows_in_every_table_that_refers_to_people(database: str) -> None:
    contamination = replace(SMALL_CONTAMINATION, members=120)
    assert load(database, 1, "migrates", population=SMALL, contamination=contamination)
    assert production_module.further_members(database) == 120
    targets = ("unified_profiles", "enrollments", "affiliates", "transactions")
    with psycopg.connect(database) as db:
        assert scalar(db, "select count(*) from unified_profiles") == contamination.profiles
        keys = db.execute(
            "select conrelid::regclass::text, a.attname, c.relname from pg_constraint as k "
            "join pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1] "
            "join pg_class as c on c.oid = k.confrelid where contype = 'f' and conparentid = 0 "
            "and c.relname = any(%s) and conrelid::regclass::text <> all(%s)",
            [list(targets), list(targets)],
        ).fetchall()
        assert len(keys) > 30
        owner = {"unified_profiles": "id"}
        for table, column, target in keys:
            rows = scalar(
                db,
                f"select count(*) from {table} as o join {target} as r on o.{column} = r.id "
                f"join unified_profiles as p on r.{owner.get(target, 'user_id')} = p.id "
                "where p.email like 'old.student%@example.ph'",
            )
            assert rows, f"{table}.{column}"
        assert scalar(db, "select count(*) from events where at > now()") == 0
    # the world without them is another one
    assert load(database, 1, "migrates", population=SMALL, contamination=SMALL_CONTAMINATION)
    assert production_module.further_members(database) == 0
