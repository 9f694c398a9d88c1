"""What is sent to whom, what is not, and what becomes of it; each way out is a server that counts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email import message_from_string, policy
from typing import Any

import psycopg
import pytest

from cutover import erase, rehearsal
from cutover.announce import sending
from cutover.announce.audience import markdown
from cutover.announce.channels import Open
from cutover.announce.message import Window
from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.records import phase, run
from demo.simulators.messages import Fcm, MailServer

from .world import MIGRATION, World

By = Mapping[str, Open]


def campaign(world: World, by: By, key: str = "run", **wished: Any) -> list[str]:
    """A whole campaign. Returns its report in words."""
    world.preview(key, **wished)
    world.approve(key)
    report = world.send(key, by)
    return [f"{one['channel']} {one['state']} {one['reason'] or ''} {one['people']}" for one in report["counts"]]


def test_the_approver_reads_every_text_the_counts_and_nobodys_address(world: World) -> None:
    world.person("ana.cruz@example.com", "phone")
    world.person("ben@example.com", "tablet", notifications_enabled=False)
    shown = markdown(world.preview("run"))
    assert "Welcome to Unified Mula Platform" in shown and "Moon Phase Rituals" in shown and "We're back!" in shown
    assert "| email | 2 | 1000 |" in shown and "| push | 1 | 1000 |" in shown
    assert "push: 1 skipped: opted out" in shown
    assert "a•••@e•••" in shown and "phone" not in shown
    assert "ana" not in shown.lower().replace("analytics", "") and "example.com" not in shown


def test_each_is_told_once_by_each_channel_and_a_second_run_tells_only_who_is_new(
    world: World, by: By, mail: MailServer, fcm: Fcm
) -> None:
    world.person("ana@example.com", "a1", "a2")
    world.person("ben@example.com")
    assert campaign(world, by) == ["email sent  2", "push sent  1", "push skipped no device 1"]
    assert fcm.taken == {"a1": 1}, "one device of each person, the newest"
    message = message_from_string(mail.messages[0], policy=policy.default)
    assert message["List-Unsubscribe"].strip().startswith("<https://mula.app/unsubscribe/")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    plain = message.get_body(("plain",)).get_content()
    assert plain.startswith(("Hi ana,", "Hi ben,")) and "**What's new:**" in plain
    assert "<strong>What's new:</strong>" in message.get_body(("html",)).get_content()
    # done again it is done, and nobody is told
    world.send("run", by)
    world.person("cem@example.com", "c1")
    assert "email sent  3" in campaign(world, by, "second"), "with the two who had been told before"
    assert mail.taken == dict.fromkeys(("ana@example.com", "ben@example.com", "cem@example.com"), 1)
    assert fcm.taken == {"a1": 1, "c1": 1}


def test_who_has_opted_out_or_unsubscribed_is_not_told_and_marketing_is_another_matter(
    world: World, by: By, mail: MailServer, fcm: Fcm
) -> None:
    world.person("ana@example.com", "a1", email_enabled=False)
    world.person("ben@example.com", "b1", notifications_enabled=False)
    world.person("cem@example.com", "c1", marketing_emails=False)
    campaign(world, by)
    assert set(mail.taken) == {"ben@example.com", "cem@example.com"} and set(fcm.taken) == {"a1", "c1"}
    message = message_from_string(next(one for one in mail.messages if "To: cem@" in one), policy=policy.default)
    letter = message["List-Unsubscribe"].rpartition("/")[2].rstrip(">")
    assert world.value("select cutover.unsubscribe(%s)", letter) is True
    assert world.value("select cutover.unsubscribe(%s)", letter) is True, "twice is once"
    assert world.value("select cutover.unsubscribe(gen_random_uuid())") is False
    world.execute("delete from cutover.announcement")
    assert "email: 1 skipped: unsubscribed" in markdown(world.preview("shown"))
    assert "email skipped unsubscribed 1" in campaign(world, by, "second")
    assert mail.taken["cem@example.com"] == 1 and fcm.taken["c1"] == 2, "one click is about e-mail"


def test_who_opts_out_after_the_approval_is_not_told(world: World, by: By, mail: MailServer, fcm: Fcm) -> None:
    world.person("ana@example.com", "a1")
    world.person("ben@example.com", "b1")
    world.preview("run")
    world.approve("run")
    world.execute(
        "insert into user_preferences (user_id, email_enabled) select id, false from users where email ~ 'ana'"
    )
    world.execute("delete from users where email ~ 'ben'")
    report = world.send("run", by)
    assert not mail.taken and set(fcm.taken) == {"a1"}
    assert {one["reason"] for one in report["counts"] if one["state"] == "skipped"} == {
        "opted out since the approval was asked for",
        "gone since the approval was asked for",
    }


def test_a_device_that_is_gone_is_switched_off_and_the_next_one_is_told(world: World, by: By, fcm: Fcm) -> None:
    world.person("ana@example.com", "gone", "there", "third")
    world.person("ben@example.com", "only")
    fcm.faults["gone"].append("unregistered")
    fcm.faults["only"].append("unregistered")
    assert "push failed 404 UNREGISTERED 1" in campaign(world, by)
    assert fcm.taken == {"there": 1}
    off = world.rows("select token from fcm_tokens where not is_active order by 1")
    assert [row["token"] for row in off] == ["gone", "only"]
    world.execute("delete from cutover.announcement")
    campaign(world, by, "second")
    assert fcm.taken == {"there": 2} and fcm.attempts == 4


def test_a_mailbox_that_is_not_there_is_not_tried_again(world: World, by: By, mail: MailServer) -> None:
    world.person("ana@example.com")
    world.person("ben@example.com")
    mail.faults["ana@example.com"].append("550 5.1.1")
    mail.faults["ben@example.com"].append("data 554 5.7.1")
    report = campaign(world, by)
    assert {"email failed 550 5.1.1 1", "email failed 554 5.7.1 1"} <= set(report)
    assert not world.rows("select from cutover.announcement where reason ~ 'ana'"), "the server's words are masked"
    world.execute("delete from cutover.announcement")
    assert "email skipped bounced 1" in campaign(world, by, "second")
    assert mail.taken == {"ben@example.com": 1}, "what was not liked today is no bounce"


def test_what_is_refused_for_now_is_sent_later(world: World, by: By, mail: MailServer, fcm: Fcm) -> None:
    world.people(6)
    mail.faults["p1@example.com"].extend(["452 4.2.2", "hang up"])
    mail.faults["p2@example.com"].append("data 451 4.7.1")
    mail.faults["p3@example.com"].extend(["452 4.2.2"] * 5)
    fcm.faults["*"].extend(["429 1", "503 1"])
    fcm.faults["token-p4"].append("401")
    report = campaign(world, by)
    given_up = "email failed 5 times: 452 4.2.2 <p•••@e•••> is not taken 1"
    assert sorted(report) == [given_up, "email sent  5", "push sent  6"]
    assert set(mail.taken.values()) == set(fcm.taken.values()) == {1}
    assert fcm.sign_ins == 2, "a token that was withdrawn is asked for anew"


@pytest.mark.parametrize("fault", ["vanish", "500"])
def test_nobody_is_told_again_of_whom_nobody_knows_until_a_person_says_so(
    world: World, by: By, mail: MailServer, fcm: Fcm, fault: str
) -> None:
    world.person("ana@example.com", "a1")
    fcm.faults["a1"].append(fault)
    mail.faults["ana@example.com"].append("vanish")
    assert [line.split()[:2] for line in campaign(world, by)] == [["email", "unknown"], ["push", "unknown"]]
    delivered = fcm.taken["a1"]
    campaign(world, by, "second")
    assert mail.taken["ana@example.com"] == 1 and fcm.taken["a1"] == delivered
    shown = markdown(world.preview("third", unknown="resend"))
    assert "2 messages of which nobody knows whether they were delivered **are sent again**" in shown
    world.approve("third")
    assert world.states("email") == world.states("push") == {"unknown": 1}, "not before it is sent"
    world.send("third", by)
    assert mail.taken["ana@example.com"] == 2 and fcm.taken["a1"] == delivered + 1


def test_what_nobody_knew_can_count_as_sent(world: World, by: By, mail: MailServer) -> None:
    world.person("ana@example.com")
    mail.faults["*"].append("vanish")
    campaign(world, by)
    campaign(world, by, "second", unknown="sent")
    row = world.rows("select state, reason from cutover.announcement where channel = 'email'")
    assert row == [{"state": "sent", "reason": "resolved by reviewer"}] and mail.taken["ana@example.com"] == 1


MEDDLED = {
    "the text": "alter table cutover.run disable trigger keep_run; update cutover.run set review = "
    "jsonb_set(review, '{text}', '\"Buy this\"'); alter table cutover.run enable trigger keep_run",
    "a recipient": "update cutover.audience set recipients = '{eve@example.com}' where channel = 'email'",
    "somebody more": "insert into cutover.audience (run, channel, person, email, recipients) "
    "values ('run', 'email', 'x', 'eve@example.com', '{eve@example.com}')",
    "somebody less": "delete from cutover.audience where channel = 'push'",
}


@pytest.mark.parametrize("meddled", MEDDLED)
def test_no_other_text_and_no_other_audience_goes_out(world: World, by: By, mail: MailServer, meddled: str) -> None:
    world.person("ana@example.com", "a1")
    world.preview("run")
    world.approve("run")
    world.execute(MEDDLED[meddled])
    with pytest.raises(CutoverError, match=r"swap\.not-approved"):
        world.send("run", by)
    assert not mail.messages


def test_nothing_goes_out_without_an_approval_and_it_is_used_once(world: World, by: By, mail: MailServer) -> None:
    world.person("ana@example.com")
    world.preview("run")
    with pytest.raises(CutoverError, match=r"announce\.not-approved|approve\."):
        world.send("run", by)
    with pytest.raises(CutoverError, match=r"swap\.not-approved"):
        sending.send(world.connect, MIGRATION, "run", by, world.lines.append)
    assert not mail.messages
    world.approve("run")
    world.send("run", by)
    assert world.value("select consumed_by from cutover.approvals") == "announce of run"
    kinds = [row["kind"] for row in world.rows("select kind from cutover.chain order by link")]
    assert kinds[-2:] == ["announce", "announced"]


def test_who_is_erased_between_approval_and_sending_is_not_told_and_the_others_are(
    world: World, by: By, mail: MailServer, fcm: Fcm
) -> None:
    world.person("ana@example.com", "anas-phone")
    world.person("ben@example.com", "b1")
    world.preview("run")
    world.approve("run")
    world.execute("delete from users where email ~ 'ana'")
    with opened(world.connect) as connection:
        copies = erase.erase(connection, MIGRATION, "ana@example.com", by="operator")
    assert copies.counts["cutover.audience"] == {"blanked": 2}
    assert world.value("select count(*) from cutover.audience as t where t::text ~ 'ana'") == 0
    report = world.send("run", by)
    assert set(mail.taken) == {"ben@example.com"} and set(fcm.taken) == {"b1"}
    assert [one["people"] for one in report["counts"] if one["reason"] == "erased"] == [1, 1]
    with opened(world.connect) as connection:
        copies = erase.erase(connection, MIGRATION, "ben@example.com", by="operator")
    assert copies.counts["cutover.announcement"] == {"deleted": 2}


def test_a_way_out_that_lets_nobody_in_ends_the_task_and_it_goes_on_from_there(
    world: World, by: By, mail: MailServer, fcm: Fcm
) -> None:
    world.people(8)
    world.preview("run")
    world.approve("run")
    fcm.faults["*"].extend(["401"] * 8)
    with pytest.raises(CutoverError, match=r"announce\.refused"):
        world.send("run", by)
    assert set(world.states("push")) <= {"deferred", "sent"}
    fcm.faults.clear()
    world.send("run", by)
    assert world.states("push") == world.states("email") == {"sent": 8}
    assert set(mail.taken.values()) == set(fcm.taken.values()) == {1}


@pytest.mark.parametrize(("fault", "patience"), [("500", "_UNKNOWN_IN_A_ROW"), ("429 3600", "_LONGEST_WAIT_S")])
def test_a_channel_that_takes_nothing_is_given_up_before_everybody_is_lost(
    world: World, by: By, fcm: Fcm, fault: str, patience: str
) -> None:
    world.people(60)
    world.preview("run")
    world.approve("run")
    fcm.faults["*"].extend([fault] * 60)
    with pytest.raises(CutoverError, match=r"announce\.gave-up"):
        world.send("run", by)
    assert hasattr(sending, patience)
    assert world.states("push")["unknown"] <= 2 * sending._UNKNOWN_IN_A_ROW
    assert "push: " in world.lines[-1] and "waiting" in " ".join(world.lines[-3:])


def test_nobody_is_told_of_a_window_that_has_opened(world: World, by: By, mail: MailServer) -> None:
    world.person("ana@example.com")
    raw = "create schema if not exists raw; create table raw.{} (id bigint, {}, gone_at timestamptz)"
    for app in ("dasha", "compatibility"):
        world.execute(raw.format(f"{app}_users", "email text"))
        world.execute(
            raw.format(f"{app}_fcm_tokens", "user_id bigint, token text, created_at timestamptz, is_active bool")
        )
        world.execute(
            raw.format(f"{app}_user_preferences", "user_id bigint, email_enabled bool, notifications_enabled bool")
        )
    world.execute("insert into raw.dasha_users (id, email) values (1, 'ana@example.com')")
    now = datetime.now(timezone.utc)
    with pytest.raises(CutoverError, match=r"announce\.too-late"):
        world.preview("late", "maintenance", window=Window(now - timedelta(minutes=1), timedelta(hours=1)))
    with pytest.raises(CutoverError, match=r"announce\.no-window"):
        world.preview("never", "maintenance")
    with pytest.raises(CutoverError, match=r"announce\.approval-too-short.*\n.*set approval_hours to 10"):
        world.preview("far", "maintenance", window=Window(now + timedelta(hours=10), timedelta(hours=1)))
    foreseen = world.preview("run", "maintenance", window=Window(now + timedelta(hours=1), timedelta(hours=1)))
    assert datetime.fromisoformat(foreseen["due_at"]) == now + timedelta(minutes=45)
    world.approve("run")
    # it was not sent in time
    late = sending._Sending._is_too_late
    try:
        sending._Sending._is_too_late = lambda self: True  # type: ignore[method-assign]
        report = world.send("run", by)
    finally:
        sending._Sending._is_too_late = late  # type: ignore[method-assign]
    assert not mail.messages
    assert {one["reason"] for one in report["counts"]} == {"too late: the window has opened", "no device"}


def test_an_announcement_of_a_launch_needs_one(unlaunched: World) -> None:
    unlaunched.person("ana@example.com")
    with pytest.raises(CutoverError, match=r"announce\.not-launched"):
        unlaunched.preview("run")


def begun(world: World) -> None:
    """The run of the launch, on record."""
    with opened(world.connect) as connection:
        run.begin(
            connection, run="launch", migration=MIGRATION.migration, dag_id=MIGRATION.migration, dag_run_id="launch",
            triggered_by="operator", parameters={},
        )  # fmt: skip


def rehearsed(world: World, *trouble: str, goes_on: bool | None = None) -> None:
    """A rehearsal of the launch's sign-ins on record; ``goes_on``: what somebody has decided, if anybody has."""
    with opened(world.connect) as connection:
        phase.record(connection, MIGRATION, "launch", rehearsal.STEP, [], holds=not trouble, trouble=list(trouble))
    if goes_on is not None:
        with opened(world.connect) as connection:
            rehearsal.record_answer(connection, MIGRATION, "launch", "reviewer", goes_on=goes_on)


