"""What becomes of subscriptions by events of Stripe, signed as Stripe signs them."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cutover.errors import CutoverError
from mula_platform import __main__ as commands
from mula_platform import setup, stripe
from mula_platform.app import make_app
from mula_platform.settings import Settings
from stack.postgres import EmbeddedPostgres
from tests import databases

from .conftest import PASSWORD, STRIPE_SECRETS, URL, Merged, Site, old_token
from .test_people import come

HOOK = "/webhooks/stripe"
# What happens to a subscription happens after the launch has brought it, which a run of all tests does an hour after it
# has read this file: a day later. Seconds since 1970.
START = int(time.time()) + 86_400
NEXT = START + 30 * 86_400


def signed(payload: bytes, secret: str, at: int | None = None) -> str:
    """``Stripe-Signature`` of a body."""
    at = int(time.time()) if at is None else at
    return f"t={at},v1={hmac.new(secret.encode(), str(at).encode() + b'.' + payload, hashlib.sha256).hexdigest()}"


def event(number: int, kind: str, content: dict[str, Any], after: int | None = None) -> dict[str, Any]:
    """An event, ``after`` so many seconds (default: its number)."""
    created = START + (number if after is None else after)
    return {"id": f"evt_{number}", "object": "event", "type": kind, "created": created, "data": {"object": content},
            "livemode": True, "api_version": "2025-10-29.clover", "request": {"id": None}}  # fmt: skip


def subscription(
    status: str = "active", *, name: str = "sub_dasha", cents: int = 499, plan: str = "basic", **values: Any
) -> dict[str, Any]:
    """A subscription, as an event holds it."""
    monthly = {"interval": "month", "interval_count": 1, "usage_type": "licensed"}
    price = {"id": f"price_{plan}", "currency": "usd", "unit_amount": cents, "unit_amount_decimal": str(cents),
             "nickname": plan.title(), "lookup_key": None, "recurring": monthly}  # fmt: skip
    item = {"id": "si_1", "price": price, "quantity": 1, "current_period_end": NEXT}
    return {"id": name, "object": "subscription", "customer": f"cus_{name}", "status": status,
            "cancel_at_period_end": False, "items": {"object": "list", "data": [item]}, **values}  # fmt: skip


def invoice(name: str = "sub_dasha") -> dict[str, Any]:
    """An invoice of a subscription, as the newest version of the API has it."""
    details = {"subscription_details": {"subscription": name}, "type": "subscription_details"}
    return {"id": "in_1", "object": "invoice", "customer": f"cus_{name}", "customer_email": "ana@example.com",
            "parent": details, "lines": {"data": []}}  # fmt: skip


UPDATED, DELETED = "customer.subscription.updated", "customer.subscription.deleted"


def post(site: Site, payload: dict[str, Any] | bytes, secret: str = "whsec_dasha_of_now", at: int | None = None) -> Any:
    """Send an event; the response."""
    payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return site.client.post(HOOK, content=payload, headers={"stripe-signature": signed(payload, secret, at)})


def row(site: Site, name: str = "sub_dasha") -> dict[str, Any]:
    """What the unified database has of a subscription."""
    (subscription,) = site.rows(
        "select status, plan_name, monthly_amount, next_billing_at from subscriptions "
        "where stripe_subscription_id = %s", name,
    )  # fmt: skip
    return subscription


def events(site: Site) -> int:
    """How many are written down."""
    return int(site.value("select count(*) from platform.stripe_event"))


@pytest.fixture(scope="module")
def shared(merged: Merged, server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One platform for all that only events change."""
    name = f"{merged.name}_payments"
    databases.create(server, name, merged.name)
    dsn = server.dsn(name, setup.ROLE, PASSWORD)
    app = make_app(Settings(dsn=dsn, keys=merged.keys, url=URL, stripe_secrets=STRIPE_SECRETS))
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        yield Site(app, app.state.platform.settings, server.dsn(name), tmp_path_factory.mktemp("mails"), client)
    databases.drop(server, name)


@pytest.fixture
def site(shared: Site) -> Site:
    """The shared platform, to which no event has come yet."""
    begin_anew(shared)
    return shared


@pytest.fixture
def own(make_site: Callable[..., Site]) -> Site:
    """A platform of the test's own, for what happens to people and tables."""
    return make_site()


