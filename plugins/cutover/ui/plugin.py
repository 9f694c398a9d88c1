"""The Airflow plugin: launches, their reviews, Data Docs and the ledger inside Airflow's UI.

Every Airflow process imports this when it looks for plugins, so it imports nothing itself: the application is made when
its first request comes. Its routes are in ``cutover.ui.app``.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from cutover.operators.links import ReviewLink


async def pages(scope: Any, receive: Any, send: Any) -> None:
    """The application of ``cutover.ui.app``, imported at the first request."""
    from cutover.ui.app import app

    await app(scope, receive, send)


def one_answer(app: Any) -> Any:
    """The middleware of ``cutover.ui.answers``, imported where it is asked for: in the API server."""
    from cutover.ui.answers import one_answer as middleware

    return middleware(app)


class CutoverPlugin(AirflowPlugin):
    """What Airflow is told about the pages."""

    name = "cutover"
    fastapi_apps: list[Any] = [{"app": pages, "url_prefix": "/cutover", "name": "Cutover"}]  # noqa: RUF012
    fastapi_root_middlewares: list[Any] = [{"middleware": one_answer, "name": "One answer to one question"}]  # noqa: RUF012
    operator_extra_links: list[Any] = [ReviewLink()]  # noqa: RUF012
    external_views: list[Any] = [  # noqa: RUF012
        # Without a route of their own inside Airflow these open as whole pages: their links lead back to Airflow.
        {"name": "Launches and Data Docs", "href": "/cutover/", "destination": "nav", "category": "browse"},
        {"name": "Ledger", "href": "/cutover/ledger", "destination": "nav", "category": "browse"},
        {
            "name": "Review",
            "href": "/cutover/dags/{DAG_ID}/runs/{RUN_ID}/review",
            "destination": "dag_run",
            "url_route": "cutover-review",
        },
        {
            "name": "Data Docs",
            "href": "/cutover/dags/{DAG_ID}/runs/{RUN_ID}/docs",
            "destination": "dag_run",
            "url_route": "cutover-data-docs",
        },
    ]
