"""What people are told, once each: by a notifier of Airflow's, whatever it does, and by a webhook that listens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, ClassVar

import psycopg
import pytest
from airflow.sdk import BaseNotifier

from cutover import notices
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.base import connect_to, fail
from cutover.operators.links import filled_in

from .tiny import NAME, TASKS, World

TIME_OUT = {"error": "nobody has answered", "error_type": "timeout"}


class Recorder(BaseNotifier):
    """Keeps what it was called with."""

    template_fields = ("text",)
    calls: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, text: str = "{{ notice.kind }}: {{ notice.subject }}") -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        """Note the rendered text, and what else there was."""
        self.calls.append((self.text, dict(context)))


class Broken(BaseNotifier):
    """Raises with what nobody may read."""

    broken: ClassVar[bool] = True

    def notify(self, context: Any) -> None:
        """As a client of a chat does whose address has the secret in it."""
        if self.broken:
            raise ConnectionError("https://hooks.example.com/s3cret does not answer")


class Hanging(BaseNotifier):
    """Does not come back until it is let go."""

    let_go: ClassVar[threading.Event] = threading.Event()
    kinds: ClassVar[list[str]] = []

    def notify(self, context: Any) -> None:
        """Hang."""
        self.kinds.append(context["notice"]["kind"])
        self.let_go.wait()


class Doing(Recorder):
    """Does something while it tells of the kind that this is keyed by, and fails if that returns a reason."""

    while_telling: ClassVar[dict[str, Callable[[], str | None]]] = {}

    def notify(self, context: Any) -> None:
        """Note the message, and do it."""
        super().notify(context)
        if done := self.while_telling.pop(context["notice"]["kind"], None):
            assert done() is None


@pytest.fixture
def calls() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What `Recorder` was called with."""
    Recorder.calls.clear()
    yield Recorder.calls
    Recorder.calls.clear()
    Doing.while_telling.clear()


@pytest.fixture
def notified(reviewed: World, settings: pytest.MonkeyPatch, calls: list[Any]) -> World:
    """A world whose tasks tell, to one configured notifier; its run waits to be asked about."""
    configure(settings)
    reviewed.tells = True
    return reviewed


def configure(settings: pytest.MonkeyPatch, *classes: str, **more: Any) -> None:
    """Set the variable that says who is told."""
    named = [{"class": f"{__name__}.{name}"} for name in classes or ("Recorder",)]
    settings.setenv("AIRFLOW_VAR_CUTOVER_NOTICES", json.dumps({"notifiers": named, **more}))


def kinds(calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    """Of the messages, in their order."""
    return [text.partition(":")[0] for text, _ in calls]


def asked(world: World) -> Any:
    """A run whose question waits."""
    run = world.run("manual__1")
    assert run.do("approve") == "waiting"
    return run


def later(world: World, minutes: float) -> None:
    """As if so much time had passed since the question; its task's clock may say what it likes."""
    world.execute(
        "set session_replication_role = replica",
        f"update cutover.phase set recorded_at = recorded_at - interval '{minutes} minutes' where step = 'question'",
        f"update cutover.event set noted_at = noted_at - interval '{minutes} minutes'",
    )


def test_a_launch_is_told_from_its_question_to_its_swap_each_once_whatever_is_cleared(
    notified: World, calls: list[Any]
) -> None:
    run = asked(notified)
    assert run.do("approve") == "waiting", "cleared: the same question"
    assert kinds(calls) == ["asked"]
    notice = calls[0][1]["notice"]
    assert calls[0][1]["dag_run"].run_id == "manual__1", "the question's context"
    assert "people: 1 → 2 rows" in notice["lines"]
    assert run.answer() is None and run.do("swap") is None
    assert run.do("approve") is None and run.do("swap") is None, "cleared"
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "approved", "swapped"]
    assert "reviewer has approved the swap" in calls[1][0]
    assert "Clients waited" in calls[2][1]["notice"]["text"]
    assert notified.value("select count(*) from cutover.delivery where delivered_at is not null and tries = 1") == 3


def test_links_mark_an_answer_and_never_give_one() -> None:
    event = notices.Event(NAME, "asked", "r 1", NAME, "approve?", (), "r", "manual__1", "approve")
    links = dict(notify.message_of(event).links)
    assert links["Approve"] == f"{links['Answer']}?_options=%5B%22Approve%22%5D"
    assert links["Reject"] == filled_in(links["Answer"], "Reject")
    assert set(links) == {"Review", "Answer", "Approve", "Reject"}
    assert all("/required_actions" in links[text] for text in ("Answer", "Approve", "Reject"))


