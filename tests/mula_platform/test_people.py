"""What two accounts of one address see of each other, and how they are joined, parted and deleted."""

from __future__ import annotations

import psycopg
import pytest

from cutover.database.connect import session as open_session
from mula_platform import setup
from tests.mula.conftest import PASSWORD

from .conftest import Browser, Merged, Site, old_token

PUNE, LONDON, LIMA = "Pune, India", "London, UK", "Lima, Peru"


def places(browser: Browser) -> set[str]:
    """The birth places that the settings show."""
    text = browser.get("/settings").text
    return {place for place in (PUNE, LONDON, LIMA) if place in text}


def come(site: Site, password: str, email: str = "ana@example.com") -> Browser:
    """Somebody who signs in."""
    browser = site.browser()
    assert "Your Personal Astrology Hub" in browser.sign_in(email, password).text
    return browser


def test_an_account_sees_nothing_of_another_one_that_is_not_proved(site: Site) -> None:
    dasha, compatibility = come(site, "ana at dasha"), come(site, "ana at compat")
    # both are proved by now, each by somebody who knows its password; and that makes them nobody's business but theirs
    assert places(dasha) == {PUNE} and places(compatibility) == {LONDON, LIMA}
    assert "Saturn" in dasha.get("/").text and "83%" not in dasha.get("/").text
    assert "Saturn" not in compatibility.get("/").text and "with Ravi" in compatibility.get("/").text
    assert "Saturn" in dasha.get("/dasha").text and "Saturn" not in compatibility.get("/dasha").text
    for browser, own, other in ((dasha, "ana_d", "ana_c"), (compatibility, "ana_c", "ana_d")):
        page = browser.get("/").text
        assert f"Welcome, {own}" in page and "Another account has your address" in page
        for path in ("/", "/settings", "/compatibility", "/dasha"):
            assert other not in browser.get(path).text
        assert "Not proved to be yours" in browser.get("/settings").text
        # one subscription each, and preferences that are united with somebody else's are not theirs to see or change
        assert page.count("$4.99 a month") == 1
        assert "These are united" in browser.get("/settings").text
    time = {"daily_reminder_time": "10:00", "timezone": "UTC"}
    assert compatibility.post("/settings/notifications", **time).status_code == 409
    person = site.identity("dasha", 5)["user_id"]
    assert site.value("select timezone from user_preferences where user_id = %s", person) == "Asia/Kolkata"


def test_its_own_password_proves_the_other_account(site: Site) -> None:
    browser = come(site, "ana at dasha")
    other = site.identity("compatibility", 5)["id"]
    wrong = browser.post(f"/settings/accounts/{other}/prove", password="a guess")
    assert wrong.status_code == 401 and places(browser) == {PUNE}
    assert "is proved" in browser.post(f"/settings/accounts/{other}/prove", password="ana at compat").text
    assert places(browser) == {PUNE, LONDON, LIMA}
    page = browser.get("/").text
    assert "Saturn" in page and "83%" in page and "billed by both" in page
    # from now on it does not matter which of the two somebody signs in with
    assert places(come(site, "ana at compat")) == {PUNE, LONDON, LIMA}


def test_an_old_token_proves_the_other_account_within_a_session(site: Site) -> None:
    browser = come(site, "ana at dasha")
    token = old_token("compatibility", 5)
    assert "is proved" in browser.post("/sign-in/old", token=token, kind="urn:mula:compatibility").text
    assert places(browser) == {PUNE, LONDON, LIMA}
    # in a browser of nobody's it signs in
    fresh = site.browser()
    fresh.post("/sign-in/old", token=old_token("compatibility", 8), kind="urn:mula:compatibility")
    assert "Welcome, niña" in fresh.get("/").text


def test_a_provider_that_vouched_for_both_has_proved_both(site: Site) -> None:
    token = site.exchange(old_token("dasha", 7)).json()["access_token"]
    me = site.me(token).json()
    assert (len(me["accounts"]), me["not_proved"], me["shown"]["birth_charts"]) == (2, 0, 2)


