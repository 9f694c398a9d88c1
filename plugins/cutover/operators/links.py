"""Links on tasks to the pages of ``cutover.ui``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


def review_address(dag_id: str, dag_run_id: str) -> str:
    """The absolute address of a run's review, below Airflow's ``[api] base_url``."""
    return f"{_base()}/cutover{_run(dag_id, dag_run_id)}/review"


def outlook_address(dag_id: str, dag_run_id: str) -> str:
    """The absolute address of a picture of what would stop the run's swap at the moment of looking."""
    return f"{_base()}/cutover{_run(dag_id, dag_run_id)}/outlook.svg"


def approvals_address(dag_id: str, dag_run_id: str) -> str:
    """The absolute address of a picture of how many of the answers that a launch needs are there."""
    return f"{_base()}/cutover{_run(dag_id, dag_run_id)}/approvals.svg"


def sign_ins_address(dag_id: str, dag_run_id: str) -> str:
    """The absolute address of a picture of what the run's newest rehearsal of sign-ins has found."""
    return f"{_base()}/cutover{_run(dag_id, dag_run_id)}/sign_ins.svg"


def answer_address(dag_id: str, dag_run_id: str, task_id: str) -> str:
    """The absolute address of the form in which a task is answered."""
    return f"{_base()}{_run(dag_id, dag_run_id)}/tasks/{quote(task_id, safe='')}/required_actions"


def filled_in(answer: str, option: str) -> str:
    """The address of a form with one of its answers marked. Opening it answers nothing: a person presses the button."""
    # Airflow's form reads a list in JSON; `generate_link_to_ui` of 3.3 writes Python's, and drops a path of base_url
    return f"{answer}?{urlencode({'_options': json.dumps([option])})}"


def run_address(dag_id: str, dag_run_id: str) -> str:
    """The absolute address of a run's page in Airflow."""
    return f"{_base()}{_run(dag_id, dag_run_id)}"


def dag_address(dag_id: str) -> str:
    """The absolute address of a DAG's page in Airflow."""
    return f"{_base()}/dags/{quote(dag_id, safe='')}"


def rollback_address(migration: str) -> str:
    """The absolute address of what a rollback would take back now."""
    return f"{_base()}/cutover/dags/{quote(migration, safe='')}/rollback"


def revert_address(migration: str, entry: int) -> str:
    """The absolute address of the page on which a swap is taken back by its revert window. Opening it does nothing."""
    return f"{_base()}/cutover/dags/{quote(migration, safe='')}/ledger/{entry}/revert"


def _base() -> str:
    return str(conf.get("api", "base_url", fallback=None) or "").rstrip("/")


def _run(dag_id: str, dag_run_id: str) -> str:
    return f"/dags/{quote(dag_id, safe='')}/runs/{quote(dag_run_id, safe='')}"


class ReviewLink(BaseOperatorLink):
    """From the task ``approve`` to the whole review of its run."""

    name = "Review"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002
        """The review of the task's run."""
        return review_address(ti_key.dag_id, ti_key.run_id)