def begin_anew(site: Site) -> None:
    """No event has come yet, and Ana's two subscriptions are as they were launched."""
    site.platform.metrics.stripe_events.clear()
    site.rows("delete from platform.stripe_event")
    site.rows(
        "update platform.stripe_subscription set known_at = '2025-12-01', status = 'active', plan_name = 'basic', "
        "monthly_amount = 4.99, next_billing_at = null where subscription_id in ('sub_dasha', 'sub_compatibility')"
    )
    site.rows(
        "update subscriptions set status = 'active', plan_name = 'basic', monthly_amount = 4.99, "
        "next_billing_at = null where stripe_subscription_id in ('sub_dasha', 'sub_compatibility')"
    )


def await_waiting(site: Site, sessions: int) -> list[int]:
    """The sessions of the platform that wait for a lock, once there are so many."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        subscription = site.rows(
            "select pid from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' "
            "and application_name = 'mula platform'"
        )
        if len(subscription) == sessions:
            return [each["pid"] for each in subscription]
    raise AssertionError("nobody waits")


def billed_twice(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> str:
    """What ``./run platform billed-twice`` prints."""
    monkeypatch.setenv("CUTOVER_PLATFORM_DSN", site.settings.dsn)
    monkeypatch.setenv("CUTOVER_PLATFORM_KEYS", str(site.settings.keys))
    assert commands.main(["billed-twice", *arguments]) == 0
    return capsys.readouterr().out


# who has sent it


def test_an_event_is_believed_by_any_secret_of_its_endpoint_and_by_no_other(site: Site) -> None:
    events_sent = event(1, UPDATED, subscription("past_due"))
    payload = json.dumps(events_sent).encode()
    now = int(time.time())
    good = signed(payload, "whsec_dasha_of_now", now)
    late, early = now - stripe.TOLERANCE_S - 5, now + stripe.TOLERANCE_S + 60
    refused = [
        "", "t=,v1=", f"t={now}", good.split(",")[1], signed(payload, "whsec_other"),
        signed(payload + b" ", "whsec_dasha_of_now"), good.replace("v1=", "v0="), f"{good},t={now + 1}",
        good.replace(f"t={now}", f"t={now - 1}"), good[:-1], good + "é",
        signed(payload, "whsec_dasha_of_now", late), signed(payload, "whsec_dasha_of_now", early), "t=1e3,v1=0",
        f"t={'9' * 40},v1=0", "v1=" * 5_000,
    ]  # fmt: skip
    for header in refused:
        answer = site.client.post(HOOK, content=payload, headers={"stripe-signature": header.encode()})
        assert (answer.status_code, answer.text[:11]) == (400, "not signed:"), header
    assert site.client.post(HOOK, content=payload).status_code == 400
    assert events(site) == 0 and row(site)["status"] == "active"
    # Stripe signs with both secrets while one takes over from the other, and with schemes that are none of ours
    both = f"{signed(payload, 'whsec_other', now)},{good.split(',')[1]},v0=ff"
    for number, header in enumerate((good, both, signed(payload, "whsec_dasha_of_before"))):
        answer = site.client.post(HOOK, content=payload, headers={"stripe-signature": header})
        assert (answer.status_code, answer.text) == (200, "changed\n" if number == 0 else "known\n"), header
    assert row(site)["status"] == "past_due"


def test_a_signature_is_what_others_make_of_it() -> None:
    """Digest made by ``printf '1700000000.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_test``."""
    payload, digest = b'{"id":"evt_1"}', "c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"
    header = f"t=1700000000,v1={digest}"
    assert stripe.source_of(payload, header, {"dasha": ["whsec_test"]}, 1_700_000_300.0) == "dasha"
    with pytest.raises(stripe.UnsignedError, match="too long ago"):
        stripe.source_of(payload, header, {"dasha": ["whsec_test"]}, 1_700_000_301.0)


def test_one_account_cannot_touch_the_other_s_subscriptions(site: Site) -> None:
    payload = event(1, DELETED, subscription("canceled"))
    assert post(site, payload, "whsec_compatibility").text == "of_nobody\n"
    assert row(site)["status"] == "active"
    # the same id of the other account is another event
    assert post(site, payload).text == "changed\n"
    assert row(site)["status"] == "canceled" and row(site, "sub_compatibility")["status"] == "active"
    assert events(site) == 2


