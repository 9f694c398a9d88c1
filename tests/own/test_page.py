"""The third migration, as a team makes it: outside the repository, by following docs/your-own-migration.md alone."""

from __future__ import annotations

from urllib.parse import urlsplit

from cutover.database.connect import opened
from cutover.extract.why import why
from tests.own.conftest import Shop
from tests.own.page import UP
from tests.own.run import Launches


def launches(shop: Shop) -> Launches:
    """Runs of the page's migration."""
    address = urlsplit(shop.page.given["AIRFLOW_CONN_CRM"])
    crm = (f"http://{address.hostname}:{address.port}", str(address.password))
    return Launches("shop", shop.connect(), {"crm": crm, "old_shop": shop.connect("old_shop")})


def test_every_command_of_the_page_is_typed_and_two_files_are_touched(followed: Shop) -> None:
    commands = followed.page.commands()
    assert [command.split()[0:2] for command in commands if not command.startswith("export")] == [
        ["./run", "new"],
        ["./run", "test"],
        UP.split(),
    ]
    assert "2 passed" in "".join(followed.messages)
    assert followed.page.touched() == [
        "include/sql/shop/extract/shop_customers.store.sql",
        "include/sql/shop/migration.yaml",
    ]


def test_it_is_launched_twice_and_rolled_back(shop: Shop) -> None:
    runs = launches(shop)
    review = runs.review("r1", with_suites=True)
    assert {(row["source"], row["read"], row["staged"]) for row in review["reconciliation"]} == {
        ("shop_customers", 250, 250),
        ("shop_orders", 500, 500),
    }
    runs = launches(shop)
    runs.launch("r2", lambda: shop.rows("update public.customers set newsletter = true where id = 900"))
    assert shop.rows("select count(*) from public.customers") == [(251,)]
    assert shop.rows("select count(*) from public.orders") == [(501,)]
    # what the sources do not know, a write between freeze and swap, and the circle
    assert shop.rows(
        "select name, newsletter, last_order_id from public.customers where id in (1, 900) order by id"
    ) == [
        ("Customer 1", True, 100),
        ("Walk-in", True, None),
    ]
    assert runs.suites("production") == []
    with opened(shop.connect()) as connection:
        (origin,) = why(connection, "customers", "17")
    assert (origin.raw_table, origin.raw_id, origin.api_response["full_name"]) == (
        "shop_customers",
        "17",
        "Customer 17",
    )

    shop.rows("insert into public.orders values (8, 1, 3, now())")
    runs.launch("r3")
    assert shop.rows("select count(*) from public.orders where id in (7, 8)") == [(2,)]
    runs.roll_back("b1")
    runs.roll_back("b2")
    assert shop.rows("select count(*) from public.orders") == [(502,)]


def test_its_dags_are_those_of_its_declaration(shop: Shop) -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(shop.page.folder / "dags"))
    assert not bag.import_errors, bag.import_errors
    of_all = {"drop_backups", "erase_person", "launch_watch", "outlook", "raw_sync", "restore_people"}
    assert set(bag.dags) == {"shop", "shop_rollback", *of_all}
    tasks = {task.task_id: task for task in bag.dags["shop"].tasks}
    assert {task.split(".")[1] for task in tasks if task.startswith("extract.")} >= {"shop_customers", "old_shop"}
    assert tasks["transform.customers_last_order_id"].upstream_task_ids >= {"transform.customers", "transform.orders"}
    for path in (shop.page.folder / "dags").glob("*.py"):
        assert len(path.read_text().splitlines()) < 25, path.name
