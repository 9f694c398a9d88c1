"""Where things are and what the processes get; the caller's own connections replace the demonstration's."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import psycopg
import pytest

from cutover.errors import CutoverError
from stack.settings import Settings, kept_secrets, of_the_demonstration, plain_dsn


def _settings(home: Path, **variables: str) -> Settings:
    return Settings.read({"CUTOVER_HOME": str(home), **variables})


def test_a_given_connection_replaces_the_demonstrations(tmp_path: Path) -> None:
    mine = "https://:key@api.xendit.co"
    settings = _settings(tmp_path, AIRFLOW_CONN_XENDIT=mine)
    environment = settings.airflow_environment()
    assert settings.is_given("xendit")
    assert environment["AIRFLOW_CONN_XENDIT"] == mine
    assert "127.0.0.1:8102" in environment["AIRFLOW_CONN_SYSTEMEIO"]


def test_an_airflow_option_of_the_caller_goes_through_but_not_one_that_would_part_the_processes(tmp_path: Path) -> None:
    environment = _settings(
        tmp_path,
        AIRFLOW__CORE__PARALLELISM="9",
        AIRFLOW__SMTP__SMTP_HOST="mail.example",
        AIRFLOW__API__HOST="0.0.0.0",
        AIRFLOW_HOME="/elsewhere",
        PYTHONDONTWRITEBYTECODE="1",
    ).airflow_environment()
    assert environment["AIRFLOW__CORE__PARALLELISM"] == "9"
    assert environment["AIRFLOW__SMTP__SMTP_HOST"] == "mail.example"
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_loopback_goes_past_a_proxy(tmp_path: Path) -> None:
    environment = _settings(tmp_path, NO_PROXY="intranet.example").airflow_environment()
    assert environment["NO_PROXY"] == "intranet.example,127.0.0.1,localhost,::1"
    lower = _settings(tmp_path, no_proxy="other.example", HTTP_PROXY="http://proxy:1").airflow_environment()
    # some programs read the one spelling, some the other, and some the lower case first
    assert lower["NO_PROXY"] == lower["no_proxy"] == "other.example,127.0.0.1,localhost,::1"
    assert lower["HTTP_PROXY"] == "http://proxy:1"


@pytest.mark.parametrize(
    "variable",
    [
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
        "AIRFLOW_CONFIG",
        "PGHOSTADDR",
        "PGSSLMODE",
        "PGSERVICE",
        "PGOPTIONS",
        "PYTHONIOENCODING",
    ],
)
def test_what_is_left_over_from_another_airflow_or_a_provider_does_not_reach_the_processes(
    tmp_path: Path, variable: str
) -> None:
    assert variable not in _settings(tmp_path, **{variable: "something"}).airflow_environment()


def test_examples_stay_out_whatever_is_left_over(tmp_path: Path) -> None:
    environment = _settings(tmp_path, AIRFLOW__CORE__LOAD_EXAMPLES="True").airflow_environment()
    assert environment["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"


def test_the_demonstration_takes_nothing_that_could_lead_it_elsewhere() -> None:
    values = {"PATH": "/bin", "HTTPS_PROXY": "http://proxy:1", "CUTOVER_PG_PORT": "5555", "PG_BINDIR": "/pg"}
    given = {"AIRFLOW_CONN_PRODUCTION": "postgresql://u@h/empty", "AIRFLOW__CORE__PARALLELISM": "3"}
    elsewhere = {
        "AIRFLOW__SECRETS__BACKEND": "x.Vault",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": "{}",
        "AIRFLOW__WORKERS__SECRETS_BACKEND": "x.Vault",
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": "[]",
        "AIRFLOW__CORE__FERNET_KEY_CMD": "cat key",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW_VAR_CUTOVER_APPROVERS": '["somebody"]',
        "AIRFLOW_CONN_CUTOVER_SMTP": "smtp://mail.example",
        "CUTOVER_DATA_DOCS": "/srv/docs",
        "PGHOSTADDR": "192.0.2.1",
        "PGCONNECT_TIMEOUT": "1",
    }
    variables, withheld = of_the_demonstration({**values, **given, **elsewhere})
    assert variables == {**values, **given}
    assert withheld == sorted(elsewhere)


def test_minutes_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(CutoverError, match=r"\[stack.bad-minutes\] CUTOVER_START_MINUTES=soon"):
        assert _settings(tmp_path, CUTOVER_START_MINUTES="soon").start_seconds
    assert _settings(tmp_path).start_seconds == 900


@pytest.mark.parametrize("value", ["0", "70000", "http"])
def test_a_port_that_is_none_is_named(tmp_path: Path, value: str) -> None:
    with pytest.raises(CutoverError, match=rf"\[stack.bad-port\] CUTOVER_PG_PORT={value}"):
        _settings(tmp_path, CUTOVER_PG_PORT=value)


def test_secrets_are_made_once_and_kept_from_others(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.json"
    made = kept_secrets(path, {"one": lambda: "first"})
    again = kept_secrets(path, {"one": lambda: "second", "two": lambda: "new"})
    assert made == {"one": "first"}
    assert again == {"one": "first", "two": "new"}
    assert json.loads(path.read_text()) == again
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("connection", "dsn"),
    [
        ("postgres://u:p%40ss@db.example:6432/shop", "postgresql://u:p%40ss@db.example:6432/shop"),
        (
            "postgresql://u:p@db/shop?sslmode=require&cursor=dictcursor",
            "postgresql://u:p@db/shop?sslmode=require",
        ),
        (
            'postgres://u:p@db/shop?__extra__={"sslmode": "verify-full", "log_sql": false}',
            "postgresql://u:p@db/shop?sslmode=verify-full",
        ),
        (
            '{"conn_type": "postgres", "host": "db", "login": "u", "password": "p/ss", "schema": "shop"}',
            "postgresql://u:p%2Fss@db/shop",
        ),
        ("https://:key@api.xendit.co", None),
        ('{"conn_type": "http", "host": "api"}', None),
    ],
)
def test_an_airflow_connection_becomes_a_dsn_that_any_client_takes(connection: str, dsn: str | None) -> None:
    assert plain_dsn(connection) == dsn
    if dsn:
        assert psycopg.conninfo.conninfo_to_dict(dsn)["dbname"] == "shop"


def test_a_dsn_of_something_else_names_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        CutoverError, match=r"\[stack.no-such-connection\] xendit(?s:.*)name one of: airflow, .*production"
    ):
        _settings(tmp_path).dsn("xendit")