def test_one_secret_for_both_is_refused_at_the_start() -> None:
    given = {"CUTOVER_PLATFORM_DSN": "x", "CUTOVER_PLATFORM_KEYS": "y", "CUTOVER_PLATFORM_DASHA_STRIPE_SECRETS": "a b"}
    assert Settings.read(given).stripe_secrets == {"dasha": ("a", "b")}
    with pytest.raises(CutoverError, match="equal-webhook-secrets"):
        Settings.read({**given, "CUTOVER_PLATFORM_COMPATIBILITY_STRIPE_SECRETS": " c  b "})
    assert "a b" not in repr(Settings.read(given))


# what it says


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"[]", b"{", b"\xff", b'{"id": "evt_1"}', b"[" * 100_000,
        json.dumps(event(1, UPDATED, {})).encode(),
        json.dumps(event(1, UPDATED, subscription(status="x" * 60))).encode(),
        json.dumps(event(1, UPDATED, subscription(name="sub\0"))).encode(),
        json.dumps(event(1, UPDATED, subscription(name="\ud800"))).encode(),
        json.dumps(event(1, UPDATED, subscription(cents=10**400))).encode(),
        json.dumps(event(1, UPDATED, subscription(cents=-1))).encode(),
        json.dumps(event(1, UPDATED, subscription(items={"data": None}))).encode(),
        json.dumps({**event(1, UPDATED, subscription()), "id": 7}).encode(),
        json.dumps({**event(1, UPDATED, subscription()), "created": "1"}).encode(),
        json.dumps({**event(1, UPDATED, subscription()), "created": 10**15}).encode(),
        json.dumps({**event(1, UPDATED, subscription()), "created": True}).encode(),
        json.dumps({**event(1, UPDATED, subscription()), "data": {"object": "sub_dasha"}}).encode(),
        json.dumps(event(1, "invoice.paid", {"parent": "sub_dasha"})).encode(),
        json.dumps(event(1, "a\0b", {})).encode(),
    ],
)  # fmt: skip
def test_what_is_no_event_is_400_and_never_500(site: Site, payload: bytes) -> None:
    answer = post(site, payload)
    assert (answer.status_code, answer.text[:13]) == (400, "not an event:"), answer.text
    assert events(site) == 0


def test_a_huge_body_is_refused_before_it_is_read(site: Site) -> None:
    assert post(site, b" " * 262_145).status_code == 413
    # one that does not say how long it is
    answer = site.client.post(HOOK, content=iter([b" " * 65_536] * 5), headers={"stripe-signature": "t=1,v1=0"})
    assert answer.status_code == 413
    assert post(site, b" " * 262_144).status_code == 400
    # and forms are no longer than they were
    assert site.client.post("/sign-in", content=b" " * 65_537).status_code == 413


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cents": 1_299, "plan": "premium"}, ("premium", Decimal("12.99"))),
        # what we have no name for leaves the plan as it is
        ({"cents": 5_000, "plan": "Gold Year"}, ("basic", Decimal("50.00"))),
        ({"cents": 4_999, "recurring": {"interval": "year", "interval_count": 1}}, ("basic", Decimal("4.17"))),
        ({"cents": 200, "recurring": {"interval": "week"}}, ("basic", Decimal("8.70"))),
        ({"unit_amount": None, "unit_amount_decimal": "599.5", "quantity": 2}, ("basic", Decimal("11.99"))),
        # an amount that depends on use, in another currency, or that no column holds, is not guessed
        ({"cents": 9_999, "recurring": {"interval": "month", "usage_type": "metered"}}, ("basic", Decimal("4.99"))),
        ({"cents": 9_999, "currency": "eur"}, ("basic", Decimal("4.99"))),
        ({"cents": 10**12}, ("basic", Decimal("4.99"))),
        ({"cents": 9_999, "recurring": {"interval": "fortnight"}}, ("basic", Decimal("4.99"))),
        ({"unit_amount": None, "unit_amount_decimal": None}, ("basic", Decimal("4.99"))),
    ],
)  # fmt: skip
def test_plan_and_amount_a_month(site: Site, change: dict[str, Any], expected: tuple[str, Decimal]) -> None:
    content = subscription(cents=change.get("cents", 499), plan=change.get("plan", "basic"))
    item = content["items"]["data"][0]
    item["price"] |= {name: value for name, value in change.items() if name in item["price"]}
    item["quantity"] = change.get("quantity", 1)
    assert post(site, event(1, UPDATED, content)).status_code == 200
    assert (row(site)["plan_name"], row(site)["monthly_amount"]) == expected


