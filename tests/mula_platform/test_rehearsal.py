"""The rehearsal of sign-ins: what it finds, that nothing of it stays, and that its keys are nobody's back door."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import psycopg
import pytest

from cutover import rehearsal
from cutover.database.connect import Connect, connector, opened
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.rehearsal import Person, Report, Service
from mula_platform import setup
from stack.postgres import EmbeddedPostgres
from tests.mula.conftest import PASSWORD

from .conftest import Site, old_token, served

MIGRATION = load("mula_unification")
RUN = "first"
ANA = Person("dasha", "5", "ana@example.com", "ana at dasha")
# what a sign-in writes, and a page that is looked at
_KEPT = (
    "public.users", "public.legacy_identities", "public.activity_log", "public.compatibility_results",
    "platform.used_token", "platform.session", "platform.holding", "platform.credential",
    "platform.share_view",
)  # fmt: skip


class House:
    """The platform on a port, and the engine's role in its database."""

    def __init__(self, site: Site, url: str, server: EmbeddedPostgres) -> None:
        self.site, self.url = site, url
        self.name = site.admin.rsplit("/", 1)[1]
        self.engine = server.dsn(self.name, "cutover", PASSWORD)
        self.connect: Connect = connector(self.engine, "unified", "test")
        assert MIGRATION.sign_ins is not None
        self.service = Service(url, MIGRATION.sign_ins)
        self.lines: list[str] = []

    def rehearse(self, *sample: Person) -> Report:
        """A whole rehearsal."""
        return rehearsal.rehearse(self.connect, MIGRATION, RUN, self.service, sample=sample, log=self.lines.append)

    def content(self) -> dict[str, list[Any]]:
        """Every row that a sign-in could have written."""
        rows = {name: self.site.rows(f"select t::text from {name} as t order by 1") for name in _KEPT}
        return rows | {"failures": self.site.rows("select * from platform.failure where attempts > 0")}

    def begin(self, run: str = RUN, lasts: str = "1 hour", role: str | None = None) -> tuple[Any, dict[str, str]]:
        """Open a rehearsal as the engine does; the session that holds it, and the keys."""
        session = psycopg.connect(role or self.engine, autocommit=True)
        try:
            keys = session.execute("select * from platform.begin_rehearsal(%s, %s::interval)", (run, lasts)).fetchall()
        except psycopg.Error:
            session.close()
            raise
        return session, dict(keys)

    def begin_after(self, session: Any) -> tuple[Any, dict[str, str]]:
        """Another one, once the session of the one before has let go of its lock."""
        session.close()
        while True:
            try:
                return self.begin()
            except psycopg.errors.LockNotAvailable:
                continue

    def exchange(self, key: str, source: str = "dasha", number: int = 5, kind: str = "rehearsal:") -> Any:
        """Exchange a token that the key has signed."""
        token = old_token(source, number, key=key)
        return self.site.exchange(token, source, subject_token_type=f"urn:mula:{kind}{source}")


@pytest.fixture
def house(make_site: Callable[..., Site], server: EmbeddedPostgres) -> Iterator[House]:
    """The platform as people reach it."""
    with served(make_site) as (site, url):
        yield House(site, url, server)


def test_every_account_gets_in_and_nothing_of_it_stays(house: House) -> None:
    before = house.content()
    report = house.rehearse(ANA, Person("dasha", "6", "ben@example.com", "ben everywhere"))
    values = {name: (way.tried, way.failed, dict(way.reasons)) for name, way in report.ways.items()}
    # Dora's is a bare MD5: her token is good, her password will never be
    unreadable = {"a hash of a scheme that the service does not know": 1}
    assert values == {
        "a token of the old application": (8, 0, {}),
        "a password that can be verified": (6, 1, unreadable),
        "a password typed, of test persons": (2, 0, {}),
    }
    assert report.trouble(2) == [
        "a password that can be verified: 1 of 6 fail (16.67 %, and 2 % at most): 1 a hash of a scheme that the "
        "service does not know"
    ]
    assert report.trouble(20) == []
    assert house.content() == before
    assert house.site.value("select count(*) from platform.rehearsal") == 0
    figures = house.site.client.get("/metrics").text
    assert "mula_sign_ins_total{" not in figures