def test_a_link_to_the_address_proves_and_ends_every_other_way_in(site: Site) -> None:
    stranger, browser = come(site, "ana at compat"), come(site, "ana at dasha")
    other = site.identity("compatibility", 5)["id"]
    assert "We have sent you a link" in browser.post(f"/settings/accounts/{other}/prove").text
    (link,) = site.links()
    # programs look at links in mails, and a look does nothing
    assert "Is this account yours?" in browser.get(link).text and places(browser) == {PUNE}
    token = link.partition("=")[2]
    assert "is proved" in browser.post("/link", token=token).text
    assert places(browser) == {PUNE, LONDON, LIMA}
    # whoever had registered it is out, with password, session and token
    assert "Sign in" in stranger.get("/").text
    assert site.browser().sign_in("ana@example.com", "ana at compat").status_code == 401
    assert site.exchange(old_token("compatibility", 5), "compatibility").status_code == 400
    assert browser.post("/link", token=token).status_code == 409


def test_who_asked_for_a_link_is_who_may_follow_it(site: Site) -> None:
    """A stranger asks for a link in somebody's mailbox; that person follows it, and gives the stranger nothing."""
    stranger, victim = come(site, "ana at compat"), come(site, "ana at dasha")
    stranger.post(f"/settings/accounts/{site.identity('dasha', 5)['id']}/prove")
    (link,) = site.links()
    token = link.partition("=")[2]
    for browser in (victim, site.browser(), come(site, "ben everywhere", "ben@example.com")):
        assert "Is this account yours?" not in browser.get(link).text
        browser.post("/link", token=token)
    assert places(stranger) == {LONDON, LIMA} and places(victim) == {PUNE}
    # nor does a session's token work as a link
    session = site.exchange(old_token("dasha", 5)).json()["access_token"]
    assert victim.post("/link", token=session).status_code == 400


def test_links_are_few(site: Site) -> None:
    browser = come(site, "ana at dasha")
    other = site.identity("compatibility", 5)["id"]
    codes = [browser.post(f"/settings/accounts/{other}/prove").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429] and len(site.links()) == 3


def test_contesting_parts_two_people_and_ends_the_other_s_sessions(site: Site) -> None:
    other, browser = come(site, "ana at compat"), come(site, "ana at dasha")
    token = site.exchange(old_token("compatibility", 5), "compatibility").json()["access_token"]
    identity = site.identity("compatibility", 5)["id"]
    assert "We have sent you a link" in browser.post(f"/settings/accounts/{identity}/contest").text
    assert site.identity("compatibility", 5)["user_id"] == site.identity("dasha", 5)["user_id"]
    (link,) = site.links()
    assert "Take this account out" in browser.get(link).text
    assert "That account is taken out" in browser.post("/link", token=link.partition("=")[2]).text
    # two people now; the one who stays keeps the address, and what was united is theirs to change
    assert site.identity("compatibility", 5)["user_id"] != site.identity("dasha", 5)["user_id"]
    assert "Another account has your address" not in browser.get("/").text
    assert places(browser) == {PUNE} and "These are united" not in browser.get("/settings").text
    assert "Sign in" in other.get("/").text
    assert site.me(token).status_code == 401
    # who was taken out comes in with what they always typed, or a token that they still have, and finds everything
    back = come(site, "ana at compat")
    assert places(back) == {LONDON, LIMA} and "with Ravi" in back.get("/").text
    again = site.exchange(old_token("compatibility", 5, exp=None, more=1), "compatibility")
    assert again.status_code == 400
    later = site.exchange(old_token("compatibility", 5, jti="another"), "compatibility").json()["access_token"]
    me = site.me(later).json()
    assert (me["email"], me["shown"]["birth_charts"], me["user_id"]) == (
        None, 2, str(site.identity("compatibility", 5)["user_id"]),
    )  # fmt: skip


def test_an_un_merge_by_support_ends_the_account_s_sessions(site: Site) -> None:
    tokens = {source: site.exchange(old_token(source, 5), source).json()["access_token"] for source in
              ("dasha", "compatibility")}  # fmt: skip
    site.rows("select * from cutover.unmerge('compatibility', '5', 'aunt@example.com')")
    assert [site.me(tokens[source]).status_code for source in tokens] == [200, 401]


def test_signing_out_ends_one_session_or_all(site: Site) -> None:
    first, second, third = (come(site, "ana at dasha") for _ in range(3))
    stranger = come(site, "ana at compat")
    stored = first.client.cookies["__Host-mula"]
    first.post("/sign-out")
    first.client.cookies.set("__Host-mula", stored, domain="mula.test")
    assert "Sign in" in first.get("/").text and "Welcome" in second.get("/").text
    second.post("/sign-out", everywhere="1")
    assert "Sign in" in third.get("/").text and "Welcome" in stranger.get("/").text