def test_older_and_newer_versions_of_the_api_say_the_same(site: Site) -> None:
    older = subscription(current_period_end=NEXT + 5, customer={"id": "cus_1", "email": "ana@example.com"})
    del older["items"]["data"][0]["current_period_end"]
    post(site, event(1, UPDATED, older))
    assert row(site)["next_billing_at"] == datetime.fromtimestamp(NEXT + 5, timezone.utc)
    post(site, event(2, "invoice.payment_failed", {"id": "in_1", "subscription": "sub_dasha", "customer": "cus_1"}))
    assert row(site)["status"] == "past_due"
    post(site, event(3, "invoice.paid", invoice()))
    assert row(site)["status"] == "active"
    post(site, event(4, UPDATED, subscription(cancel_at_period_end=True)))
    assert row(site) | {"monthly_amount": None} == {
        "status": "active", "plan_name": "basic", "monthly_amount": None, "next_billing_at": None,
    }  # fmt: skip
    text = json.dumps(site.rows("select * from platform.stripe_event"), default=str)
    assert "example.com" not in text, "whose it is stands here already"


def test_what_concerns_no_subscription_is_written_down_and_acknowledged(site: Site) -> None:
    payload: list[tuple[str, dict[str, Any]]] = [
        ("charge.refunded", {"id": "ch_1", "amount_refunded": 499}),
        ("a.type.of.tomorrow", {"anything": [1, {}]}),
        ("invoice.paid", {"id": "in_of_a_single_sale", "customer": None}),
    ]
    for number, (kind, subscription) in enumerate(payload):
        assert post(site, event(number, kind, subscription)).text == "no_subscription\n"
    assert events(site) == 3 and row(site)["status"] == "active"
    site.rows("update platform.stripe_event set received_at = now() - interval '61 days' where event_id = 'evt_1'")
    post(site, event(9, "charge.refunded", {}))
    assert events(site) == 3, "those that Stripe does not send any more are not kept for ever"


# once, in any order


def test_the_same_event_again_does_nothing(site: Site) -> None:
    payload = event(1, UPDATED, subscription("past_due"))
    assert [post(site, payload).text for _ in range(3)] == ["changed\n", "known\n", "known\n"]
    site.rows("update subscriptions set status = 'paused' where stripe_subscription_id = 'sub_dasha'")
    assert post(site, payload).text == "known\n" and row(site)["status"] == "paused"
    # the same state in another event: no write, which would keep the source's next word away
    post(site, event(2, UPDATED, subscription("past_due")))
    version = site.value("select xmin::text from subscriptions where stripe_subscription_id = 'sub_dasha'")
    assert post(site, event(3, UPDATED, subscription("past_due"))).text == "nothing_new\n"
    assert site.value("select xmin::text from subscriptions where stripe_subscription_id = 'sub_dasha'") == version


@pytest.mark.parametrize("newer_first", [False, True])
def test_an_older_event_never_overwrites_a_newer_one(site: Site, newer_first: bool) -> None:
    payload = [
        event(1, UPDATED, subscription("active", cents=1_299, plan="premium")),
        event(2, DELETED, subscription("canceled")),
    ]
    for each in reversed(payload) if newer_first else payload:
        assert post(site, each).status_code == 200
    assert row(site) == {
        "status": "canceled", "plan_name": "basic", "monthly_amount": Decimal("4.99"), "next_billing_at": None,
    }  # fmt: skip


def test_what_had_happened_before_the_source_was_told_changes_nothing(site: Site) -> None:
    site.rows("update platform.stripe_subscription set known_at = to_timestamp(%s)", START + 10)
    assert post(site, event(1, DELETED, subscription("canceled"), after=10)).text == "nothing_new\n"
    assert row(site)["status"] == "active"
    assert post(site, event(2, UPDATED, subscription("past_due"), after=11)).text == "changed\n"
    assert row(site)["status"] == "past_due"


