"""Data Docs: one immutable site per validation, complete offline, without personal data or secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from cutover import masking, migration, storage
from cutover.database.connect import connector
from cutover.errors import CutoverError
from cutover.validate import data_docs, suites, validation
from cutover.validate.result import ValidationResult
from tests.clean_launch_world import RUN, World

Validate = Callable[..., ValidationResult]
SCRIPT = "<script>alert('x')</script>"


def root_of(docs: Path) -> storage.Storage:
    """The folder, as the engine writes into it."""
    return storage.at(str(docs), "CUTOVER_DATA_DOCS")


def contents(site: Path) -> dict[str, bytes]:
    """Every file of a site."""
    return {str(path.relative_to(site)): path.read_bytes() for path in site.rglob("*") if path.is_file()}


def test_a_site_has_a_page_for_every_suite_and_one_for_the_checks(validate: Validate, docs: Path) -> None:
    result = validate()
    site = docs / str(result.data_docs)
    assert site == docs / "clean_launch" / RUN / "1-staging"
    for suite in result.suites:
        (page,) = site.glob(f"validations/{suite.suite}/**/*.html")
        assert page.relative_to(site).as_posix() in (site / "index.html").read_text().replace("%3A", ":")
        assert (site / "results" / f"{suite.suite}.json").exists()
    assert "checks.html" in (site / "index.html").read_text()
    assert "money_owed" in (site / "checks.html").read_text()


def test_pages_load_nothing_from_elsewhere_and_everything_they_load_is_there(validate: Validate, docs: Path) -> None:
    site = docs / str(validate().data_docs)
    loaded = re.compile(r"<(?:script|link|img)\b[^>]*?\b(?:src|href)=[\"']([^\"']+)")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for page in pages:
        text = page.read_text()
        assert not re.search(r"url\(\s*['\"]?https?:", text)
        result = loaded.findall(text)
        assert result
        for address in result:
            assert "://" not in address, (page.name, address)
            assert (page.parent / address).resolve().is_file(), (page.name, address)


def test_links_between_pages_lead_somewhere(validate: Validate, docs: Path) -> None:
    site = docs / str(validate().data_docs)
    for page in site.rglob("*.html"):
        for address in re.findall(r"<a\b[^>]*?\bhref=[\"']([^\"'#]+)", page.read_text()):
            assert "://" in address or (page.parent / address).resolve().is_file(), (page.name, address)


def test_a_new_try_gets_a_new_site_and_leaves_the_first_as_it_was(validate: Validate, docs: Path) -> None:
    first = docs / str(validate().data_docs)
    before = contents(first)
    again = docs / str(validate().data_docs)
    assert (first.name, again.name) == ("1-staging", "2-staging")
    assert contents(first) == before
    assert not any(path.stat().st_mode & 0o222 for path in first.rglob("*") if path.is_file())


def test_the_manifest_tells_every_change_of_a_site(validate: Validate, docs: Path) -> None:
    site = docs / str(validate().data_docs)
    root, name = root_of(docs), site.relative_to(docs).as_posix()
    assert data_docs.differences(root, name) == []
    page = site / "index.html"
    page.chmod(0o644)
    page.write_text(page.read_text() + " ")
    (site / "added.html").write_text("")
    assert data_docs.differences(root, name) == ["added.html", "index.html"]


def test_a_site_that_cannot_be_finished_is_not_there_at_all(
    validate: Validate, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_docs, "_replacements", dict)
    with pytest.raises(CutoverError, match=r"validate\.docs-not-offline"):
        validate()
    assert [path for path in docs.rglob("*") if path.is_file() and "assets" not in path.parts] == []


def test_samples_show_the_shape_of_personal_values_only_and_script_in_data_is_text(
    world: World, validate: Validate, docs: Path
) -> None:
    world.unprotected()
    execute = world.connection.execute
    execute("update staging.unified_profiles set email = 'Secret@Example.com', first_name = 'Hidden', phone = '+639'")
    execute("update staging.leads set email = null")
    execute("update staging.transactions set contact_email = 'Private@Person.ph'")
    execute("update staging.transactions set status = %s, currency = '$run'", (SCRIPT,))
    result = validate()
    site = docs / str(result.data_docs)
    document = b"".join(contents(site).values()) + json.dumps(result.as_dict()).encode()
    for secret in (b"Secret@", b"Example.com", b"Private@", b"Person.ph", b"Hidden", b"ana@example", b"+639"):
        assert secret not in document, secret
    assert "S•••@E•••" in "".join(page.read_text() for page in site.rglob("*.html"))
    for page in site.rglob("*.html"):
        assert SCRIPT not in page.read_text()
    assert any("&lt;script&gt;" in page.read_text() for page in site.rglob("*.html"))


def test_the_rows_at_fault_are_named_by_their_ids(world: World, validate: Validate, docs: Path) -> None:
    world.unprotected()
    world.connection.execute("alter table staging.leads add primary key (id)")
    changed = world.row("update staging.leads set email = 'Lead@example.com' where stage = 'lead' returning id")
    site = docs / str(validate().data_docs)
    assert str(changed["id"]) in (site / "results" / "leads.json").read_text()


def test_the_password_is_in_no_file_log_or_error(
    world: World, database: str, docs: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    password = r"p:a\ss $w0rd/@%41é"
    world.connection.execute(sql.SQL("drop role if exists auditor_of_tests"))
    world.connection.execute(
        sql.SQL("create role auditor_of_tests superuser login password {}").format(sql.Literal(password))
    )
    world.connection.execute("alter table cutover.product rename column manual_price to price")
    world.connection.commit()
    dsn = conninfo.make_conninfo(database, user="auditor_of_tests", password=password)
    lines: list[str] = []
    result = validation.validate(
        connector(dsn, "production", "test"), migration.load("clean_launch"), RUN,
        phase="staging", given={}, log=lines.append, root=root_of(docs),
    )  # fmt: skip
    printed = capfd.readouterr()
    document = "\n".join([*lines, printed.out, printed.err, caplog.text, json.dumps(result.as_dict())])
    document += b"".join(contents(docs)[name] for name in contents(docs)).decode(errors="replace")
    assert "pgpass" not in document
    for part in (password, "p%3Aa", "w0rd"):
        assert part not in document
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop role auditor_of_tests")


def test_sessions_of_the_suites_cannot_write(world: World, database: str) -> None:
    with suites._url(connector(database, "production", "test")) as url:
        from sqlalchemy import create_engine, text
        from sqlalchemy.exc import InternalError

        engine = create_engine(url)
        with engine.connect() as connection, pytest.raises(InternalError, match="read-only"):
            connection.execute(text("delete from staging.leads"))
        engine.dispose()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ana@example.com", "a•••@e•••"),
        ("Ana", "A•••"),
        ("", "•••"),
        (None, None),
        (42, "•••"),
    ],
)
def test_a_masked_value_keeps_its_shape(value: object, shown: object) -> None:
    assert masking.masked(value) == shown


def test_addresses_are_masked_wherever_they_are() -> None:
    row = {"id": 1, "name": "Ana", "note": "write to ana@example.com, soon", "nested": [{"phone": "1", "id": 2}]}
    assert masking.masked_row(row, {"name", "phone"}) == {
        "id": 1, "name": "A•••", "note": "write to a•••@e•••, soon", "nested": [{"phone": "1•••", "id": 2}],
    }  # fmt: skip


def test_a_picture_in_a_value_is_masked_as_quickly_as_any_text() -> None:
    """Five megabytes without a blank: a pattern that tries every letter again would be at it for hours."""
    word = "a1B+" * 1_250_000
    assert masking.masked_text(word) == word
    assert masking.masked_text(f"{word} ana%40example.com @ana ben@ {word}") == f"{word} a•••@e••• @ana ben@ {word}"


def test_assets_are_shared_and_named_by_their_content(docs: Path) -> None:
    shared = data_docs.share_assets(root_of(docs))
    assert data_docs.share_assets(root_of(docs)) == shared
    packages = json.loads((data_docs.assets_folder() / "assets.json").read_text())
    listed = {f"{package['package']}/{file}" for package in packages for file in package["files"]}
    assert all((docs / shared / file).is_file() for file in listed)
    here = [path.relative_to(docs / shared).as_posix() for path in (docs / shared).rglob("*") if path.is_file()]
    assert {name for name in here if "LICEN" not in name.upper()} == listed
