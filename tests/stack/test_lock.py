"""requirements.txt is the compiled requirements.in, pinned, hashed, and silent about package indexes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from stack import lint


@pytest.fixture
def copied(tmp_path: Path, repository: Path) -> Path:
    for name in ("requirements.in", "requirements.txt", "requirements-image.txt"):
        shutil.copy(repository / name, tmp_path / name)
    return tmp_path


def test_the_lock_is_up_to_date(repository: Path) -> None:
    assert lint.drift(repository) == ""


def test_a_new_requirement_is_drift(copied: Path) -> None:
    with (copied / "requirements.in").open("a") as requirements:
        requirements.write("left-pad\n")
    assert "./run lock" in lint.drift(copied)


def test_order_and_comments_are_no_drift(copied: Path) -> None:
    path = copied / "requirements.in"
    path.write_text("# why\n\n" + "\n".join(reversed(path.read_text().splitlines())))
    assert lint.drift(copied) == ""


def test_a_pin_without_a_hash_is_named(copied: Path) -> None:
    with (copied / "requirements.txt").open("a") as lock:
        lock.write("left-pad==1.3.0\n    # via me\n")
    assert "left-pad" in lint.drift(copied)


def test_an_index_in_the_lock_is_refused(copied: Path) -> None:
    with (copied / "requirements.txt").open("a") as lock:
        lock.write("--extra-index-url https://mirror.example/simple\n")
    assert "package index" in lint.drift(copied)


def test_what_the_image_installs_follows_the_lock(copied: Path) -> None:
    path = copied / "requirements-image.txt"
    assert "\npytest==" in (copied / "requirements.txt").read_text() and "\npytest==" not in path.read_text()
    assert "\npsycopg==" in path.read_text()
    path.write_text(path.read_text().replace("\npsycopg==", "\npsycopg==1"))
    assert "requirements-image.txt is not derived" in lint.drift(copied)


def test_airflow_is_pinned_where_people_choose_it(repository: Path) -> None:
    lines = (repository / "requirements.in").read_text().splitlines()
    assert [line for line in lines if re.match(r"apache-airflow[\[=]", line)] == ["apache-airflow[statsd]==3.3.2"]