def test_notifiers_that_raise_or_hang_stop_nothing_and_are_written_down(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    settings.setattr(notify, "PATIENCE_S", 0.3)
    configure(settings, "Hanging", "Broken", "Recorder")
    run = asked(notified)
    assert run.answer() is None and run.do("swap") is None
    assert kinds(calls) == ["asked", "approved", "swapped"]
    errors = notified.value("select jsonb_object_agg(split_part(way, '#', 1), error) from cutover.delivery")
    assert errors == {
        f"{__name__}.Hanging": "no answer within 0 s",
        f"{__name__}.Broken": "ConnectionError",
        f"{__name__}.Recorder": None,
    }
    assert notified.value("select count(*) from cutover.notice where action = 'asked' and channel = 'notifier'") == 3
    assert notified.value("select count(*) from cutover.notice where error like '%s3cret%'") == 0
    notified.look(), notified.look(), notified.look()
    Hanging.let_go.set()
    assert Hanging.kinds == ["asked", "approved", "swapped", "approved", "swapped"], "once more: it may have told"
    assert notified.value("select max(tries) from cutover.delivery where way like '%Broken%'") == 4
    assert kinds(calls) == ["asked", "approved", "swapped"]


def test_what_could_not_be_sent_is_tried_again_by_the_next_look_and_then_no_more(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    configure(settings, "Broken")
    asked(notified)
    state = "select to_jsonb(d) - 'claimed_until' from cutover.delivery as d"
    assert (notified.value(state)["tries"], notified.value(state)["delivered_at"]) == (1, None)
    notified.look()
    assert notified.value(state)["tries"] == 2
    settings.setattr(Broken, "broken", False)
    notified.look(), notified.look()
    assert notified.value(state)["tries"] == 3 and notified.value(state)["delivered_at"] is not None
    assert notified.value(state)["error"] is None


def test_a_notifier_is_told_of_the_kinds_that_it_is_for(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    listed = [{"class": f"{__name__}.Recorder", "arguments": {"text": "{{ notice.kind }}"}, "of": ["swapped"]}]
    settings.setenv("AIRFLOW_VAR_CUTOVER_NOTICES", json.dumps({"notifiers": listed * 2}))
    run = asked(notified)
    assert run.answer() is None and run.do("swap") is None
    assert [text for text, _ in calls] == ["swapped"], "listed twice, too"


def test_a_target_that_goes_between_the_message_and_its_record_is_told_again_and_stops_nothing(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    name = notified.dsn.rpartition("/")[2]
    elsewhere = World(notified.dsn.replace(name, "postgres"))

    def let_in(anybody: bool) -> None:
        elsewhere.execute(f"alter database {name} allow_connections {anybody}")

    configure(settings, "Doing")
    run = asked(notified)
    Doing.while_telling["approved"] = lambda: let_in(False)
    assert run.answer() is None, "the answer is taken, whatever becomes of telling it"
    assert "[connect.unreachable]" in notified.look(), "and skips"
    assert run.do("swap") is not None, "nor does its failure raise for being told"
    let_in(True)
    notified.look()
    assert kinds(calls) == ["asked", "approved"], "whoever had it has it for some time"
    notified.execute("update cutover.delivery set claimed_until = clock_timestamp() where delivered_at is null")
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "approved", "approved"]


def test_each_way_is_written_down_when_it_has_ended_and_waits_for_no_other(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    """So that whatever ends the process meanwhile has nobody told again."""

    def until_the_other_is_on_record() -> str | None:
        for _ in range(500):
            if notified.value("select count(*) from cutover.delivery where delivered_at is not null"):
                return None
        return "it waits for this one"

    configure(settings, "Doing", "Recorder")
    Doing.while_telling["asked"] = until_the_other_is_on_record
    asked(notified)
    assert notified.value("select count(*) from cutover.delivery where delivered_at is not null") == 2


def test_what_a_task_has_no_time_to_tell_is_left_to_the_next_look(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    settings.setattr(notify, "AFTER_TASK_S", 0)
    run = asked(notified)
    assert run.answer() is None
    assert kinds(calls) == ["asked"]
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "approved"]


def test_a_question_that_its_task_could_not_tell_anybody_of_is_told_by_the_next_look(
    notified: World, calls: list[Any]
) -> None:
    notified.execute("alter table cutover.event rename to not_there")
    asked(notified)
    notified.execute("alter table cutover.not_there rename to event")
    notified.look()
    assert calls == [], "its task may be about to"
    later(notified, 3)
    notified.look(), notified.look()
    ((text, context),) = calls
    assert text.startswith("asked: tiny: the swap of run") and "Approve" in context["notice"]["links"]


def test_nobody_is_reminded_of_a_question_that_is_answered_meanwhile(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    configure(settings, "Doing")
    run = asked(notified)
    later(notified, 31)

    def answer_and_fail() -> str:
        assert run.answer() is None
        return "and the reminder does not get through"

    Doing.while_telling["reminder"] = answer_and_fail
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "reminder", "approved"]


def test_nobody_is_reminded_of_a_question_that_is_answered_between_look_and_claim(
    notified: World, calls: list[Any]
) -> None:
    run = asked(notified)
    later(notified, 31)
    migration, connect = load(NAME), connect_to("production", "a test")
    with psycopg.connect(notified.dsn) as connection:
        events = notices.look(connection, migration, notices.Limits(), lambda *_: "running")
    assert [event.kind for event in events] == ["reminder"]

    def answer(event: notices.Event) -> notify.Around:
        if event.kind == "reminder":
            assert run.answer() is None
        return notify.Around()

    notify.deliver(connect, migration, lambda _: None, again=True, around=answer)
    notified.look()
    assert kinds(calls) == ["asked", "approved"]


def test_two_who_look_at_once_tell_once_and_a_dead_one_s_claim_ends(notified: World, calls: list[Any]) -> None:
    run = notified.run("manual__1")
    migration = load(NAME)
    event = notices.Event(NAME, "failed", "once", NAME, "once", ("a line",), run.key, "manual__1")
    with psycopg.connect(notified.dsn) as first, psycopg.connect(notified.dsn) as second:
        assert notices.add(first, event)
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(notices.add, second, event)
            first.commit()
            assert other.result() is False
    connect = connect_to("production", "a test")
    barrier = threading.Barrier(4)

    def deliver(_: int) -> None:
        barrier.wait()
        notify.deliver(connect, migration, lambda _: None, again=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(deliver, range(4)))
    assert [text for text, _ in calls] == ["failed: once"]
    # one that has claimed and died
    notified.execute(
        "update cutover.delivery set delivered_at = null, claimed_until = clock_timestamp() + interval '1 h'"
    )
    deliver_again = lambda: notify.deliver(connect, migration, lambda _: None, again=True)  # noqa: E731
    deliver_again()
    assert len(calls) == 1
    notified.execute("update cutover.delivery set claimed_until = clock_timestamp() - interval '1 s'")
    deliver_again()
    assert len(calls) == 2


def test_a_question_is_reminded_of_once_before_each_end_by_the_database_s_clock(
    notified: World, calls: list[Any]
) -> None:
    run = asked(notified)
    notified.look()
    assert kinds(calls) == ["asked"]
    notified.execute(
        "set session_replication_role = replica",
        # whatever the clock of the worker said when it asked
        "update cutover.phase set result = result || jsonb_build_object('until', clock_timestamp() + interval '3 h') "
        "where step = 'question'",
    )
    later(notified, 31)
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "reminder"]
    assert "still waits for an answer" in calls[1][0] and "Approve" in calls[1][1]["notice"]["links"]
    assert run.do("approve") == "waiting", "cleared: the same question, with another end"
    notified.look()
    assert kinds(calls) == ["asked", "reminder"]
    later(notified, 31)
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "reminder", "reminder"]


def test_nobody_is_reminded_of_what_is_over(notified: World, calls: list[Any]) -> None:
    run = asked(notified)
    later(notified, 61)
    notified.look()
    assert kinds(calls) == ["asked"], "its time had passed before anybody looked"
    later(notified, -20)
    notified.ended.add("manual__1")
    notified.look()
    assert kinds(calls) == ["asked"], "its task may be about to say why; and its run has ended in Airflow"
    later(notified, 2)
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "failed"]
    assert "No task of it has said why" in calls[1][1]["notice"]["text"]
    assert run.key in calls[1][0]


def test_a_run_that_has_failed_before_its_task_says_why_is_told_once(notified: World, calls: list[Any]) -> None:
    notified.tells = False
    notified.execute("update staging.people set amount = amount + 1")
    run = notified.run("manual__1")
    assert "[approve.changed]" in str(run.do("approve"))
    notified.ended.add("manual__1")
    notified.look()
    notified.tells = True
    assert run.do("approve") is not None
    notified.execute("update cutover.event set noted_at = noted_at - interval '2 minutes'")
    notified.look()
    assert kinds(calls) == ["failed"] and "[approve." in calls[0][1]["notice"]["text"]


def test_a_question_that_is_asked_again_after_its_answer_has_expired_is_another_one(
    notified: World, calls: list[Any]
) -> None:
    run = asked(notified)
    assert run.answer() is None
    notified.execute(
        "set session_replication_role = replica",
        "update cutover.approvals set expires_at = decided_at, decided_at = decided_at - interval '1 hour'",
    )
    assert run.do("approve") == "waiting" and run.answer() is None
    assert kinds(calls) == ["asked", "approved"] * 2


def test_an_expired_question_is_told_as_that_and_no_failure(notified: World, calls: list[Any]) -> None:
    run = asked(notified)
    assert "[approve.expired]" in str(run.resume(run.gate, TIME_OUT))
    notified.ended.add("manual__1")
    notified.look()
    assert kinds(calls) == ["asked", "expired"]
    assert "nobody has answered about the swap of run" in calls[1][0]


def test_a_rejection_is_told_without_its_comment(notified: World, calls: list[Any]) -> None:
    run = asked(notified)
    assert "[approve.rejected]" in str(run.answer("Reject"))
    notified.look()
    assert kinds(calls) == ["asked", "rejected"]


def test_a_failed_run_is_told_with_task_code_and_remedy_and_no_row(notified: World, calls: list[Any]) -> None:
    notified.execute("update raw.people set amount = -1, name = 'ana@example.com' where id = 2")
    run = notified.run("manual__2")
    assert "[validate.failed]" in str(run.until("validate.suites"))
    assert run.do("validate.suites") is not None, "cleared, with the same cause"
    notified.ended.add("manual__2")
    notified.look()
    ((text, context),) = calls
    assert text == f"failed: {NAME}: run {run.key} has failed in validate.suites"
    said = context["notice"]["text"]
    assert "[validate.failed]" in said and "To clear it: " in said and "docs/errors.md#validatefailed" in said
    assert "ana" not in said and "/runs/manual__2" in said


def test_notifiers_passed_to_the_gate_are_told_of_the_question_alone(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    settings.delenv("AIRFLOW_VAR_CUTOVER_NOTICES")
    notified.passed = [Recorder("{{ notice.kind }}: {{ params.on_drift }}")]
    run = asked(notified)
    assert run.answer() is None and run.do("swap") is None
    assert [text for text, _ in calls] == ["asked: carry", "approved: carry"]


def test_a_reminder_reaches_notifiers_that_a_dag_file_passes(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any], tmp_path: Any
) -> None:
    settings.delenv("AIRFLOW_VAR_CUTOVER_NOTICES")
    file = tmp_path / "tiny_dag.py"
    file.write_text(
        "# an Airflow DAG\n"
        "from cutover.operators.launch import launch\n"
        f"from {__name__} import Recorder\n"
        f"dag = launch('{NAME}', notifiers=[Recorder()])\n"
    )
    notified.passed = [Recorder()]
    asked(notified)
    assert kinds(calls) == ["asked"]
    notified.execute(
        "set session_replication_role = replica",
        f"update cutover.phase set result = result || jsonb_build_object('dag_file', '{file}') where step = 'question'",
    )
    later(notified, 31)
    notified.look(), notified.look()
    assert kinds(calls) == ["asked", "reminder"]
    file.write_text("raise SystemError")
    notified.execute("delete from cutover.delivery")
    notified.look()
    assert len(calls) == 2


def _sync_failed(world: World, hours_ago: float, code: str = "extract.gave-up") -> None:
    """A scheduled sync that has failed, as its callback writes it down."""
    error = CutoverError(code, "an API", "it says ana@example.com.", "wait for the API.")
    task = TASKS["preflight.check"]()
    task.task_id = "extract.things"
    dag_run = SimpleNamespace(dag_id="raw_sync", run_id=f"scheduled__{hours_ago}", run_type="scheduled", conf={})
    for callback in task.on_failure_callback:
        callback({"task": task, "dag_run": dag_run, "exception": fail(error)})
    world.execute(
        f"update cutover.failure set failed_at = failed_at - interval '1 hour' * {hours_ago} "
        "where failure_id = (select max(failure_id) from cutover.failure)"
    )


def test_a_sync_that_fails_for_hours_is_told_when_it_begins_and_when_it_is_well_again(
    notified: World, calls: list[Any]
) -> None:
    _sync_failed(notified, 2)
    notified.look()
    assert calls == [], "not for hours yet, and no run that somebody has triggered"
    _sync_failed(notified, 4)
    notified.look(), notified.look()
    _sync_failed(notified, 0)
    notified.look()
    assert kinds(calls) == ["sync_failing"]
    (line,) = calls[0][1]["notice"]["lines"]
    assert "extract.things: 2 times since" in line and "[extract.gave-up]. To clear it: wait for the API." in line
    well = (
        "insert into cutover.sync (source, mode, state, because, api, account, declaration, until, finished_at) "
        "values ('things', 'full', 'complete', '', '', '', '', now(), clock_timestamp())"
    )
    notified.execute(well)
    notified.look(), notified.look()
    assert kinds(calls) == ["sync_failing", "sync_well"]
    _sync_failed(notified, 0)
    notified.execute(well)
    notified.look()
    assert kinds(calls) == ["sync_failing", "sync_well"], "it did not fail for hours"


def test_growing_backups_are_told_by_age_and_by_size_once_each(
    notified: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    for number in (1, 2):
        run = asked(notified) if number == 1 else notified.run(f"manual__{number}")
        assert number == 1 or run.until("approve") is None
        assert run.answer() is None and run.do("swap") is None and run.do("verify.certificate") is None
    calls.clear()
    notified.look()
    assert calls == []
    configure(settings, backups_gb=1e-6)
    notified.look(), notified.look()
    assert kinds(calls) == ["backups"] and "GB" in calls[0][0]
    configure(settings)
    notified.execute(
        "set session_replication_role = replica",
        "update cutover.ledger set recorded_at = recorded_at - interval '31 days' where entry = 1",
    )
    notified.look(), notified.look()
    assert kinds(calls) == ["backups"] * 2 and "1 backups are older than 30 days" in calls[1][0]


def test_nothing_is_told_of_a_target_where_nothing_is_installed(
    world: World, settings: pytest.MonkeyPatch, calls: list[Any]
) -> None:
    configure(settings)
    world.tells = True
    assert "nobody is asked" in world.look()
    assert "[run.unknown]" in str(world.run("manual__1").do("freeze.capture"))
    assert calls == []


def test_the_webhook_gets_the_message_and_an_upgrade_tells_no_old_news(
    reviewed: World, settings: pytest.MonkeyPatch
) -> None:
    posts: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    run = asked(reviewed)
    assert run.answer() is None and run.do("swap") is None
    assert reviewed.value("select count(*) from cutover.event where kind <> 'asked'") == 0, "no callback was called"
    later(reviewed, 2880)
    reviewed.execute(
        "set session_replication_role = replica",
        "update cutover.approvals set recorded_at = recorded_at - interval '2 days'",
        "update cutover.run set started_at = started_at - interval '2 days'",
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        webhook = {"conn_type": "http", "host": f"http://127.0.0.1:{server.server_port}/hook"}
        settings.setenv("AIRFLOW_CONN_CUTOVER_WEBHOOK", json.dumps(webhook))
        reviewed.look(), reviewed.look()
        server.shutdown()
    (post,) = posts
    assert post["kind"] == "swapped", "of today; the answer is of the day before, and nobody is asked any more"
    assert post["text"].startswith("tiny: the swap of run")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{", "it is not JSON"),
        ("[]", "it is not an object"),
        ('{"remind": 5}', "remind is none of"),
        ('{"sync_hours": 0}', "sync_hours is not a number above 0"),
        ('{"remind_minutes": true}', "remind_minutes is not a number above 0"),
        ('{"notifiers": [{"name": "x"}]}', "a notifier is an object of class"),
        ('{"notifiers": [{"class": "x", "of": ["birthdays"]}]}', "is not a list of asked"),
    ],
)
def test_settings_that_cannot_be_read_are_named_with_what_is_right(given: str, why: str) -> None:
    with pytest.raises(CutoverError, match=r"\[notices.bad-settings\]") as refused:
        notify.parse(given)
    assert why in str(refused.value)


@pytest.mark.parametrize("path", ["nowhere.Nothing", "os.getcwd", f"{__name__}.World", f"{__name__}.Hanging"])
def test_a_class_that_is_no_notifier_is_refused_without_its_arguments(path: str) -> None:
    with pytest.raises(CutoverError, match=r"\[notices.bad-notifier\]") as refused:
        notify.Notifier(path, {"token": "s3cret"}, None).build()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "channel", "code"),
    [
        ("{", "setting", "[notices.bad-settings]"),
        ('{"notifiers": [{"class": "nowhere.Nothing"}]}', "notifier", "[notices.bad-notifier]"),
    ],
)
def test_bad_settings_stop_no_launch_and_are_written_down(
    notified: World, settings: pytest.MonkeyPatch, given: str, channel: str, code: str
) -> None:
    settings.setenv("AIRFLOW_VAR_CUTOVER_NOTICES", given)
    run = asked(notified)
    assert run.answer() is None and run.do("swap") is None
    assert code in notified.value(f"select error from cutover.notice where channel = '{channel}'")