def test_what_would_fail_is_counted_by_reason(house: House) -> None:
    site = house.site
    cleo = site.identity("dasha", 7)["user_id"]
    # whose rows nobody knows are hidden from who has not proved all of a person's accounts
    site.rows("delete from platform.origin where table_name = 'birth_charts'")
    site.rows("update legacy_identities set user_id = %s where source = 'dasha' and legacy_user_id = '9'", cleo)
    site.rows(
        "insert into platform.holding select id, user_id, 'link' from legacy_identities "
        "where source = 'compatibility' and legacy_user_id = '8'"
    )
    site.rows(
        "insert into cutover.rejects (run, source, source_id, reason) values ('first', 'dasha_users', '6', 'why')"
    )
    site.rows("delete from legacy_identities where source = 'dasha' and legacy_user_id = '6'")
    wrong = Person("dasha", "5", "ana@example.com", "not hers")
    report = house.rehearse(ANA, wrong, Person("another", "5", "a@example.com", "x"))
    assert report.closed == 1
    # the password that was wrong counts as anybody's: for the client, the account, and both together
    assert site.value("select sum(attempts) from platform.failure") == 3
    reasons = dict(report.token.reasons)
    assert reasons.pop("rejected by the launch (why)") == 1
    assert reasons.pop("does not see its birth_charts") >= 2, reasons
    assert "dasha 5" in report.token.named["does not see its birth_charts"]
    assert dict(report.password_typed.reasons) == {
        "wrong password": 1, "no such account": 1, "does not see its birth_charts": 1,
    }  # fmt: skip


def test_a_platform_that_would_refuse_all_tokens_is_found_out(make_site: Callable[..., Site], server: Any) -> None:
    with served(make_site, old_secrets={"dasha": "the only one that somebody has set, long enough"}) as (site, url):
        report = House(site, url, server).rehearse()
    assert dict(report.token.reasons) == {"no key of that application": 4}
    assert report.token.tried == 8


def test_a_right_that_is_missing_is_found_out(house: House) -> None:
    house.site.rows("revoke insert on public.activity_log from mula_platform")
    house.site.rows("revoke insert (user_id, action, metadata) on public.activity_log from mula_platform")
    assert dict(house.rehearse().token.reasons) == {"answered 503": 8}


def test_what_a_rehearsal_is_given_opens_no_page_and_ends_with_it(house: House) -> None:
    site = house.site
    session, keys = house.begin()
    token = house.exchange(keys["dasha"]).json()["access_token"]
    assert jwt.get_unverified_header(token)["typ"] == "rehearsal+jwt"
    answer = site.me(token)
    assert answer.status_code == 200 and "example.com" not in answer.text
    for path in ("/", "/settings", "/dasha", "/compatibility"):
        page = site.client.get(path, headers={"cookie": f"__Host-mula={token}"}, follow_redirects=False)
        assert (page.status_code, page.headers.get("location")) == (303, "/sign-in")
    session.execute("select platform.end_rehearsal('another')")
    assert site.me(token).status_code == 200
    session.execute("select platform.end_rehearsal('first')")
    assert site.me(token).status_code == 401
    assert house.exchange(keys["dasha"]).status_code == 400
    assert site.value("select count(*) from platform.session") == 0
    # and no key opens the next one
    again, others = house.begin_after(session)
    assert not set(keys.values()) & set(others.values())
    assert house.exchange(keys["dasha"]).status_code == 400
    assert site.me(token).status_code == 401
    again.close()


def test_each_key_is_for_one_application_and_for_rehearsals_alone(house: House) -> None:
    session, keys = house.begin()
    assert house.exchange(keys["dasha"], "compatibility").status_code == 400
    # as a person's own token
    assert house.exchange(keys["dasha"], kind="").status_code == 400
    # a person's own token as a rehearsal's
    refused = house.site.exchange(old_token("dasha", 5), subject_token_type="urn:mula:rehearsal:dasha")
    assert refused.status_code == 400 and "reason" not in refused.json()
    # each of them counts as anybody's
    assert house.site.value("select sum(attempts) from platform.failure") == 3
    # a password is not tried for whoever has no key, whatever the header says
    for proof in ("", "urn:mula:rehearsal:dasha", f"urn:mula:rehearsal:dasha {old_token('dasha', 5)}", "x y"):
        browser = house.site.browser()
        browser.get("/sign-in")
        answer = browser.client.post(
            "/sign-in",
            data={
                "form_key": browser.client.cookies["__Host-mula-form"],
                "email": ANA.address,
                "password": ANA.password,
            },
            headers={"mula-rehearsal": proof},
        )
        assert (answer.status_code, "access_token" in answer.text) == (400, False)
        assert "__Host-mula" not in browser.client.cookies
    session.close()


