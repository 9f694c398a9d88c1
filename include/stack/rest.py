"""Airflow's REST API, as one account."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import requests

from cutover.errors import CutoverError

_TIMEOUT = 30  # seconds


class Api:
    """A logged-in client. Every method raises CutoverError ``stack.api-refused`` for an answer that is no success."""

    def __init__(self, url: str, account: str, password: str) -> None:
        self.url = url
        self.account = account
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between us and loopback
        token = self._request("POST", "/auth/token", json={"username": account, "password": password})
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def get(self, path: str, **params: str | int) -> Any:
        """GET below /api/v2."""
        return self._request("GET", f"/api/v2/{path}", params=params)

    def post(self, path: str, body: object) -> Any:
        """POST below /api/v2."""
        return self._request("POST", f"/api/v2/{path}", json=body)

    def patch(self, path: str, body: object) -> Any:
        """PATCH below /api/v2."""
        return self._request("PATCH", f"/api/v2/{path}", json=body)

    def exists(self, path: str) -> bool:
        """Whether GET finds something there."""
        answer = self._session.get(f"{self.url}/api/v2/{path}", timeout=_TIMEOUT)
        return answer.status_code == 200

    def _request(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = self._session.request(method, self.url + path, timeout=_TIMEOUT, **arguments)
        except requests.RequestException as error:
            raise CutoverError(
                "stack.api-unreachable",
                self.url,
                f"Airflow does not answer: {type(error).__name__}.",
                "start it with `./run up`; the logs are in .local/logs.",
            ) from error
        if not answer.ok:
            raise CutoverError(
                "stack.api-refused",
                f"{method} {path} as {self.account}",
                f"Airflow answered {answer.status_code}: {answer.text[:500]}",
                "read the answer above; after removing .local/passwords.json run `./run up` once.",
            )
        return answer.json()


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a DAG run; a run id holds characters that a path cannot."""
    return f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
