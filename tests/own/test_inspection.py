"""What a newcomer gets wrong first is said before a row is read, with file, line and remedy."""

from __future__ import annotations

import re

import pytest

from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.preflight import PreflightError
from tests.own.conftest import Shop, use
from tests.own.run import Launches
from tests.own.test_page import launches

STAGING, TRANSFORM = "include/sql/shop/staging/orders.sql", "include/sql/shop/transform/orders.sql"
CHECK = "include/sql/shop/validate/checks/orders_complete.sql"


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        (
            STAGING,
            ("    amount ", "    total "),
            ("transform.no-such-column", r"orders.sql, line 5: it fills amount"),
        ),
        (
            STAGING,
            ("    amount ", "    total "),
            ("validate.no-such-column", r"orders.json, line \d+: it is about amount"),
        ),
        (STAGING, ("    amount numeric(12,2)", "    amount numeric(12,2"), ("transform.unreadable-ddl", STAGING)),
        (TRANSFORM, (None, ""), ("transform.no-load", r"add transform/orders.sql")),
        (TRANSFORM, ("s.amount,", "s.amount"), ("preflight.wrong-statement", rf"{TRANSFORM}, line 12: syntax error")),
        (
            TRANSFORM,
            ("s.amount,", "s.sum as amount,"),
            ("preflight.wrong-statement", r"orders.sql, line 11: .*s.sum"),
        ),
        (
            TRANSFORM,
            ("from input.shop_orders", "from input.orders"),
            ("preflight.wrong-statement", r"line 13: .*input.orders"),
        ),
        (CHECK, ("select s.id", "select count(*)"), ("validate.bad-check", rf"{CHECK}, line 3: it returns one row")),
        (
            CHECK,
            (None, "-- x\ndelete from staging.orders"),
            ("validate.bad-check", rf"{CHECK}, line 2: it is no"),
        ),
        (CHECK, ("s.id", "s.number"), ("preflight.wrong-statement", rf"{CHECK}, line 3: .*s.number")),
        (
            "include/sql/shop/why/orders.sql",
            ("t.id::text", "t.idd::text"),
            ("preflight.wrong-statement", "line 4: .*t.idd"),
        ),
        (
            "include/sql/shop/freeze/shop_customers.sql",
            ("    kind,", "    knd,"),
            ("preflight.wrong-statement", "line 7: .*knd"),
        ),
    ],
)
def test_a_slip_is_named_with_file_line_and_remedy(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, path: str, change: tuple[str | None, str], reason: tuple[str, str]
) -> None:
    code, said = reason
    file = shop.page.folder / path
    before, after = change
    if before is None and not after:
        file.unlink()
    else:
        text = file.read_text()
        assert before is None or before in text
        file.write_text(after if before is None else text.replace(before, after, 1))
    use(monkeypatch, shop.page.folder)
    with pytest.raises(CutoverError) as raised:
        launches(shop).begin("r1")
    reasons = raised.value.reasons if isinstance(raised.value, PreflightError) else [raised.value]
    (refusal,) = [one for one in reasons if one.code == code]
    assert re.search(said, str(refusal)), refusal
    assert refusal.remedy
    assert shop.rows(
        "select count(*) from pg_namespace where nspname in ('input', 'staging') or nspname ~ 'preflight'"
    ) == [(0,)]


def test_no_lock_stays_on_what_the_application_uses(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements about production's tables are parsed, and each lets go of them before the next."""
    from cutover import freeze, inspection

    freeze.install(shop.connect(), load("shop"))
    locks = []
    parse = inspection._Judge._parse

    def looking(judge: inspection._Judge, *arguments: object, **options: object) -> object:
        result = parse(judge, *arguments, **options)  # type: ignore[arg-type]
        locks.extend(
            judge._connection.execute(
                "select l.mode from pg_locks as l inner join pg_class as c on l.relation = c.oid "
                "where l.pid = pg_backend_pid() and c.relnamespace = 'public'::regnamespace"
            ).fetchall()
        )
        return result

    monkeypatch.setattr(inspection._Judge, "_parse", looking)
    with opened(shop.connect()) as connection:
        assert inspection.of_statements(connection, load("shop")) == []
    assert locks == []


def test_sets_that_overlap_are_refused_with_both_names(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("sql", "expectations"):
        shop.page.type(f"cp -r ~/shop/include/{part}/shop ~/shop/include/{part}/outlet")
    declaration = shop.page.folder / "include/sql/outlet/migration.yaml"
    declaration.write_text(declaration.read_text().replace("migration: shop", "migration: outlet"))
    use(monkeypatch, shop.page.folder)
    with pytest.raises(
        PreflightError, match=r"\[preflight.sets-overlap\] shop and outlet, public.customers, public.orders"
    ):
        launches(shop).begin("r1")
    # one that is declared elsewhere, and has launched here
    shop.page.type("mv ~/shop/include/sql/outlet ~/elsewhere")
    use(monkeypatch, shop.page.folder)
    launches(shop).launch("r2")
    _as_anothers(shop)
    with pytest.raises(PreflightError, match=r"\[preflight.sets-overlap\] shop and outlet \(run r2\)"):
        launches(shop).begin("r3")


def _as_anothers(shop: Shop) -> None:
    """The ledger takes no update from the engine; the test is about its entry being another migration's."""
    shop.rows("set session_replication_role = replica; update cutover.ledger set migration = 'outlet'")


def test_a_rollback_leaves_another_migrations_later_launch_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sets on one database, the second referring to the first: each takes back its own."""
    shop.rows(
        "create table public.reviews (id bigint primary key, customer_id bigint references public.customers (id));"
        "insert into public.reviews values (1, 900)"
    )
    shop.page.type("./run new reviews --to ~/shop --target shop --like public.reviews")
    use(monkeypatch, shop.page.folder)
    first, second = launches(shop), Launches("reviews", shop.connect())
    first.launch("r1")
    second.launch("r2")
    shop.rows("insert into public.reviews values (2, 17)")
    place = "select 'public.reviews'::regclass::oid, (select count(*) from public.reviews)"
    before = shop.rows(place)
    # the review of a customer whom only that launch has brought is set aside, whole
    first.roll_back("b1")
    assert shop.rows(place) == [(before[0][0], 1)]
    assert shop.rows("select count(*) from public.customers") == [(2,)]
    assert shop.rows("insert into public.reviews values (3, 900) returning id") == [(3,)]
    second.roll_back("b3")
    assert shop.rows("select id from public.reviews order by id") == [(1,), (3,)]
