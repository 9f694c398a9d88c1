"""Data Docs in a bucket, as the API server hands them out: who has written them had another disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cutover import storage
from cutover.ui.access import DOCS_POLICY
from cutover.validate import data_docs, erasing
from tests.object_store import connect_to

from .conftest import DAG, HERE, RUN, Deployment, Pages, review

ADDRESS = f"{DAG}/{RUN}/1-staging"
PAGE = f"/cutover/dags/{DAG}/docs/{ADDRESS}/validations/unified_profiles/x/unified_profiles.html"
ACCOUNT = "0d5f3f0e-4a8e-5b7c-9c1d-2f6a7b8c9d0e"


@pytest.fixture
def root(target: Deployment, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> storage.Storage:
    """A bucket with one site of a run that was reviewed."""
    assert s3 is not None
    named = f"s3://docs_store@docs/ui-{tmp_path.name}"
    monkeypatch.setenv("CUTOVER_DATA_DOCS", named)
    target.run(review())
    root = storage.at(named, "CUTOVER_DATA_DOCS")
    made = tmp_path / "made"
    (made / "results").mkdir(parents=True)
    (made / "validations" / "unified_profiles" / "x").mkdir(parents=True)
    shared = data_docs.share_assets(root)
    style = f'<link rel="stylesheet" href="{"../" * 6}{shared}/bootstrap/dist/css/bootstrap.min.css">'
    page = f"<html><head>{style}</head><h1>unified_profiles</h1>{ACCOUNT}</html>"
    (made / "validations" / "unified_profiles" / "x" / "unified_profiles.html").write_text(page)
    (made / "index.html").write_text("<html><head></head><h1>index</h1></html>")
    result = {"run": RUN, "phase": "staging", "digest": "d" * 64, "checks": [], **review()["validation"]}
    (made / "result.json").write_text(json.dumps(result))
    (made / "results" / "unified_profiles.json").write_text(json.dumps({"unexpected_index_list": [{"id": ACCOUNT}]}))
    data_docs._write_manifest(made)
    assert data_docs._put_in_place(root, made, f"{DAG}/{RUN}", "staging") == ADDRESS
    return root


@pytest.mark.usefixtures("root")
def test_a_page_comes_whole_behind_its_login_and_not_again_while_it_is_the_same(get: Pages) -> None:
    first = get(PAGE)
    assert first.status_code == 200 and "../assets/" not in first.text and "Bootstrap v4.3.1" in first.text
    assert first.headers["Content-Security-Policy"] == DOCS_POLICY
    assert first.headers["Cache-Control"] == "private, no-cache"
    tag = first.headers["ETag"]
    for said in (tag, f"W/{tag}", f'"other", {tag}'):
        again = get(PAGE, **{"If-None-Match": said})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag and again.headers["Content-Security-Policy"] == DOCS_POLICY
    # whoever may not read it is not told that it is the same
    assert get(PAGE, role=None, **{"If-None-Match": tag}).status_code == 401
    raw = get(f"/cutover/dags/{DAG}/docs/{ADDRESS}/results/unified_profiles.json")
    assert raw.json() == {"unexpected_index_list": [{"id": ACCOUNT}]}
    overview = get(f"{HERE}/docs").text
    assert "As it was written" in overview and "unified_profiles.html" in overview


def test_a_page_that_was_changed_is_another_and_its_site_says_so(get: Pages, root: storage.Storage) -> None:
    tag = get(PAGE).headers["ETag"]
    root.write(PAGE.partition("/docs/")[2], b"<p>forged")
    again = get(PAGE, **{"If-None-Match": tag})
    assert (again.status_code, again.text) == (200, "<p>forged")
    assert "Not as it was written" in get(f"{HERE}/docs").text


def test_a_page_that_named_somebody_who_was_erased_is_gone_and_says_so(get: Pages, root: storage.Storage) -> None:
    from datetime import datetime, timezone

    tag = get(PAGE).headers["ETag"]
    found = erasing.find(root, DAG, [ACCOUNT, "ana@example.com"])
    assert [name.removeprefix(f"{ADDRESS}/") for name in found[ADDRESS]] == [
        "results/unified_profiles.json", "validations/unified_profiles/x/unified_profiles.html",
    ]  # fmt: skip
    for _ in range(2):
        erasing.take_out(root, found, datetime(2026, 1, 2, tzinfo=timezone.utc))
    gone = get(PAGE, **{"If-None-Match": tag})
    assert (
        gone.status_code == 410 and "2026-01-02" in gone.text and gone.headers["Cache-Control"] == "private, no-store"
    )
    overview = get(f"{HERE}/docs").text
    assert "As it was written" in overview and "2 of its files" in overview and "unified_profiles.html" not in overview
    assert get(f"/cutover/dags/{DAG}/docs/{ADDRESS}/index.html").status_code == 200
    assert erasing.find(root, DAG, [ACCOUNT]) == {}
    assert not any(ACCOUNT.encode() in content for content in root.read_all(root.names(DAG)).values())


def test_a_site_that_retention_has_taken_away_is_none(get: Pages, root: storage.Storage) -> None:
    root.delete(list(root.names(ADDRESS)))
    assert get(PAGE).status_code == 404
    overview = get(f"{HERE}/docs")
    assert overview.status_code == 404 and "index.html" not in overview.text


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "address",
    [
        f"{ADDRESS}/../../../assets/x.css", f"{ADDRESS}/%2e%2e/%2e%2e/x.html", f"{ADDRESS}//index.html/../x.html",
        f"{DAG}/{RUN}/.claim-x/index.html", f"{DAG}/{RUN}/heads.json", "mula_unification/r/1-staging/index.html",
        f"{ADDRESS}/none.html", f"{ADDRESS}/index", f"{DAG}/{RUN}/9-staging/index.html", "heads/production/x.json",
    ],
)  # fmt: skip
def test_nothing_but_files_of_complete_sites_is_handed_out(get: Pages, address: str) -> None:
    assert get(f"/cutover/dags/{DAG}/docs/{address}").status_code == 404


@pytest.mark.usefixtures("root")
def test_a_store_that_cannot_be_reached_is_told_in_words(get: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = connect_to(monkeypatch, "http://127.0.0.1:1")
    for address, code in (
        ("s3://docs_store@of-nobody/x", "storage.no-bucket"),
        ("s3://nobody@docs/x", "storage.bad-address"),
        (f"s3://{silent}@docs/x", "storage.unavailable"),
    ):
        monkeypatch.setenv("CUTOVER_DATA_DOCS", address)
        for page in (PAGE, f"{HERE}/docs"):
            answer = get(page)
            assert (answer.status_code, code in answer.text) == (503, True), (page, answer.text)
            assert "Traceback" not in answer.text
