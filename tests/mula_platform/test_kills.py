"""The platform's session ended at the server in the middle: before each of its statements, and before each commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from mula_platform import setup

from .conftest import Site, old_token
from .test_people import come


class Killer:
    """Ends the platform's session before the step ``at``: a statement or a commit. ``steps`` are those of a request."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: int | None = None
        self.steps = 0
        for name in ("execute", "commit"):
            monkeypatch.setattr(psycopg.Connection, name, self._around(site, getattr(psycopg.Connection, name)))

    def _around(self, site: Site, step: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(connection: psycopg.Connection, *given: Any, **named: Any) -> Any:
            # with nothing to commit, nothing is said to the server; and the pool's own look at a session, an empty
            # statement, costs nobody an error
            is_said = given != ("",) and (
                step.__name__ != "commit" or connection.info.transaction_status != TransactionStatus.IDLE
            )
            if connection.info.user == setup.ROLE and is_said:
                self.steps += 1
                if self.steps == self.at:
                    with psycopg.connect(site.admin, autocommit=True) as admin:
                        admin.cursor().execute("select pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))
            return step(connection, *given, **named)

        return stepped

    def during(self, request: Callable[[], Any], at: int | None) -> Any:
        """The answer to a request in which the session was ended at that step."""
        self.at, self.steps = at, 0
        try:
            return request()
        finally:
            self.at = None


def test_an_exchange_that_is_killed_anywhere_leaves_the_token_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    killer = Killer(site, monkeypatch)
    used = "select (select count(*) from platform.used_token), (select count(*) from platform.session)"
    token, before = old_token("dasha", 5), site.rows(used)
    at = 1
    while (answer := killer.during(lambda: site.exchange(token), at)) and killer.steps >= at:
        assert answer.status_code == 503 and "retry-after" in answer.headers, at
        assert site.rows(used) == before and site.identity("dasha", 5)["proved_at"] is None, at
        at += 1
    # nobody ended that one, for it has no further step
    assert at > 12 and answer.status_code == 200
    assert site.exchange(token).status_code == 400
    assert site.value("select count(*) from platform.session") == 1


def test_a_deletion_that_is_killed_anywhere_has_happened_or_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    killer = Killer(site, monkeypatch)
    browser = come(site, "pässwörd", "niña@example.com")
    person = site.identity("compatibility", 8)["user_id"]
    values = (
        "select (select count(*) from users where id = %(id)s) as people, "
        "(select count(*) from birth_charts where user_id = %(id)s) as charts, "
        "(select count(*) from platform.session where user_id = %(id)s) as sessions, "
        "(select count(*) from platform.credential) as credentials"
    ).replace("%(id)s", f"'{person}'")
    before = site.rows(values)
    at = 1
    while (answer := killer.during(lambda: browser.post("/settings/delete", confirm="niña@example.com"), at)) and (
        killer.steps >= at
    ):
        assert answer.status_code == 503, at
        assert site.rows(values) == before, at
        at += 1
    assert at > 8 and "is deleted" in answer.text
    (after,) = site.rows(values)
    assert (after["people"], after["charts"], after["sessions"]) == (0, 0, 0)
