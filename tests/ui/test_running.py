"""The gate against a running API server: every way around the approval, and then people with a browser.

One deployment serves all tests of this file, in their order: each leaves the run where the next one takes it up.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from cutover import approve, review
from cutover.commands import launches
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators.approvers import VARIABLE
from cutover.records import approval as consumed
from cutover.records import signing
from cutover.records.run import get as get_run
from cutover.review.difference import KINDS
from stack.engine import Stack
from stack.postgres import EmbeddedPostgres
from tests.clean_launch_world import at

from .running import Run, Running, deployment, pictures

pytestmark = pytest.mark.timeout(420)

# Whoever may do anything in the database.
PAST = "set session_replication_role = replica;"
# The same values in the same column, each in the other's row.
EXCHANGE = """
create table public.kept as select id, first_name from staging.unified_profiles;
with chosen as (
    (select id, first_name from staging.unified_profiles where first_name is not null order by first_name, id limit 1)
    union all
    (select id, first_name from staging.unified_profiles order by first_name desc nulls last, id limit 1)
)
update staging.unified_profiles as p set first_name = o.first_name
from chosen as c join chosen as o on o.id <> c.id where p.id = c.id
"""
EXCHANGE_BACK = """
update staging.unified_profiles as p set first_name = k.first_name
from public.kept as k where k.id = p.id and k.first_name is distinct from p.first_name;
drop table public.kept
"""
# What a run has in its schemas: which tables, not only their names.
STAGED = (
    "select array_agg(oid::text || relname order by oid) from pg_class "
    "where relnamespace in (to_regnamespace('input'), to_regnamespace('staging'))"
)
# How many of its tasks the walk below marks or clears, at 30 s each; CUTOVER_WALK=20 for a campaign, of both ends.
STEPS = int(os.environ.get("CUTOVER_WALK", "2"))
IS_CAMPAIGN = "CUTOVER_WALK" in os.environ
ENDS = ("gap", "approved") if IS_CAMPAIGN else ("gap",)

MIGRATION = load("clean_launch")
# So soon a task that waits for its answer has begun to take it.
SECONDS_FOR_AN_ANSWER = 3
_tries = itertools.count(100)


@pytest.fixture(scope="module")
def running(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with deployment(server, tmp_path_factory.mktemp("running")) as started, pytest.MonkeyPatch.context() as patch:
        # what a test records as the engine would, is signed as the engine signs: the chain stays whole
        patch.setenv(signing.VARIABLE, str(started.deployment.settings.signing_key))
        yield started


@pytest.fixture(scope="module")
def launch(running: Running) -> Run:
    """A launch, triggered by the administrator, who may approve, too, that waits for its approval."""
    running.name_approvers(running.account("reviewer"), running.account("admin"))
    run = running.trigger("clean_launch", "admin", **running.conf)
    run.until_asked()
    return run


@pytest.fixture(autouse=True)
def _production_is_untouched_unless_approved(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test of a bypass did: no entry in the ledger has come of it."""
    running: Running = request.getfixturevalue("running")
    before = _entries(running)
    yield
    if "approved" not in request.node.name:
        assert _entries(running) == before


def _entries(running: Running) -> int:
    """Entries in the ledger, which the first run makes."""
    there = running.value("select to_regclass('cutover.ledger')")
    return running.value("select count(*)::integer from cutover.ledger") if there else 0


def _approve_in_database(running: Running, launch: Run, /, **values: Any) -> None:
    """An approval of what is staged now, recorded as the gate does it."""
    with psycopg.connect(running.dsn) as connection:
        given = {
            "run": launch.key, "action": "swap", "decision": "approve", "task_id": "approve",
            "fingerprint": review.fingerprint_of(connection, MIGRATION, get_run(connection, launch.key)),
            "try_number": next(_tries), "person": "reviewer", "person_id": "2", "triggered_by": "admin",
            "comment": None, "decided_at": datetime.now(timezone.utc), "valid_for": timedelta(hours=1),
        } | values  # fmt: skip
        approve.record(connection, approve.Answer(**given))


def _refused(run: Run, why: str, task_id: str = "swap") -> None:
    """A task has failed, by default the swap's, for want of an approval and for the reason expected."""
    run.until(task_id, "failed")
    log = run.log(task_id)
    assert "[swap.not-approved]" in log, log[-3000:]
    assert why in log, log[-3000:]


def _swap_again(run: Run) -> None:
    # whoever wants past the gate gets past what waits behind it as well
    run.let_the_run_end()
    if run.task("wait")["state"] != "success":
        assert run.mark_success("wait", "admin").ok
    run.clear("swap", "admin")


def test_the_approver_of_a_new_deployment_is_its_reviewer_and_nobody_else_is_heard(running: Running) -> None:
    """Comes first: the launch below is made with approvers of its own."""
    named = running.api("admin").get(f"variables/{VARIABLE}")["value"]
    assert json.loads(named) == [running.account("reviewer")]


