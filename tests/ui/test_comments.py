"""What people say about a run: kept with it, under their names, by those who have a say in it."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import psycopg
import pytest

from cutover.database.connect import connector
from cutover.erase import erase
from cutover.migration import load
from cutover.records import comments, evidence
from cutover.storage import at
from stack.postgres import EmbeddedPostgres

from .conftest import DAG, HERE, RUN, Deployment, Pages, review

SCRIPT = "<script>alert(1)</script>\nsecond line"


def test_a_comment_is_read_on_the_review_and_stays_with_the_evidence(
    get: Pages, post: Pages, target: Deployment
) -> None:
    target.entry(target.run(review()))
    assert "Nobody has said anything about this run" in get(f"{HERE}/review").text
    answer = post(f"{HERE}/comments", role="admin", words=f"  {SCRIPT} ")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}/comments")
    listed = post(f"{HERE}/comments.json", role="op", words="Ask Ana first").json()
    assert [(one["author"], one["words"]) for one in listed] == [("admin", SCRIPT), ("op", "Ask Ana first")]
    for page in ("review", "comments"):
        text = get(f"{HERE}/{page}").text
        assert "&lt;script&gt;alert(1)" in text and "<script" not in text and "Ask Ana first" in text, page
    assert [one["words"] for one in get(f"{HERE}/review.json").json()["comments"]] == [SCRIPT, "Ask Ana first"]
    with psycopg.connect(target.dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        root = at(str(target.docs), "CUTOVER_DATA_DOCS")
        made = evidence.archive(connection, load(DAG), RUN, docs_root=root, review_page="")
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/comments.json"))
        assert [one["author"] for one in json.loads(archive.read(name))] == ["admin", "op"]


def test_who_has_no_say_in_a_run_reads_alone(
    get: Pages, post: Pages, target: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.run(review())
    for address in ("comments", "comments.json"):
        assert post(f"{HERE}/{address}", role=None, words="x").status_code == 401
        refused = post(f"{HERE}/{address}", role="viewer", words="x")
        assert refused.status_code == 403 and "answer its question may comment" in refused.text
        other = post(f"{HERE}/{address}", role="admin", headers={"Sec-Fetch-Site": "cross-site"}, words="x")
        assert other.status_code == 403
    assert "<form" not in get(f"{HERE}/comments").text and f"{HERE}/comments" not in get(f"{HERE}/review").text
    assert "<form" in get(f"{HERE}/comments", role="admin").text
    assert f'href="{HERE}/comments"' in get(f"{HERE}/review", role="admin").text

    from airflow.api_fastapi.app import get_auth_manager

    # a reviewer: answers questions, triggers nothing
    def answers(*, method: str, access_entity: Any = None, **_: Any) -> bool:
        return method == "GET" or (method, access_entity and access_entity.value) == ("PUT", "HITL_DETAIL")

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", answers)
    assert post(f"{HERE}/comments", role="viewer", words="seen").status_code == 303


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("", 422, "comment.empty"),
        (" \0\n", 422, "comment.empty"),
        ("é" * (comments.LONGEST + 1), 422, "comment.too-long"),
        ("x" * 30_000, 413, "more than the form holds"),
    ],
    ids=["empty", "blank", "long", "huge"],
)
def test_what_is_no_comment_is_refused_in_words(
    post: Pages, target: Deployment, words: str, status: int, said: str
) -> None:
    target.run(review())
    answer = post(f"{HERE}/comments", role="admin", words=words)
    assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert target_comments(target) == []


def target_comments(target: Deployment) -> list[dict[str, Any]]:
    """Those on the run."""
    with psycopg.connect(target.dsn) as connection:
        return comments.of_run(connection, RUN)


def test_a_run_without_a_record_a_role_that_only_reads_and_an_earlier_version_say_so(
    post: Pages, target: Deployment, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(f"{HERE}/comments", role="admin", words="x").status_code == 404
    target.run(review())
    with psycopg.connect(target.dsn, autocommit=True) as admin:
        admin.execute("drop role if exists reads_alone")
        admin.execute("create role reads_alone login password 'x'; grant pg_read_all_data to reads_alone")
    name = target.dsn.rpartition("/")[2].partition("?")[0]
    with monkeypatch.context() as patch:
        patch.setenv(
            "AIRFLOW_CONN_PRODUCTION", server.dsn(name, "reads_alone", "x").replace("postgresql:", "postgres:")
        )
        answer = post(f"{HERE}/comments", role="admin", words="x")
    assert answer.status_code == 503 and "comment.not-written" in answer.text
    assert "grant select, insert on cutover.comment to reads_alone" in answer.text
    target.execute("drop table cutover.comment")
    answer = post(f"{HERE}/comments", role="admin", words="x")
    assert answer.status_code == 503 and "of an earlier version" in answer.text
    assert target_comments(target) == []
    target.execute("drop owned by reads_alone; drop role reads_alone")


def test_a_person_who_is_erased_is_named_in_no_comment(post: Pages, target: Deployment) -> None:
    target.run(review())
    assert post(f"{HERE}/comments", role="admin", words="Ask ana@example.com first").status_code == 303
    with connector(target.dsn, "production", "test")() as connection:
        erase(connection, load(DAG), "ana@example.com", by="admin")
        connection.commit()
    (one,) = target_comments(target)
    assert "ana@" not in one["words"] and one["words"].startswith("Ask ") and one["words"].endswith(" first")