def test_deletion_takes_what_is_theirs_alone_and_every_way_in(site: Site) -> None:
    browser = come(site, "pässwörd", "niña@example.com")
    person = site.identity("compatibility", 8)
    token = site.exchange(old_token("compatibility", 8), "compatibility").json()["access_token"]
    assert browser.post("/settings/delete", confirm="somebody").status_code == 422
    assert "Your account is deleted" in browser.post("/settings/delete", confirm="niña@example.com").text
    assert site.me(token).status_code == 401
    assert "Sign in" in browser.get("/").text
    assert site.exchange(old_token("compatibility", 8, jti="2"), "compatibility").status_code == 400
    assert site.browser().sign_in("niña@example.com", "pässwörd").status_code == 401
    for table in ("users", "birth_charts", "activity_log", "legacy_identities"):
        column = "id" if table == "users" else "user_id"
        assert site.value(f"select count(*) from {table} where {column} = %s", person["user_id"]) == 0
    for table in ("credential", "session", "origin"):
        assert site.value(f"select count(*) from platform.{table} where identity_id = %s", person["id"]) == 0


def test_deletion_waits_for_what_it_would_take_from_others(site: Site) -> None:
    browser = come(site, "ana at dasha")
    refused = browser.post("/settings/delete", confirm="ana@example.com")
    assert refused.status_code == 409 and "First prove or contest" in refused.text
    browser.post(f"/settings/accounts/{site.identity('compatibility', 5)['id']}/prove", password="ana at compat")
    refused = browser.post("/settings/delete", confirm="ana@example.com")
    assert refused.status_code == 409 and "First end your subscription" in refused.text
    assert "Welcome" in browser.get("/").text
    site.rows("update subscriptions set status = 'canceled'")
    assert "is deleted" in browser.post("/settings/delete", confirm="ana@example.com").text


def test_nobody_reaches_what_is_another_person_s(site: Site) -> None:
    ben = come(site, "ben everywhere", "ben@example.com")
    ana = site.identity("dasha", 5)
    chart = site.value("select id from birth_charts where user_id = %s limit 1", ana["user_id"])
    assert ben.post(f"/settings/charts/{chart}/default").status_code == 409
    for what in ("prove", "contest"):
        assert ben.post(f"/settings/accounts/{ana['id']}/{what}", password="ana at dasha").status_code == 409
    assert site.links() == []


# the role


@pytest.mark.parametrize(
    "statement",
    [
        "select * from raw.dasha_users", "select * from cutover.merge",
        "select cutover.unmerge('dasha', '5', 'x@y.zz')",
        "update public.users set email = 'x@y.zz'", "insert into public.users (email) values ('x@y.zz')",
        "update public.legacy_identities set user_id = gen_random_uuid()", "delete from public.legacy_identities",
        "update public.subscriptions set user_id = gen_random_uuid()",
        "update public.subscriptions set stripe_subscription_id = 'sub_other'",
        "insert into public.subscriptions (user_id) values (gen_random_uuid())",
        "update platform.stripe_event set status = 'active'",
        "insert into platform.stripe_subscription values ('dasha', 'sub_other', now())",
        "update public.compatibility_results set view_count = 0",
        "delete from public.birth_charts", "select * from public.fcm_tokens", "create table public.mine ()",
        "create table platform.mine ()",
        "insert into platform.origin values ('users', gen_random_uuid(), gen_random_uuid())",
        "update platform.launch set swapped_at = now()", "alter table platform.credential owner to mula_platform",
    ],
)  # fmt: skip
def test_the_platform_s_role_may_no_more_than_it_needs(merged: Merged, server, statement: str) -> None:  # type: ignore[no-untyped-def]
    connect = psycopg.connect(server.dsn(merged.name, setup.ROLE, PASSWORD))
    with connect as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


@pytest.mark.parametrize("role", ["cutover", "mula_reader", "dasha_owner"])
def test_hashes_are_for_the_platform_s_role_alone(merged: Merged, server, role: str) -> None:  # type: ignore[no-untyped-def]
    opened = open_session(server.dsn(merged.name, role, PASSWORD), "test")
    with opened as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("select * from platform.credential")
