"""What is told to people, and what is not."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from cutover.errors import CutoverError
from cutover.operators import approvers, notify
from cutover.operators.approvers import Approver

MESSAGE = notify.Message("approve?", ("figures",), "http://here/review", "http://here/answer")


def test_the_message_holds_figures_and_links_for_every_kind_of_review() -> None:
    launch = {
        "tables": [{"name": "leads", "before": 0, "after": 15270}],
        "warnings": [{"title": "Paid for nothing", "total": 19}, {"title": "Nothing", "total": 0}],
    }
    messages = notify.message_for("approve?", launch, "f" * 64, ("r", "a"), "operator").lines
    assert "leads: 0 → 15,270 rows" in messages
    assert "Warnings: 19 Paid for nothing" in messages
    rollback = {"undoes": "r1", "tables": [{"schema": "public", "name": "leads", "comes_back": False}]}
    assert "Takes back run r1." in notify.message_for("approve?", rollback, "f" * 64, ("r", "a"), None).lines
    assert notify.message_for("approve?", {"days": 30}, "f" * 64, ("r", "a"), None).lines


def test_a_notifier_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    never = threading.Event()
    ended = list(notify._as_ended(0.1, [never.wait, lambda: None, sys.exit]))
    assert ended == [(1, None, False), (2, "SystemExit: ", False), (0, "no answer within 0 s", True)]
    never.set()


def test_an_error_never_tells_the_webhooks_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    webhook: Any = SimpleNamespace(
        host="http://127.0.0.1:1/hooks", port=None, schema=None, password="s3cret", extra_dejson={}
    )
    monkeypatch.setattr(notify, "_connection", lambda name: webhook if name == notify.WEBHOOK else None)
    said: list[str] = []
    (notice,) = notify.tell(MESSAGE, said.append)
    assert notice.error == "ConnectionError: http://127.0.0.1:1/hooks does not answer (ConnectionError)"
    assert "s3cret" not in " ".join(said)


def test_a_connection_that_cannot_be_looked_up_is_told_like_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_api(_: str) -> Any:
        raise ConnectionError("the API server does not answer")

    monkeypatch.setattr(notify, "_connection", no_api)
    notices = notify.tell(MESSAGE, lambda _: None)
    assert {(notice.recipient, notice.error) for notice in notices} == {
        (name, "ConnectionError: the API server does not answer") for name in (notify.SMTP, notify.WEBHOOK)
    }


def test_a_mail_connection_without_recipients_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    mail: Any = SimpleNamespace(extra_dejson={})
    monkeypatch.setattr(notify, "_connection", lambda name: mail if name == notify.SMTP else None)
    (notice,) = notify.tell(MESSAGE, lambda _: None)
    assert notice.recipient == "nobody" and "names no recipient" in str(notice.error)


@pytest.mark.parametrize("given", ['["ana", "ben"]', "ana, ben", ["ana", "ben"]])
def test_approvers_are_a_list_in_any_of_its_forms(given: Any) -> None:
    assert approvers.parse(given) == [Approver("ana"), Approver("ben")]
    assert approvers.assigned(approvers.parse(given)) == []


def test_approvers_with_their_ids_are_assigned_unless_one_has_none() -> None:
    both = approvers.parse('[{"id": 3, "name": "ana"}, {"id": "4", "name": "ben"}]')
    assert approvers.assigned(both) == [{"id": "3", "name": "ana"}, {"id": "4", "name": "ben"}]
    assert approvers.assigned(approvers.parse([{"id": 3, "name": "ana"}, "ben"])) == []


@pytest.mark.parametrize("given", ['["ana"', '{"name": "ana"}', [{"name": "ana"}], [3], {"id": 3, "name": "ana"}])
def test_what_names_nobody_rightly_is_refused(given: Any) -> None:
    with pytest.raises(CutoverError, match=r"\[approve.bad-approvers\]"):
        approvers.parse(given)


@pytest.mark.parametrize("given", [None, "", "[]", " , ", []])
def test_nobody_named_is_nobody(given: Any) -> None:
    assert approvers.parse(given) == []


def test_a_comment_is_kept_at_a_length_that_pages_and_postgresql_take() -> None:
    from cutover.operators.approve import LONGEST_COMMENT, _comment

    assert _comment(None) is None and _comment("as expected") == "as expected"
    assert _comment("a\0b") == "ab"
    long = _comment("x" * 1_000_000)
    assert long is not None and len(long) < LONGEST_COMMENT + 50 and long.endswith("(1,000,000 characters in all)")