HISTORY = [
    event(1, "customer.subscription.created", subscription("incomplete"), after=1),
    event(2, UPDATED, subscription("active"), after=1),
    event(3, "invoice.paid", invoice(), after=1),
    event(4, "invoice.payment_failed", invoice(), after=100),
    event(5, UPDATED, subscription("past_due"), after=100),
    event(6, "invoice.paid", invoice(), after=160),
    event(7, UPDATED, subscription("active", cents=1_299, plan="premium"), after=200),
    event(8, "invoice.payment_failed", invoice(), after=300),
    event(9, "charge.refunded", {"id": "ch_1"}, after=301),
    event(10, UPDATED, subscription("past_due", cents=1_299, plan="premium", cancel_at_period_end=True), after=302),
    event(11, "invoice.paid", invoice(), after=303),
]
END = {"status": "active", "plan_name": "premium", "monthly_amount": Decimal("12.99"), "next_billing_at": None}


@given(order=st.permutations(HISTORY), again=st.lists(st.sampled_from(HISTORY), max_size=3), ends=st.booleans())
@examples(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_every_order_a_history_ends_the_same(
    site: Site, order: list[dict[str, Any]], again: list[dict[str, Any]], ends: bool
) -> None:
    begin_anew(site)
    last = event(12, DELETED, subscription("canceled", cents=1_299, plan="premium"), after=400)
    # the end comes first, as often as not: nothing begins again after it
    for payload in ([last] if ends else []) + order + again:
        assert post(site, payload).status_code == 200
    assert row(site) == (END | {"status": "canceled"} if ends else END)
    assert events(site) == len(HISTORY) + ends


def test_within_one_second_the_way_of_a_subscription_decides(site: Site) -> None:
    payload = [("customer.subscription.created", "incomplete"), (UPDATED, "incomplete"), (UPDATED, "active")]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        begin_anew(site)
        for number in order:
            kind, status = payload[number]
            # ids that say the opposite
            post(site, event(9 - number, kind, subscription(status), after=5))
        assert row(site)["status"] == "active", order


def test_the_same_event_twice_at_once_has_one_effect(site: Site) -> None:
    payload = event(1, UPDATED, subscription("past_due"))
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(post(site, payload).text)) for _ in range(2)]
    with psycopg.connect(site.admin) as other:
        other.execute("select from subscriptions where stripe_subscription_id = 'sub_dasha' for update")
        for thread in threads:
            thread.start()
        await_waiting(site, 2)
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["changed\n", "known\n"] and events(site) == 1


def test_two_events_at_once_are_both_heard(site: Site) -> None:
    payload = [
        event(1, UPDATED, subscription(cents=1_299, plan="premium")),
        event(2, "invoice.payment_failed", invoice()),
    ]
    threads = [threading.Thread(target=post, args=(site, each)) for each in payload]
    with psycopg.connect(site.admin) as other:
        other.execute("select from subscriptions where stripe_subscription_id = 'sub_dasha' for update")
        for thread in threads:
            thread.start()
        await_waiting(site, 2)
    for thread in threads:
        thread.join()
    assert (row(site)["status"], row(site)["plan_name"]) == ("past_due", "premium")


def test_killed_in_the_middle_it_has_one_effect_when_it_comes_again(site: Site) -> None:
    payload = event(1, UPDATED, subscription("past_due"))
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(post(site, payload)))
    with psycopg.connect(site.admin) as other:
        other.execute("select from subscriptions where stripe_subscription_id = 'sub_dasha' for update")
        thread.start()
        # the event is written down by now, and its effect is not
        (pid,) = await_waiting(site, 1)
        site.rows("select pg_terminate_backend(%s)", pid)
        thread.join()
    assert answers[0].status_code == 503 and int(answers[0].headers["retry-after"]) > 0
    assert events(site) == 0 and row(site)["status"] == "active"
    assert post(site, payload).text == "changed\n" and post(site, payload).text == "known\n"
    assert events(site) == 1 and row(site)["status"] == "past_due"


# whose it is