def test_nobody_but_the_engine_opens_one_and_of_the_launch_that_stands_alone(
    house: House, server: EmbeddedPostgres
) -> None:
    platform = server.dsn(house.name, setup.ROLE, PASSWORD)
    for role in (platform, server.dsn(house.name, "mula_reader", PASSWORD)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            house.begin(role=role)
    for role, table in ((house.engine, "platform.rehearsal"), (house.engine, "platform.open_rehearsal"),
                        (house.engine, "platform.credential"), (platform, "platform.rehearsal")):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(role) as connection:
            connection.execute(f"select * from {table}".encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(platform) as connection:
        connection.execute("insert into platform.rehearsal (run, keys, ends_at) values ('x', '{}', now())")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not that of run second"):
        house.begin("second")
    with pytest.raises(psycopg.errors.CheckViolation):
        house.begin(lasts="13 hours")
    session, keys = house.begin()
    with pytest.raises(CutoverError, match=r"rehearsal\.busy"):
        house.rehearse()
    # over by its own time, with its session still there
    house.site.rows("update platform.rehearsal set ends_at = now()")
    assert house.exchange(keys["dasha"]).status_code == 400
    with psycopg.connect(platform) as connection:
        assert connection.execute("select * from platform.open_rehearsal").fetchall() == []
    session.close()
    assert rehearsal.why_not_yet(house.connect, MIGRATION, RUN) is None
    house.site.rows("update platform.launch set entry = 0")
    with pytest.raises(CutoverError, match=r"rehearsal\.not-begun.*run platform setup"):
        house.rehearse()
    assert "./run platform setup" in str(rehearsal.why_not_yet(house.connect, MIGRATION, RUN))


_HOLDING = """
import sys, time
import psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True)
keys = dict(connection.execute("select * from platform.begin_rehearsal('first', interval '1 hour')").fetchall())
print(keys["dasha"], flush=True)
time.sleep(600)
"""


def test_a_task_that_is_killed_leaves_nothing_open(house: House) -> None:
    holding = subprocess.Popen([sys.executable, "-c", _HOLDING, house.engine], stdout=subprocess.PIPE, text=True)
    assert holding.stdout is not None
    key = holding.stdout.readline().strip()
    token = house.exchange(key).json()["access_token"]
    assert house.site.me(token).status_code == 200
    holding.send_signal(signal.SIGKILL)
    holding.wait()
    deadline = time.monotonic() + 20
    while house.exchange(key).status_code == 200:
        assert time.monotonic() < deadline
    assert house.site.me(token).status_code == 401
    # the next one begins with nothing of it
    assert house.rehearse().token.failed == 0
    assert house.site.value("select count(*) from platform.session") == 0


def test_a_rehearsal_that_is_ended_under_way_stops_asking(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Service.post
    asked: list[str] = []

    def end_it(service: Service, path: str, *given: Any) -> Any:
        asked.append(path)
        if len(asked) == 3:
            house.site.rows("select platform.end_rehearsal('first')")
        return ask(service, path, *given)

    monkeypatch.setattr(Service, "post", end_it)
    with pytest.raises(CutoverError, match=r"rehearsal\.broken-off"):
        house.rehearse()


def test_a_service_that_is_gone_stops_the_rehearsal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_TRIES", 1)
    monkeypatch.setattr(rehearsal, "_GONE_AFTER", 3)
    assert MIGRATION.sign_ins is not None
    house.service = Service("http://127.0.0.1:1", MIGRATION.sign_ins)
    assert "does not answer" in str(house.service.why_not_ready())
    with pytest.raises(CutoverError, match=r"rehearsal\.no-answer"):
        house.rehearse()
    assert house.site.value("select count(*) from platform.rehearsal") == 0


def test_it_is_written_down_and_signed_without_numbers_of_accounts(house: House) -> None:
    report = house.rehearse(ANA)
    with opened(house.connect) as connection:
        rehearsal.record(connection, MIGRATION, RUN, report, 2)
    with opened(house.connect) as connection:
        record = rehearsal.of_run(connection, RUN)
        assert record is not None
        assert len(record["trouble"]) == 1 and record["answer"] is None
        assert record["ways"]["a password that can be verified"]["named"] == {
            "a hash of a scheme that the service does not know": ["dasha 9"]
        }
        rehearsal.record_answer(connection, MIGRATION, RUN, "reviewer", goes_on=True)
    with opened(house.connect) as connection:
        record = rehearsal.of_run(connection, RUN)
        assert record is not None and record["answer"]["person"] == "reviewer"
    signed = house.site.rows("select kind, payload from cutover.chain where kind like 'sign-ins%' order by link")
    assert [link["kind"] for link in signed] == ["sign-ins", "sign-ins answer"]
    assert "dasha 9" not in signed[0]["payload"] and '"tried":8' in signed[0]["payload"]
    # another rehearsal is another question
    with opened(house.connect) as connection:
        rehearsal.record(connection, MIGRATION, RUN, report, 50)
        record = rehearsal.of_run(connection, RUN)
    assert record is not None and (record["trouble"], record["answer"]) == ([], None)


@pytest.mark.parametrize("extra", [{"people": [{"application": "dasha"}]}, {"people": 3}, {"file": "/nowhere"}])
def test_test_persons_that_are_none_are_refused_without_a_word_of_them(extra: dict[str, Any]) -> None:
    with pytest.raises(CutoverError, match=r"rehearsal\.bad-people"):
        rehearsal.people(extra, "connection mula_test_people")


def test_test_persons_come_from_the_connection_or_a_file(tmp_path: Any) -> None:
    (tmp_path / "people.json").write_text(
        '[{"application": "dasha", "account": 5, "address": "ana@example.com", "password": "ana at dasha"}]'
    )
    assert rehearsal.people({"file": str(tmp_path / "people.json")}, "x") == [ANA]
    assert rehearsal.people({}, "x") == []
    assert "ana at dasha" not in repr(ANA)
