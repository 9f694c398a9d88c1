"""The demonstration answers its own approval, so its tasks must not be able to work on another database."""

from __future__ import annotations

from pathlib import Path

import pytest

from cutover.dumps.proof import CONNECTION as REHEARSAL
from cutover.errors import CutoverError
from stack.__main__ import _demo
from stack.demonstration import Demonstration
from stack.deployment import Deployment
from stack.progress import Console
from stack.settings import DATABASE_CONNECTIONS, Settings, of_the_demonstration

_BACKEND = '''
import os

from airflow.secrets.base_secrets import BaseSecretsBackend

class Elsewhere(BaseSecretsBackend):
    """Knows a connection of the same name, as another Airflow's would."""

    def get_conn_value(self, conn_id, team_name=None):
        if conn_id in os.environ.get("ELSEWHERE_KNOWS", conn_id).split():
            return "postgresql://somebody:password@db.example:5432/theirs"
'''


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secrets backend that Airflow's processes can import."""
    package = tmp_path / "packages"
    package.mkdir()
    (package / "another_airflow.py").write_text(_BACKEND)
    environment = Settings.python_environment

    def with_package(self: Settings) -> dict[str, str]:
        variables = environment(self)
        return {**variables, "PYTHONPATH": f"{variables['PYTHONPATH']}:{package}"}

    monkeypatch.setattr(Settings, "python_environment", with_package)


def _shown(home: Path, variables: dict[str, str]) -> Demonstration:
    return Demonstration(Deployment(Settings.read({"CUTOVER_HOME": str(home), **variables}), Console()), "clean_launch")


def test_a_secrets_backend_of_the_environment_is_withheld_so_the_tasks_get_our_database(
    tmp_path: Path, backend: None
) -> None:
    variables, withheld = of_the_demonstration({"AIRFLOW__SECRETS__BACKEND": "another_airflow.Elsewhere"})
    shown = _shown(tmp_path, variables)
    shown._require_own_database(shown._ask_airflow_where())
    assert withheld == ["AIRFLOW__SECRETS__BACKEND"]


@pytest.mark.parametrize("where", ["environment", "airflow.cfg"])
def test_tasks_that_would_work_elsewhere_stop_the_demonstration_before_anything_is_triggered(
    tmp_path: Path, backend: None, where: str
) -> None:
    variables = {}
    if where == "environment":  # not withheld, as if it had got past
        variables["AIRFLOW__SECRETS__BACKEND"] = "another_airflow.Elsewhere"
    else:
        (tmp_path / "airflow").mkdir()
        (tmp_path / "airflow" / "airflow.cfg").write_text("[secrets]\nbackend = another_airflow.Elsewhere\n")
    shown = _shown(tmp_path, variables)
    with pytest.raises(CutoverError, match=r"\[demo.another-database\] connection production.*db\.example") as raised:
        shown._require_own_database(shown._ask_airflow_where())
    assert "password" not in str(raised.value)


@pytest.mark.parametrize("connection", [*DATABASE_CONNECTIONS, REHEARSAL])
def test_each_connection_that_leads_elsewhere_stops_it(tmp_path: Path, backend: None, connection: str) -> None:
    leads = {"AIRFLOW__SECRETS__BACKEND": "another_airflow.Elsewhere", "ELSEWHERE_KNOWS": connection}
    shown = _shown(tmp_path, leads)
    with pytest.raises(CutoverError, match=rf"\[demo.another-database\] connection {connection}.*db\.example"):
        shown._require_own_database(shown._ask_airflow_where())


def test_an_option_that_leads_libpq_elsewhere_stops_it(tmp_path: Path) -> None:
    own = Settings.read({"CUTOVER_HOME": str(tmp_path)}).own_databases()["unified"]
    shown = _shown(tmp_path, {"AIRFLOW_CONN_UNIFIED": f"{own}?hostaddr=192.0.2.1"})
    with pytest.raises(CutoverError, match=r"\[demo.another-database\] connection unified.*192\.0\.2\.1"):
        shown._require_own_database(shown._ask_airflow_where())


@pytest.mark.parametrize("migration", ["clean_launch", "mula_unification"])
@pytest.mark.parametrize("connection", DATABASE_CONNECTIONS)
def test_a_database_that_is_given_is_refused_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connection: str, migration: str
) -> None:
    variable, home = f"AIRFLOW_CONN_{connection.upper()}", tmp_path / "home"
    monkeypatch.setenv(variable, "postgresql://somebody:secret@db.example:5432/theirs")
    monkeypatch.setenv("CUTOVER_HOME", str(home))
    with pytest.raises(CutoverError, match=rf"(?s)\[demo.given-database\] {variable}\b.*-u {variable} ") as raised:
        _demo([migration, "--approve"])
    assert "secret" not in str(raised.value)
    assert not home.exists()


def test_an_airflow_that_does_not_answer_stops_it_too(tmp_path: Path) -> None:
    shown = _shown(tmp_path, {"AIRFLOW__SECRETS__BACKEND": "no_such_package.Backend"})
    with pytest.raises(CutoverError, match=r"\[demo.another-database\].*no_such_package"):
        shown._require_own_database(shown._ask_airflow_where())