def test_it_is_of_whoever_the_account_is_after_it_was_taken_out(own: Site) -> None:
    own.rows("select * from cutover.unmerge('compatibility', '5', 'aunt@example.com')")
    parted = own.identity("compatibility", 5)["user_id"]
    assert (
        post(own, event(1, UPDATED, subscription("past_due", name="sub_compatibility")), "whsec_compatibility").text
        == "changed\n"
    )
    assert own.rows("select user_id, status from subscriptions where stripe_subscription_id = 'sub_compatibility'") == [
        {"user_id": parted, "status": "past_due"}
    ]
    assert row(own)["status"] == "active"


def test_of_a_deleted_person_nothing_comes_back_and_stripe_is_told_it_is_well(own: Site) -> None:
    dora = own.identity("dasha", 9)["user_id"]
    post(own, event(1, UPDATED, subscription("canceled", name="sub_ended")))
    assert events(own) == 1
    token = own.exchange(old_token("dasha", 9)).json()["access_token"]
    browser = own.browser()
    browser.client.cookies.set("__Host-mula", token, domain="mula.test")
    assert "is deleted" in browser.post("/settings/delete", confirm="dora@example.com").text
    assert events(own) == 0
    assert own.value("select count(*) from platform.stripe_subscription where subscription_id = 'sub_ended'") == 0
    answer = post(own, event(2, UPDATED, subscription("active", name="sub_ended")))
    assert (answer.status_code, answer.text) == (200, "of_nobody\n")
    assert own.value("select count(*) from subscriptions where user_id = %s", dora) == 0


def test_a_subscription_that_begins_again_while_its_person_goes_keeps_them(own: Site) -> None:
    person = own.identity("dasha", 9)["user_id"]
    token = own.exchange(old_token("dasha", 9)).json()["access_token"]
    browser = own.browser()
    browser.client.cookies.set("__Host-mula", token, domain="mula.test")
    pages: list[str] = []
    going = threading.Thread(
        target=lambda: pages.append(browser.post("/settings/delete", confirm="dora@example.com").text)
    )
    with psycopg.connect(own.admin) as other:
        # as an event does it
        other.execute("update subscriptions set status = 'active' where stripe_subscription_id = 'sub_ended'")
        going.start()
        await_waiting(own, 1)
    going.join()
    assert "First end your subscription" in pages[0]
    assert own.value("select count(*) from users where id = %s", person) == 1