def test_nobody_is_welcomed_before_sign_ins_were_rehearsed_where_they_are_to_be(world: World) -> None:
    world.person("ana@example.com")
    begun(world)
    for _ in range(2):  # the task looks every few seconds
        with opened(world.connect) as connection:
            rehearsal.record_due(connection, MIGRATION, "launch")
    assert world.value("select count(*) from cutover.phase where step = 'sign_ins_due'") == 1
    with pytest.raises(CutoverError, match=r"announce\.not-rehearsed"):
        world.preview("first")
    rehearsed(world)
    world.preview("second")


def test_nobody_is_welcomed_while_too_many_would_not_get_in(world: World, by: By, mail: MailServer) -> None:
    world.person("ana@example.com")
    begun(world)
    rehearsed(world, "a token: 9 of 10 fail")
    with pytest.raises(CutoverError, match=r"announce\.not-decided.*\n?.*nobody has decided"):
        world.preview("first")
    rehearsed(world, "a token: 9 of 10 fail", goes_on=False)
    with pytest.raises(CutoverError, match=r"announce\.not-decided.*reviewer has decided against it"):
        world.preview("second")
    rehearsed(world, "a token: 9 of 10 fail", goes_on=True)
    world.preview("third")
    world.approve("third")
    # rehearsed again after the approval, and bad: a decision is about the rehearsal before it
    rehearsed(world, "a token: 10 of 10 fail")
    with pytest.raises(CutoverError, match=r"announce\.not-decided"):
        world.send("third", by)
    assert not mail.taken
    rehearsed(world)
    world.send("third", by)
    assert mail.taken == {"ana@example.com": 1}