def test_the_form_shows_what_is_staged_and_where_to_read_all_of_it(running: Running, launch: Run) -> None:
    form = launch.form()
    fingerprint = running.value("select fingerprint from cutover.run where run = %s", launch.key)
    assert form["params"]["fingerprint"]["value"] == fingerprint
    assert "unified_profiles" in form["body"] and "expectations" in form["body"]
    assert f"{running.url}{launch.page}/review" in form["body"]
    assert len(form["body"]) < 6_000
    page = running.ask("reviewer", "GET", f"{launch.page}/review")
    assert page.status_code == 200 and fingerprint in page.text and len(page.content) <= 300_000
    # looked at in earnest, beside the text that was stored
    assert "Nothing stands in the way of the swap." in page.text
    picture = running.ask("reviewer", "GET", f"{launch.page}/outlook.svg")
    assert picture.status_code == 200 and "Nothing stands in the way of the swap." in picture.text
    assert f"({running.url}{launch.page}/outlook.svg)" in form["body"]


def test_a_terminal_shows_what_the_form_shows(
    running: Running, launch: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stack = Stack(running.deployment.settings)
    assert launches.review(stack, ["clean_launch", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    form = launch.form()["body"].splitlines()
    assert [line for line in document["question"].splitlines() if line not in form] == []
    assert document["review"]["rehearsal"]["differences"] == 0 and document["in_the_way"] == []
    assert document["review"]["rehearsal"]["clients_waited_ms"] >= 0
    assert launches.review(stack, [launch.run_id, "--as", "auditor"]) == 0
    text = capsys.readouterr().out
    assert document["review"]["fingerprint"] in text and "waits for an answer" in text
    assert document["verdict"]["headline"] in text and text.index(document["verdict"]["what"]) < text.index("balance")
    assert launches.diff(stack, [launch.run_id, "transactions", "--csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    [counted] = [one for one in document["review"]["tables"] if one["name"] == "transactions"]
    assert Counter(line["kind"] for line in lines) == +Counter({kind: counted[kind] for kind in KINDS})
    assert launches.diff(stack, [launch.run_id, "transactions", "--kind", "added", "--as", "auditor"]) == 0
    assert re.search(rf"added +{counted['added']:,} +{counted['added']:,} *\n", capsys.readouterr().out)
    with pytest.raises(CutoverError, match=r"^\[diff.unknown-table\] .*Did you mean `transactions`"):
        launches.diff(stack, [launch.run_id, "transaction", "--csv"])
    assert launches.status(stack, []) == 0
    text = capsys.readouterr().out
    assert "waits for an answer" in text and "awaiting input  approve" in text
    assert launches.logs(stack, [launch.run_id, "preflight.check"]) == 0
    assert "preflight.check: success" in capsys.readouterr().out
    with pytest.raises(CutoverError, match=r"(?s)\[logs.no-task\].*no task swap of it has begun"):
        launches.logs(stack, [launch.run_id, "swap"])
    with pytest.raises(CutoverError, match=r"\[run.unknown\]"):
        launches.review(stack, ["no-such-run"])
    another = document | {"review": document["review"] | {"fingerprint": "f" * 64}}
    with pytest.raises(CutoverError, match=r"\[approve.another-question\]"):
        launches._require_same(another, launch.form(), another)
    with pytest.raises(CutoverError, match=r"\[approve.no-window\]"):
        launches._window(another, {"comment": ""}, 30)
    with pytest.raises(CutoverError, match=r"(?s)\[api.refused\].*answered 403"):
        launches.approve(stack, [launch.run_id, "--yes", "--as", "auditor"])


def test_people_are_told_and_a_dead_mail_server_is_shown_and_stops_nothing(running: Running, launch: Run) -> None:
    (message,) = running.messages
    assert message["path"] == "/hooks/s3cret-part"
    assert message["review"] == f"{running.url}{launch.page}/review"
    assert message["answer"].endswith("/tasks/approve/required_actions")
    assert "approve the swap" in message["text"] and "@" not in message["text"]
    log, page = launch.log("approve"), running.ask("auditor", "GET", f"{launch.page}/review").text
    assert "nobody was told by email" in log and "Nobody was told by email" in page
    assert "told by webhook" in page
    assert "s3cret-part" not in log and "s3cret-part" not in page and "people@example.com" not in page


def test_a_link_that_marks_an_answer_gives_none_whoever_follows_it(running: Running, launch: Run) -> None:
    """Not even with the session of somebody who may approve, as a browser's preview would have it."""
    links = dict(line.split(": ", 1) for line in running.messages[0]["text"].splitlines() if "required_actions" in line)
    assert links["Approve"].startswith(links["Answer"] + "?")
    for address in links.values():
        assert running.ask("reviewer", "GET", address.removeprefix(running.url)).ok
    assert not launch.form()["response_received"]
    assert launch.task("approve")["state"] == "awaiting_input"


def test_nobody_begins_a_launch_by_materialising_an_asset(running: Running) -> None:
    assets = running.api("admin").get("assets?limit=500")["assets"]
    begun_by_it = [
        asset["id"] for asset in assets if {one["dag_id"] for one in asset["producing_tasks"]} == {"mula_unification"}
    ]
    refused = running.ask("admin", "POST", f"assets/{begun_by_it[0]}/materialize", {})
    assert refused.status_code == 400 and "does not allow asset materialization runs" in refused.text


def test_the_approval_has_a_link_to_the_review_while_it_waits(running: Running, launch: Run) -> None:
    links = running.api("reviewer").get(f"{launch.path}/taskInstances/approve/links")["extra_links"]
    assert links["Review"] == f"{running.url}{launch.page}/review"


@pytest.mark.parametrize("account", ["auditor", "operator", "admin"])
def test_who_may_not_answer_is_refused_and_the_question_stays_open(running: Running, launch: Run, account: str) -> None:
    """Two have no right to answer anything; the administrator has, and approves, but has triggered this run."""
    assert launch.form()["assigned_users"] == [running.account("reviewer")]
    assert launch.answer(account).status_code == 403
    assert launch.task("approve")["state"] == "awaiting_input"


def test_marking_the_gate_successful_does_not_open_it(launch: Run) -> None:
    assert launch.mark_success("approve").ok
    _refused(launch, "nobody has approved it", "wait")
    _swap_again(launch)
    _refused(launch, "nobody has approved it")


def test_a_forged_result_and_a_swap_run_alone_do_not_open_it(running: Running, launch: Run) -> None:
    forged = {
        "chosen_options": ["Approve"],
        "responded_by_user": {"id": "2", "name": "reviewer"},
        "params_input": {"fingerprint": launch.form("admin")["params"]["fingerprint"]["value"]},
    }
    path = f"{launch.path}/taskInstances/approve/xcomEntries"
    assert running.ask("operator", "POST", path, {"key": "return_value", "value": forged}).status_code == 403
    assert running.ask("admin", "POST", path, {"key": "return_value", "value": forged}).ok
    _swap_again(launch)
    _refused(launch, "nobody has approved it")


def test_the_approval_of_another_run_does_not_open_it(running: Running, launch: Run) -> None:
    _approve_in_database(running, launch, run="r_another")
    _swap_again(launch)
    _refused(launch, "nobody has approved it")


def test_the_approval_of_another_action_does_not_open_it(running: Running, launch: Run) -> None:
    _approve_in_database(running, launch, action="rollback")
    _swap_again(launch)
    _refused(launch, "nobody has approved it")


def test_an_expired_approval_does_not_open_it(running: Running, launch: Run) -> None:
    _approve_in_database(running, launch, decided_at=at("2025-01-01"))
    _swap_again(launch)
    _refused(launch, "its approval expired")


# Each kind of what an approval covers, with what takes the change back; every one of them alone, without Airflow, is in
# tests/swap/test_coverage.py. Two are tried here, all of them in the campaign.
CHANGES: dict[str, tuple[str, str | None]] = {
    "two values exchanged": (EXCHANGE, EXCHANGE_BACK),
    # past the trigger that keeps them as they were
    "the review's text": (
        f"{PAST} update cutover.run set review = jsonb_set(review, '{{tables,0,removed}}', '0'::jsonb)",
        None,
    ),
    "one row": (
        "update staging.unified_profiles set first_name = first_name || '!' "
        "where id = (select id from staging.unified_profiles where first_name is not null order by id limit 1)",
        "update staging.unified_profiles set first_name = rtrim(first_name, '!') where first_name like '%!'",
    ),
    "one column type": (
        "alter table staging.leads alter column locale type varchar(99)",
        "alter table staging.leads alter column locale type text",
    ),
    "one expectation result": (
        f"{PAST} update cutover.run set validation = jsonb_set(validation, '{{suites,0,evaluated}}', '99')",
        None,
    ),
    "a parameter": (f'{PAST} update cutover.run set parameters = parameters || \'{{"on_drift": "fail"}}\'', None),
    "what the swap reads beside": (
        "insert into cutover.made_account (account_id, run, email, created_at, user_metadata) "
        "values (gen_random_uuid(), 'r_another', 'another@example.com', now(), '{}')",
        "delete from cutover.made_account where run = 'r_another'",
    ),
}


@pytest.mark.parametrize("changed", list(CHANGES)[: None if IS_CAMPAIGN else 2])
def test_what_was_changed_after_the_approval_is_not_swapped(running: Running, launch: Run, changed: str) -> None:
    change, back = CHANGES[changed]
    stored = running.value("select to_jsonb(r)::text from cutover.run as r where run = %s", launch.key)
    _approve_in_database(running, launch)
    running.value(change)
    try:
        _swap_again(launch)
        _refused(launch, "it was changed after the approval")
    finally:
        running.value(back or "select 1")
        _void(running, launch)
        with psycopg.connect(running.dsn) as connection:
            connection.execute("set session_replication_role = replica")
            connection.execute(
                "update cutover.run as r set validation = s.validation, review = s.review, parameters = s.parameters "
                "from jsonb_populate_record(null::cutover.run, %s::jsonb) as s where r.run = s.run",
                (stored,),
            )


def _void(running: Running, launch: Run) -> None:
    """End an approval as the gate does it, so that the chain stays whole: the next question is not answered by it."""
    with psycopg.connect(running.dsn) as connection:
        approve.void_earlier(connection, launch.key, "swap", "the end of a test")


DEPLOYED = ("sql/clean_launch/swap/merge_users.sql", "expectations/clean_launch/leads.json")


@pytest.mark.parametrize("changed", DEPLOYED if IS_CAMPAIGN else DEPLOYED[:1])
def test_what_was_deployed_after_the_approval_is_not_run(running: Running, launch: Run, changed: str) -> None:
    file = running.include / changed
    reviewed = file.read_text()
    _approve_in_database(running, launch)
    file.write_text(reviewed + "\n")
    try:
        _swap_again(launch)
        launch.until("swap", "failed")
        assert "[swap.code-changed]" in launch.log("swap")
    finally:
        file.write_text(reviewed)
        _void(running, launch)


def test_an_approval_that_somebody_wrote_by_hand_does_not_open_it(running: Running, launch: Run) -> None:
    running.value(
        "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
        "decided_at, expires_at) select run, 'swap', 'approve', fingerprint, 'approve', 99, 'reviewer', now(), "
        "now() + interval '1 hour' from cutover.run where run = %s",
        launch.key,
    )
    try:
        _swap_again(launch)
        _refused(launch, "approval")
    finally:
        running.value(f"{PAST} delete from cutover.approvals where try_number = 99")


def test_nobody_is_asked_about_what_was_not_reviewed_and_what_was_shown_is_final(running: Running, launch: Run) -> None:
    """Staged data changed before the question is asked again; then somebody tries to have it reviewed anew."""
    running.value(
        "update staging.leads set locale = coalesce(locale, '') || '!' "
        "where id = (select id from staging.leads order by id limit 1)"
    )
    launch.clear("approve", "admin")
    launch.until("approve", "failed")
    assert "[approve.changed]" in launch.log("approve")
    stored = running.value("select review::text from cutover.run where run = %s", launch.key)
    for task_id in ("review.build", "validate.suites"):
        launch.clear(task_id, "admin")
        launch.until(task_id, "failed")
        assert "[run.asked]" in launch.log(task_id)
    assert running.value("select review::text from cutover.run where run = %s", launch.key) == stored
    running.value("update staging.leads set locale = nullif(rtrim(locale, '!'), '') where locale like '%!'")
    # What this task did is on record; its state, which nothing but Airflow believes, has to be put right. Airflow then
    # runs what had failed behind it: the question is asked again.
    launch.let_the_run_end()
    assert launch.mark_success("review.build", "admin").ok
    launch.until_asked()
    assert launch.form()["params"]["fingerprint"]["value"] == running.value(
        "select fingerprint from cutover.run where run = %s", launch.key
    )


def test_an_approved_launch_swaps_once_and_its_answer_is_final(running: Running, launch: Run) -> None:
    launch.clear("approve")
    launch.until_asked()
    # by a terminal, which shows it first
    stack = Stack(running.deployment.settings)
    assert (
        launches.approve(stack, [launch.run_id, "--yes", "--comment", "I have read all of it", "--revert", "45"]) == 0
    )
    assert launch.answer("reviewer", "Reject").status_code == 409
    launch.until("verify.certificate", "success")
    with pytest.raises(CutoverError, match=r"\[approve.nothing-asked\]"):
        launches.approve(stack, [launch.run_id, "--yes", "--reject"])
    row = (
        "select (approved_by, comment, consumed_at is not null)::text from cutover.approvals order by approval_id desc"
    )
    assert running.value(row) == '(reviewer,"I have read all of it",t)'
    assert running.value("select count(*) from cutover.ledger") == 1
    assert running.value("select approved_by from cutover.ledger") == "reviewer"
    assert running.value("select revert_minutes from cutover.approvals order by approval_id desc") == 45


def test_the_swap_has_started_a_watch_of_itself(running: Running, launch: Run) -> None:
    deadline = time.monotonic() + 120
    while not (result := running.api("admin").get("dags/launch_watch/dagRuns")["dag_runs"]):
        assert time.monotonic() < deadline, "no event of the swap has started it"
        time.sleep(1)
    watch = Run(running, "launch_watch", str(result[0]["dag_run_id"]))
    assert result[0]["run_type"] == "asset_triggered"
    watch.until("clean_launch.look", "up_for_reschedule")
    looks = "select string_agg(distinct name || ' ' || moment || ' ' || verdict, ', ') from cutover.watch"
    assert running.value(f"{looks} where run = %s", launch.key) == (
        "accounts baseline good, accounts watch good, revenue baseline good, revenue watch good"
    )
    page = running.ask("auditor", "GET", "/cutover/dags/clean_launch/watch").text
    assert "Accounts with a profile" in page and "looks</summary>" in page


def test_what_became_of_an_approved_launch_is_told_once_each_by_its_tasks(running: Running, launch: Run) -> None:
    kinds = [one["kind"] for one in running.messages if launch.key in one["text"] and "reviewer" in one["text"]]
    # those before are answers that other tests have given
    assert kinds[-2:] == ["approved", "swapped"] and kinds.count("swapped") == 1


def test_the_same_approval_is_not_used_a_second_time(running: Running, launch: Run) -> None:
    _swap_again(launch)
    launch.until("swap", "success")
    assert "nothing to swap" in launch.log("swap")
    fingerprint = running.value("select fingerprint from cutover.ledger")
    with psycopg.connect(running.dsn) as connection, pytest.raises(CutoverError, match="its approval was used at"):
        consumed.consume(connection, launch.key, "swap", fingerprint)


def test_a_rollback_needs_an_approval_of_its_own(running: Running, launch: Run) -> None:
    stored = "select to_jsonb(r)::text from cutover.run as r where run = %s"
    before = running.value(stored, launch.key)
    assert running.ask("operator", "POST", "dags/clean_launch/dagRuns",
                       {"logical_date": None, "dag_run_id": launch.run_id}).status_code == 409  # fmt: skip
    # an id that is taken elsewhere is another run all the same, and the evidence of the launch stays what it is
    rollback = running.trigger("clean_launch_rollback", run_id=launch.run_id)
    rollback.until_asked()
    assert rollback.key != launch.key and running.value(stored, launch.key) == before
    assert "These tables come back" in rollback.form()["body"]
    assert rollback.mark_success("approve").ok
    _refused(rollback, "nobody has approved it", "rollback")


def test_where_airflow_does_not_know_who_is_meant_the_gate_does(running: Running, launch: Run) -> None:
    """With names alone Airflow takes the administrator's answer; the gate does not, and the run ends.

    Of answers given at one moment one stands, and the others are told whose and which.
    """
    running.name_approvers("reviewer")
    rollback = running.trigger("clean_launch_rollback")
    rollback.until_asked()
    with ThreadPoolExecutor(16) as together:
        given = list(together.map(lambda turn: rollback.answer("admin", ("Approve", "Reject")[turn % 2]), range(16)))
    assert sorted({answer.status_code for answer in given}) == [200, 409]
    (stood,) = [answer.json() for answer in given if answer.ok]
    (option,) = stood["chosen_options"]
    for answer in given:
        if not answer.ok:
            assert re.match(f"admin answered {option} at 20.* That answer stands", answer.json()["detail"])
    assert rollback.form("admin")["chosen_options"] == [option]
    rollback.until("approve", "failed")
    said = {"Approve": "[approve.not-an-approver]", "Reject": "[approve.rejected]"}[option]
    assert said in rollback.log("approve")

    running.name_approvers("reviewer", "admin")
    rollback = running.trigger("clean_launch_rollback", "admin")
    rollback.until_asked()
    assert rollback.answer("admin").ok
    rollback.until("approve", "failed")
    assert "[approve.same-person]" in rollback.log("approve")


def test_a_run_that_only_its_own_trigger_could_approve_ends_at_once(running: Running) -> None:
    running.name_approvers(running.account("admin"))
    rollback = running.trigger("clean_launch_rollback", "admin")
    rollback.until("preview", "failed")
    assert "[approve.nobody-else]" in rollback.log("preview")
    running.name_approvers(running.account("reviewer"))


def test_a_question_that_nobody_answers_in_time_fails_the_run(running: Running) -> None:
    rollback = running.trigger("clean_launch_rollback")
    rollback.until_asked()
    rollback.let_time_run_out("approve")
    rollback.until("approve", "failed")
    assert "[approve.expired]" in rollback.log("approve")
    rollback.until("rollback", "upstream_failed")


def test_a_failed_validation_that_is_marked_successful_is_not_asked_about(running: Running) -> None:
    run = running.trigger("clean_launch", "admin", **{**running.conf, "minimum_profiles": 1_000_000})
    run.until("validate.suites", "failed")
    run.let_the_run_end()
    assert run.mark_success("validate.suites").ok
    run.clear("review.rehearse", "admin")
    run.until("review.rehearse", "failed")
    assert "[review.not-validated]" in run.log("review.rehearse")
    run.let_the_run_end()
    assert run.mark_success("review.rehearse").ok and run.mark_success("review.probe").ok
    run.clear("review.build", "admin")
    run.until("review.build", "failed")
    assert "[review.not-validated]" in run.log("review.build")
    run.until("approve", "upstream_failed")


def _change_in_the_middle_of_the_review(running: Running, run: Run) -> None:
    """Change every row of a staged table between what the review counts and the fingerprint that it takes."""
    reads = (
        "select count(*) from pg_locks as l join pg_stat_activity as a using (pid) "
        "where l.relation = to_regclass('staging.affiliates') and a.application_name like '%review.build%' "
        # it has its snapshot, too
        "and a.backend_xmin is not null"
    )
    run.until("validate.suites", "success")
    deadline = time.monotonic() + 60
    with psycopg.connect(running.dsn, autocommit=True) as somebody:
        while somebody.execute(reads.encode()).fetchone() == (0,):
            assert time.monotonic() < deadline, "the review has not begun"
        somebody.execute("update staging.affiliates set total_earned = total_earned + 1")


@pytest.fixture
def given_up(running: Running) -> Iterator[Run]:
    """A run that is in nobody's way afterwards: Airflow has one of a DAG at a time."""
    started = running.trigger("clean_launch", "admin", **running.conf)
    yield started
    started.give_up()


def test_a_run_that_is_marked_failed_while_its_question_waits_lets_the_next_one_go_on(
    running: Running, given_up: Run
) -> None:
    _change_in_the_middle_of_the_review(running, given_up)
    given_up.until("approve", "failed")
    assert "[approve.changed]" in given_up.log("approve"), "nobody is asked with figures of two moments"
    running.value("update staging.affiliates set total_earned = total_earned - 1")
    given_up.clear("approve", "admin")
    given_up.until_asked()
    staged = running.value(STAGED)
    after = running.trigger("clean_launch", "admin", **running.conf)
    try:
        # a run of another DAG would wait in the engine (tests/phase/test_tasks.py)
        assert running.api("admin").get(after.path)["state"] == "queued"
        assert running.value(STAGED) == staged
        given_up.give_up()
        after.until_asked()
        given_up.answer("reviewer")  # Airflow keeps it, and no task of a run that has ended takes it
        time.sleep(SECONDS_FOR_AN_ANSWER)
        assert running.value("select count(*) from cutover.approvals where run = %s", given_up.key) == 0
        _require_looked_at(running, after)
    finally:
        after.give_up()


def _require_looked_at(running: Running, waits: Run) -> None:
    """While its question waits, what comes into its way is found, told once, and shown, without anybody looking."""
    before = len(running.messages)
    running.value("create table public.keepsakes (payment public.transactions)")
    try:
        for _ in range(2):
            look = running.trigger("outlook")
            look.until("clean_launch", "success")
            assert "swap.row-type-column" in look.log("clean_launch")
    finally:
        running.value("drop table public.keepsakes")
    (row,) = [one for one in running.messages[before:] if "swap.row-type-column" in one["text"]]
    assert waits.key in row["text"] and row["answer"].endswith("/tasks/approve/required_actions")
    look = running.trigger("outlook")
    look.until("clean_launch", "success")
    assert "Nothing stands in the way" in running.messages[-1]["text"]
    page = running.ask("auditor", "GET", f"{waits.page}/review").text
    assert "What stood in the way while the question waited" in page and "swap.row-type-column" in page
    look.until("mula_unification", "skipped")  # nobody is asked about one


@pytest.fixture
def walk(running: Running) -> Iterator[Run]:
    """A run that is in nobody's way afterwards, however its test has ended."""
    started = running.trigger("clean_launch", "admin", **running.conf)
    yield started
    started.give_up()


@pytest.mark.timeout(600 + 60 * STEPS)
@pytest.mark.parametrize("end", ENDS)
def test_no_order_of_marks_and_clears_makes_a_question_of_what_is_not_there(
    running: Running, walk: Run, end: str
) -> None:
    """Tasks of a run are marked successful and cleared at random: who is asked then, is asked about what is staged.

    In the end the capture is off for a moment while the question waits, and the answer finds it; or production becomes
    what was shown.
    """
    drawn = random.Random(os.environ.get("CUTOVER_SEED", "20261126") + end)
    walk.until("freeze.snapshot", "success")
    assert walk.mark_success("validate.suites", "admin").ok  # before it has run
    walk.until("approve", "upstream_failed")
    # the first that is missing is named: nothing was validated, and not even staged
    assert re.search(r"review.rehearse: \[review\.(not|no)-[a-z]+\]", walk.failures()), walk.failures()
    # a task that ends in the moment in which it is cleared waits for Airflow's own time-out, for five minutes
    walk.settle()
    # the capture, whose task was successful, is ended by hand, and a new snapshot taken without it
    running.value("drop trigger cutover_capture on public.transactions")
    walk.clear("freeze.snapshot", "admin")
    walk.settle()
    assert re.search(r"\[(freeze\.not-captured|swap\.capture-gap)\]", walk.failures()), walk.failures()
    assert walk.task("approve")["state"] == "upstream_failed"
    tasks = [
        task["task_id"] for task in walk.tasks() if re.match("freeze|transform|validate|review|swap", task["task_id"])
    ]
    production = _production(running)
    for _ in range(STEPS):
        task_id, downstream = drawn.choice(tasks), drawn.random() < 0.5
        if drawn.random() < 0.5:
            walk.mark_success(task_id, "admin")
        else:
            walk.clear_blindly(task_id, downstream=downstream)
        walk.settle()
        if walk.task("approve")["state"] == "awaiting_input":
            _require_shown(running, walk)
        assert _production(running) == production
    if running.value("select asked_at is null from cutover.run where run = %s", walk.key):
        walk.clear("freeze.capture", "admin")
        walk.until_asked()
        _require_shown(running, walk)
    if walk.task("approve")["state"] != "awaiting_input":
        return  # it was asked about, and has ended since: nothing more can come of it
    if end == "approved":
        staged = _rows(running, walk, "staging")
        assert walk.answer("reviewer").ok
        walk.until("swap", "success")
        assert _rows(running, walk, "public") == staged
        return
    running.value(
        "alter table public.transactions disable trigger all; alter table public.transactions enable trigger all"
    )
    assert walk.answer("reviewer").ok
    walk.until("approve", "failed")
    assert "[swap.capture-gap]" in walk.log("approve")
    assert _production(running) == production


def _production(running: Running) -> str:
    """Which tables production has, and what is in them."""
    digests = ", ".join(
        f"(select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) from {table} as t)"
        for table in ("public.unified_profiles", "public.transactions", "public.enrollments", "auth.users")
    )
    return str(running.value(f"select concat_ws(', ', {digests})"))


def _stored(running: Running, run: Run) -> dict[str, Any]:
    """What the engine has written down about a run."""
    row = running.value("select to_jsonb(r)::text from cutover.run as r where run = %s", run.key)
    return dict(json.loads(row))


def _rows(running: Running, run: Run, schema: str) -> dict[str, Any]:
    """Of each table that the run stages, every row, by its key, in the order of its columns' names."""
    return {
        table["name"]: running.value(
            "select jsonb_agg(to_jsonb(t) order by t.id::text)::text from " + schema + "." + table["name"] + " as t"
        )
        for table in _stored(running, run)["review"]["tables"]
        if "." not in table["name"]  # accounts are merged into those that there are
    }


def _require_shown(running: Running, run: Run) -> None:
    """What the form shows is what is staged at this moment, value by value, and all of it was validated."""
    run.until_asked()
    stored = _stored(running, run)
    assert run.form()["params"]["fingerprint"]["value"] == stored["fingerprint"]
    with psycopg.connect(running.dsn) as connection:
        assert review.fingerprint_of(connection, MIGRATION, get_run(connection, run.key)) == stored["fingerprint"]
    for table in stored["review"]["tables"]:
        staged = "users" if "." in table["name"] else table["name"]
        rows = running.value(f"select count(*) from staging.{staged}")
        assert rows == table["after"] or "." in table["name"], table
    assert stored["validation"]["success"] and stored["validation"]["suites"]


# With a browser

browser_wanted = pytest.mark.skipif(
    shutil.which("chromium") is None, reason="there is no Chromium here: apt-get install chromium"
)


class Person:
    """Somebody with a browser, signed in as one account. Keeps every address that was asked for."""

    def __init__(self, browser: Any, running: Running, account: str) -> None:
        self.running = running
        self.asked: list[str] = []
        self.errors: list[str] = []
        context = browser.new_context(viewport={"width": 1400, "height": 880}, reduced_motion="reduce")
        context.on("request", lambda request: self.asked.append(request.url))
        self.page = context.new_page()
        self.page.set_default_timeout(45_000)
        self.page.on("console", self._listen)
        self.page.goto(f"{running.url}/auth/login/")
        self.page.fill("#username", account)
        self.page.fill("#password", running.password(account))
        self.page.locator("[type=submit]").first.click()
        self.page.wait_for_url(lambda address: "/auth/login" not in address)

    def _listen(self, said: Any) -> None:
        """Keep what our own pages complain of (a blocked script, a missing file); Airflow's are not ours to mend."""
        if said.type == "error" and ("/cutover/" in said.location["url"] or "Content Security Policy" in said.text):
            self.errors.append(said.text)

    def open(self, path: str) -> Any:
        """Go to an address of the deployment."""
        self.page.goto(self.running.url + path)
        return self.page

    def picture(self, name: str) -> None:
        """Keep what is seen, where pictures are wanted."""
        folder = pictures()
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.wait_for_load_state("networkidle")
            self.page.screenshot(path=folder / f"{name}.png")


@pytest.fixture
def person(running: Running) -> Iterator[Any]:
    """Makes a Person; at the end no request of theirs has left the machine."""
    from playwright.sync_api import sync_playwright

    people: list[Person] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        def sign_in(account: str) -> Person:
            people.append(Person(browser, running, account))
            return people[-1]

        yield sign_in
        browser.close()
    outside = [
        url for one in people for url in one.asked if not url.startswith((running.url, "data:", "blob:", "about:"))
    ]
    assert not outside


@pytest.fixture(scope="module")
def second(running: Running) -> dict[str, Run]:
    """The launch that people make with the browser."""
    return {}


@browser_wanted
def test_an_operator_triggers_by_the_form_and_reads_the_review(
    running: Running, person: Any, second: dict[str, Run]
) -> None:
    operator = person("operator")
    page = operator.open("/dags/clean_launch")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Fewest profiles to accept").wait_for()
    for name, value in running.conf.items():
        page.locator(f"[name=element_{name}]").fill(str(value))
    page.get_by_role("button", name="Trigger").last.click()
    page.wait_for_url("**/runs/**")
    newest = running.api("operator").get("dags/clean_launch/dagRuns", order_by="-run_after", limit=1)["dag_runs"][0]
    second["launch"] = Run(running, "clean_launch", newest["dag_run_id"])
    second["launch"].until_asked()
    page = operator.open(f"{second['launch'].path.replace('/dagRuns/', '/runs/').join(['/', ''])}")
    page.locator("a[href$='plugin/cutover-review']").click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Every source row is accounted for").wait_for()
    assert frame.get_by_text("Tasks and logs").count() == 0
    operator.picture("review-tab")
    page = operator.open(f"{second['launch'].page}/review")
    page.get_by_role("heading", name="Warnings").wait_for()
    operator.picture("review")
    page.get_by_role("link", name="Launches").click()
    page.get_by_text(second["launch"].key).wait_for()
    operator.picture("launches")
    assert not operator.errors


@browser_wanted
def test_a_launch_approved_by_a_reviewers_click_is_done(running: Running, person: Any, second: dict[str, Run]) -> None:
    launch = second["launch"]
    reviewer = person("reviewer")
    page = reviewer.open(f"/{launch.path.replace('/dagRuns/', '/runs/')}/tasks/approve/required_actions")
    page.get_by_role("link", name="The whole review").wait_for()
    reviewer.picture("approval")
    page.get_by_role("textbox").first.fill("All figures are as expected")
    page.get_by_role("button", name="Approve", exact=True).click()
    launch.until("verify.certificate", "success")
    launch.until("verify.suites", "success")
    assert running.value("select comment from cutover.approvals order by approval_id desc") == (
        "All figures are as expected"
    )
    page = reviewer.open(f"/{launch.path.replace('/dagRuns/', '/runs/')}")
    page.get_by_text("verify").first.wait_for()
    page.get_by_role("radio", name="Graph").or_(page.get_by_label("Show Graph")).first.click()
    page.locator(".react-flow__node").first.wait_for()
    page.wait_for_timeout(2_000)
    reviewer.picture("graph")


@browser_wanted
def test_an_auditor_reads_data_docs_ledger_and_origin_and_can_change_nothing(
    running: Running, person: Any, second: dict[str, Run]
) -> None:
    launch = second["launch"]
    auditor = person("auditor")
    page = auditor.open(f"/{launch.path.replace('/dagRuns/', '/runs/')}/plugin/cutover-data-docs")
    frame = page.frame_locator("iframe")
    frame.get_by_text("As it was written").first.wait_for()
    frame.get_by_role("link", name="unified_profiles").last.click()
    frame.get_by_text("expect", exact=False).first.wait_for()
    page.wait_for_timeout(1_000)
    auditor.picture("data-docs")
    assert not auditor.errors, auditor.errors
    page = auditor.open("/cutover/ledger")
    page.get_by_text("The chain is whole").wait_for()
    auditor.picture("ledger")
    page.get_by_role("link", name=str(running.value("select max(entry) from cutover.ledger")), exact=True).click()
    page.get_by_text("as written").wait_for()
    assert page.get_by_text("All figures are as expected").count() == 1
    auditor.picture("ledger-entry")
    invoice = running.value("select xendit_invoice_id from public.transactions where xendit_invoice_id is not null")
    page.get_by_role("link", name="Why is this row here?").click()
    page.select_option("select", "transactions")
    page.fill("[name=value]", invoice)
    page.get_by_role("button", name="Why?").click()
    page.get_by_text("behind it").wait_for()
    auditor.picture("why")
    assert launch.mark_success("swap", "auditor").status_code == 403
    assert (
        running.ask("auditor", "POST", "dags/clean_launch_rollback/dagRuns", {"logical_date": None}).status_code == 403
    )


@browser_wanted
def test_an_operator_previews_a_rollback(running: Running, person: Any, second: dict[str, Run]) -> None:
    person_id = running.value("select id from public.unified_profiles order by id limit 1")
    running.value("update public.unified_profiles set phone = '+63 917 000 0000' where id = %s", person_id)
    operator = person("operator")
    page = operator.open("/cutover/dags/clean_launch/rollback")
    page.get_by_text("public.unified_profiles").last.wait_for()
    rollback = running.trigger("clean_launch_rollback")
    rollback.until_asked()
    page = operator.open(f"{rollback.page}/review")
    page.get_by_text(f"It takes back run {second['launch'].key}").wait_for()
    operator.picture("rollback-preview")
    assert rollback.answer("reviewer", "Reject").ok
    rollback.until("approve", "failed")
    assert "[approve.rejected]" in rollback.log("approve")
    assert not operator.errors
