"""What people look at first: the verdict, the pictures, and how a run stands on every page that is about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from cutover.ui import charts, figure_pictures, outlook

from .conftest import DAG, HERE, REHEARSED, RUN, RUN_ID, Deployment, Pages, review, site

pytestmark = pytest.mark.timeout(240)


def figure(*rows: list[Any], columns: tuple[str, ...] = ("month", "before", "after"), **values: Any) -> dict[str, Any]:
    """A section of a review."""
    numbers = [name for name in columns if name in ("before", "after")]
    return {"name": "f", "title": "F", "total": len(rows), "columns": list(columns), "numbers": numbers} | {
        "rows": list(rows)
    } | values  # fmt: skip


def text_of(page: Any) -> str:
    """Without the line ends of the template."""
    return " ".join(page.text.split())


def test_the_verdict_comes_first_and_says_the_same_to_a_program(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    warning = {"name": "w", "title": "Paid <for> nothing", "total": 19, "columns": ["a"], "rows": [["b"]]}
    target.run(review(warnings=[warning], rehearsal=REHEARSED))
    airflow_runs(DAG, RUN_ID, "running", {"freeze.snapshot": "success"})
    text = text_of(get(f"{HERE}/review"))
    told = get(f"{HERE}/review.json").json()["verdict"]
    assert told["comes_to"] == "weigh" and told["against"] == ["19 × Paid <for> nothing"]
    for shown in (told["headline"], "19 × Paid &lt;for&gt; nothing", told["undo"], told["wait"], told["what"]):
        assert shown in text and text.index(shown) < text.index("<h2>Tables</h2>"), shown
    assert 'class="verdict weigh"' in text and "Clients will wait 27 ms, as rehearsed." in text


def test_what_would_stop_the_swap_is_the_verdict_while_the_question_waits(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    target.run(review())
    airflow_runs(DAG, RUN_ID, "running", {"approve": "awaiting_input"})
    outlook.forget(RUN)
    text = text_of(get(f"{HERE}/review"))
    told = get(f"{HERE}/review.json").json()["verdict"]
    # nothing is staged here: the look at it fails
    assert told["comes_to"] == "weigh" and told["headline"] in text and "is not known" in told["against"][0]
    outlook.forget(RUN)


def test_every_page_about_a_run_says_how_it_stands(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    site(target)
    target.run(review())
    for state, tasks, words in (
        ("failed", {"swap.swap": "failed"}, ["failed in swap.swap"]),
        ("running", {"approve": "awaiting_input"}, ["waits for an answer"]),
        ("running", {"load.leads": "running", "a": "up_for_retry"}, ["under way", "load.leads is at work"]),
        ("running", {"freeze.snapshot": "up_for_reschedule"}, ["freeze.snapshot waits, and looks again by itself"]),
        ("running", {"extract.a": "up_for_retry"}, ["extract.a has failed, and is tried again by itself"]),
        ("queued", {}, ["waits for its turn in Airflow"]),
    ):
        airflow_runs(DAG, RUN_ID, state, tasks)
        for page in (f"{HERE}/review", f"{HERE}/docs", "/cutover/"):
            text = text_of(get(page))
            assert [word for word in words if word not in text] == [], page
        [run] = get(f"/cutover/dags/{DAG}/runs.json").json()
        assert all(word in f"{run['state']}; {run['now']}" for word in words)


def test_an_entry_says_that_its_run_has_failed_since(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    target.entry(target.run(review()))
    airflow_runs(DAG, RUN_ID, "failed", {"verify.suites": "failed"})
    text = text_of(get(f"/cutover/dags/{DAG}/ledger/1"))
    assert '<span class="state failed">done, then failed in verify.suites</span>' in text
    assert "Launched; after that it failed in verify.suites." in text_of(get(f"{HERE}/review"))


def test_an_announcement_whose_run_has_failed_says_so(
    get: Pages, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    target.run(review(campaign="welcome", subject="Hello", text="Dear"), dag_id="announce", run_id="a1")
    airflow_runs("announce", "a1", "failed", {"send": "failed"})
    text = text_of(get(f"/cutover/dags/{DAG}/announcements"))
    assert "failed in send" in text and "Not all of it was sent, and nothing more will be." in text
    airflow_runs("announce", "a1", "running", {"approve": "awaiting_input"})
    assert "waits for an answer" in text_of(get(f"/cutover/dags/{DAG}/announcements"))


def test_tables_and_figures_have_their_picture_and_the_numbers_beside_it(get: Pages, target: Deployment) -> None:
    months = figure(*([f"2025-{month:02}", "p2p", "1.50", f"{month}00.25"] for month in (1, 2, 5)),
                    columns=("month", "product", "before", "after"))  # fmt: skip
    funnel = figure(["visited", 10, 40], ["paid", 0, 5], columns=("step", "before", "after"))
    target.run(review(figures=[months, funnel]))
    page = get(f"{HERE}/review")
    text = text_of(page)
    # one of the table, two of the funnel's lines
    assert text.count('<svg class="bars"') == 3 and text.count('<svg class="wide-chart"') == 1
    assert "2025-01 to 2025-05, at most 500.25" in text and "<td>2025-03</td>" in text
    assert text.count("<svg") == text.count('aria-hidden="true">') - text.count('<p class="quiet legend"') - len(
        re.findall(r'<span class="(key|mark)[^>]*aria-hidden', text)
    )
    assert len(page.content) < 300_000


@pytest.mark.parametrize(
    ("section", "has_bars", "has_course"),
    [
        (figure(["2025-01", 1, 2], ["2025-02", 3, 4], ["2025-03", 3, 4]), False, True),
        (figure(["2025-01", 1, 2], ["2025-02", 3, 4]), False, False),
        (figure(["2024", 1, 2], ["2025", "3.5", None], ["2026", 0, 0]), False, True),
        (figure(["2025-01-31", -1, 2], ["2025-02-01", 3, 4], ["2025-02-03", 3, 4]), False, True),
        (figure(["canva", 1, 2], ["p2p", 3, 4]), True, False),
        (figure(["canva", 0, 0]), True, False),
        (figure(["canva", -1, 2]), False, False),
        (figure(["canva", "1", "two"]), False, False),
        (figure(["canva", "NaN", "2"]), False, False),
        (figure(), False, False),
        (figure(["2025-01", 1, 2], ["2025-02", 3, 4], ["2025-03", 3, 4], total=400), False, False),
        (figure(["a", 1], columns=("found", "after")), False, False),
        (figure(["a", "1", "2"], numbers=[]), False, False),
        (
            figure(*(["2025-0" + str(n), c, 1, 2] for n in (1, 2, 3) for c in ("PHP", "USD")),
                   columns=("month", "currency", "before", "after")),
            False, False,
        ),
    ],
)  # fmt: skip
def test_which_figures_have_a_picture(section: dict[str, Any], has_bars: bool, has_course: bool) -> None:
    assert (figure_pictures.pairs(section) is not None) is has_bars
    assert (figure_pictures.course(section) is not None) is has_course


def test_a_course_has_every_month_and_adds_up_what_is_of_one(get: Pages) -> None:
    columns = ("month", "product", "before", "after")
    rows = (["2024-11", "a", "1.25", 1], ["2025-02", "a", 0, 7], ["2024-11", "b", 2, 3], ["2024-12", "a", 1, 1])
    along = figure_pictures.course(figure(*rows, columns=columns))
    assert along is not None
    assert along["lines"] == [["2024-11", "3.25", "4"], ["2024-12", "1", "1"], ["2025-01", "0", "0"],
                              ["2025-02", "0", "7"]]  # fmt: skip
    was, will = re.findall(r'points="([^"]*)"', along["picture"])
    assert len(was.split()) == len(will.split()) == 4
    ends_of_time = figure_pictures.course(figure(["0001-01", 1, 2], ["2025-01", 1, 2], ["9999-12", 1, 2]))
    assert ends_of_time is not None and len(ends_of_time["lines"]) == 3


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    def widths(before: Any, after: Any) -> list[tuple[str, str]]:
        picture = charts.bars(Decimal(before), Decimal(after))
        return re.findall(r'class="(was|will)"[^>]*width="([0-9.]+)"', picture)

    assert widths(50, 100) == [("was", "60.0"), ("will", "120.0")]
    assert widths(0, 7) == [("will", "120.0")] and widths(0, 0) == []
    # what is there is seen, however little it is
    assert widths(1, 10**9) == [("was", "2.0"), ("will", "120.0")]


def test_the_ledger_draws_how_long_clients_waited_once_there_is_something_to_compare(
    get: Pages, target: Deployment
) -> None:
    target.entry(target.run(review()))
    assert "<figure>" not in get("/cutover/ledger").text
    target.entry(target.run(review(), run_id="another"), action="rollback")
    text = text_of(get("/cutover/ledger"))
    assert "entries 1 to 2" in text and re.findall(r'<rect class="(\w+)"', text) == ["will", "was"]


def test_the_lineage_of_a_run_is_a_picture_and_says_the_same_in_words(get: Pages, target: Deployment) -> None:
    target.run(review())
    for step, result in {"extract.xendit_invoices": {"source": "xendit_invoices", "total": 9_025},
                         "load.transactions": {"rows": 6_816}}.items():  # fmt: skip
        target.execute(
            "insert into cutover.phase (run, step, holds, made_from, result) values (%s, %s, true, '{}', %s)",
            RUN, step, Jsonb(result),
        )  # fmt: skip
    page, columns = get(f"{HERE}/review").text, text_of(get(f"{HERE}/lineage"))
    [picture] = re.findall(r'<svg class="flows".*?</svg>', page, re.DOTALL)
    assert picture in columns and f'href="{HERE}/lineage"' in page
    for shown in ("/v2/invoices", "xendit, 9,025 rows", "transactions", "public, 6,816 staged", "public, as it was"):
        assert shown in picture, shown
    # four endpoints, six tables as they were, and seven that are launched
    assert picture.count("<path") > 20 and picture.count("<rect") == 4 + 6 + 7
    row = re.search(r"<td>external_id</td>.*?</tr>", columns)
    assert row is not None and "production public.transactions: external_id, xendit /v2/invoices: external_id" in row[0]
    assert "<td>aud</td><td>constant</td>" in columns
    assert get("/cutover/dags/clean_launch/runs/nonsense/lineage").status_code == 404


def test_a_review_is_read_whatever_a_migrations_files_make_of_the_lineage(
    get: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.run(review())
    monkeypatch.setattr("cutover.lineage.graph.of_migration", lambda _: {}["a form that nobody has thought of"])
    for page in (f"{HERE}/review", f"{HERE}/lineage"):
        answer = get(page)
        assert answer.status_code == 200 and "It cannot be read (KeyError)" in answer.text
        assert 'class="flows"' not in answer.text