def test_a_launch_that_is_taken_back_meanwhile_is_announced_no_further(
    world: World, by: By, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_PROGRESS_EVERY_S", 0.1)
    world.people(200)
    world.preview("run", rates={"email": 40.0, "push": 40.0})
    world.approve("run")

    def take_back() -> None:
        while not mail.taken:
            time.sleep(0.01)
        world.took_back("launch", "back")

    with ThreadPoolExecutor(1) as pool:
        back = pool.submit(take_back)
        with pytest.raises(CutoverError, match=r"announce\.not-launched"):
            world.send("run", by)
        back.result()
    count = len(mail.taken)
    assert 0 < count < 200
    with pytest.raises(CutoverError, match=r"announce\.not-launched"):
        world.send("run", by)
    assert len(mail.taken) == count
    # the rollback is taken back: what has not been sent goes on
    world.took_back("back", "again")
    monkeypatch.setattr(sending, "_PROGRESS_EVERY_S", 10.0)
    world.send("run", by)
    assert len(mail.taken) == 200 and set(mail.taken.values()) == {1}


def test_a_role_of_the_application_may_unsubscribe_and_nothing_else(world: World, by: By) -> None:
    world.person("ana@example.com")
    campaign(world, by)
    letter = world.value("select letter from cutover.announcement where channel = 'email'")
    world.execute("do $$ begin if to_regrole('unsubscriber') is null then create role unsubscriber; end if; end $$")
    world.execute("grant usage on schema cutover to unsubscriber")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.execute("set role unsubscriber; select cutover.unsubscribe(gen_random_uuid())")
    world.execute("grant execute on function cutover.unsubscribe(uuid) to unsubscriber")
    world.execute(f"set role unsubscriber; select cutover.unsubscribe('{letter}')")
    assert world.value("select reason from cutover.suppression") == "unsubscribed"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.execute("set role unsubscriber; select from cutover.announcement")


def test_two_senders_at_once_tell_nobody_twice(world: World, by: By, mail: MailServer, fcm: Fcm) -> None:
    """As when Airflow takes a worker for dead that is not, and starts the task anew."""
    world.people(60)
    world.preview("run")
    world.approve("run")
    mail.latency_s = fcm.latency_s = 0.01
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: world.send("run", by), range(2)))
    assert len(reports) == 2
    assert set(mail.taken.values()) == set(fcm.taken.values()) == {1}
    assert world.states("email") == world.states("push") == {"sent": 60}