def test_what_nobody_has_is_kept_and_followed_once_a_launch_brings_it(
    own: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # of a customer who has another one
    post(own, event(1, UPDATED, subscription()))
    payload = subscription("active", name="sub_new", cents=1_299, customer="cus_sub_dasha")
    assert post(own, event(2, "customer.subscription.created", payload)).text == "of_nobody\n"
    assert post(own, event(3, UPDATED, payload | {"status": "past_due"})).text == "of_nobody\n"
    text = billed_twice(own, capsys, monkeypatch, "--full")
    assert "Stripe speaks of 1 subscriptions that nobody has here" in text
    assert "sub_new: past_due, 12.99 USD a month, last on " in text
    assert f"the same customer as {own.identity('dasha', 5)['user_id']}" in text
    # a launch brings it, and setup is repeated as after every launch
    own.rows(
        "with brought as (insert into subscriptions "
        "(user_id, stripe_subscription_id, plan_name, monthly_amount, status) "
        "values (%s, 'sub_new', 'premium', 9.99, 'active') returning *) "
        "insert into raw.dasha_subscriptions select (jsonb_populate_record(r, jsonb_build_object("
        "'id', 99, 'user_id', 6, 'stripe_subscription_id', 'sub_new', 'updated_at', now()))).* "
        "from brought, raw.dasha_subscriptions as r where r.id = 1",
        own.identity("dasha", 6)["user_id"],
    )
    setup.prepare(own.admin)
    assert setup.catch_up(own.settings.dsn) == 1
    assert (row(own, "sub_new")["status"], row(own, "sub_new")["monthly_amount"]) == ("past_due", Decimal("12.99"))
    assert setup.catch_up(own.settings.dsn) == 0
    assert "Stripe speaks of" not in billed_twice(own, capsys, monkeypatch)


# the people who are billed twice


def test_who_is_billed_twice_is_shown_to_support_and_to_themselves(
    own: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = own.identity("dasha", 5)["user_id"]
    text = billed_twice(own, capsys, monkeypatch)
    assert "Billed for more than one subscription: 1 of the people here." in text
    assert f"{ana}  a•••@e•••: since " in text and "9.98 USD a month" in text
    assert "Dasha Timer: basic, 4.99 USD a month, active since " in text and "Compatibility: basic, 4.99" in text
    assert "ana@example.com" not in text and "sub_dasha" not in text
    text = billed_twice(own, capsys, monkeypatch, "--full")
    assert "ana@example.com" in text and "sub_dasha" in text and "sub_compatibility" in text
    # to them, once they hold both accounts
    browser = come(own, "ana at dasha")
    assert "You are billed for" not in browser.get("/settings").text
    browser.post(f"/settings/accounts/{own.identity('compatibility', 5)['id']}/prove", password="ana at compat")
    assert "You are billed for 2 subscriptions" in browser.get("/settings").text
    post(own, event(1, DELETED, subscription("canceled")))
    assert "more than one subscription: 0 of" in billed_twice(own, capsys, monkeypatch)
    assert "You are billed for" not in browser.get("/settings").text


def test_who_becomes_billed_twice_by_an_event_appears(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site.rows("update subscriptions set status = 'incomplete' where stripe_subscription_id = 'sub_compatibility'")
    site.rows("update platform.stripe_subscription set status = 'incomplete' where source = 'compatibility'")
    assert "more than one subscription: 0 of" in billed_twice(site, capsys, monkeypatch)
    post(site, event(1, "invoice.paid", invoice("sub_compatibility")), "whsec_compatibility")
    assert "more than one subscription: 1 of" in billed_twice(site, capsys, monkeypatch)
    assert f"{site.identity('dasha', 5)['user_id']} is billed 2 times" in caplog.text
    # a plan that costs nothing is billed to nobody
    post(site, event(2, UPDATED, subscription(cents=0, plan="free")))
    assert "more than one subscription: 0 of" in billed_twice(site, capsys, monkeypatch)


def test_figures_and_headers(site: Site) -> None:
    post(site, event(1, UPDATED, subscription("past_due")))
    post(site, b"{}")
    post(site, b"{}", "whsec_other")
    # a browser's page of another site is no matter: no cookie counts here
    payload = json.dumps(event(2, UPDATED, subscription())).encode()
    headers = {"stripe-signature": signed(payload, STRIPE_SECRETS["dasha"][0]), "origin": "https://evil.example"}
    assert site.client.post(HOOK, content=payload, headers=headers).status_code == 200
    figures = site.client.get("/metrics").text
    for result, source, count in (("changed", "dasha", 2), ("malformed", "dasha", 1), ("refused", "unknown", 1)):
        assert f'mula_stripe_events_total{{result="{result}",source="{source}"}} {count}.0' in figures
    assert site.client.get(HOOK).status_code == 405


def test_while_the_window_is_open_stripe_is_asked_to_come_again(own: Site) -> None:
    from .test_maintenance import RUN, fence, release

    own.rows(
        "insert into cutover.run (run, migration, dag_id, dag_run_id, parameters) values (%s, 'mula_unification', "
        "'mula_unification', 'w', '{\"maintenance_window\": true}')",
        RUN,
    )
    fence(own)
    payload = event(1, UPDATED, subscription("past_due"))
    answer = post(own, payload)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 1_700
    assert "<html" not in answer.text and events(own) == 0
    release(own)
    assert post(own, payload).text == "changed\n"


def test_until_setup_has_given_the_rights_stripe_is_asked_to_come_again(own: Site) -> None:
    payload = event(1, UPDATED, subscription("past_due"))
    own.rows("revoke update (status, plan_name, monthly_amount, next_billing_at) on subscriptions from mula_platform")
    for less in ("select", "drop table platform.stripe_event"):
        own.rows(less)
        answer = post(own, payload)
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert "follow subscriptions: ./run platform setup" in own.client.get("/readyz").text
    setup.prepare(own.admin)
    assert own.client.get("/readyz").text == "ready\n"
    assert post(own, payload).text == "changed\n"
