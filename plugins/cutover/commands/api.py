"""Airflow's REST API, as one account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import requests

from cutover.errors import PROGRAM, CutoverError

_TIMEOUT = 30  # seconds
# Between two pieces of a file, in seconds: of a table with few differences most is read before the next one is found.
_FILE_TIMEOUT = 600
_PIECE = 65_536  # bytes


class RefusedError(CutoverError):
    """An answer that is no success. ``status`` is HTTP's."""

    def __init__(self, code: str, obj: str, why: str, remedy: str, *, status: int) -> None:
        super().__init__(code, obj, why, remedy)
        self.status = status


class Api:
    """A logged-in client.

    Every method raises CutoverError ``api.refused`` for an answer that is no success, ``api.not-signed-in`` for a login
    that Airflow does not take, and ``api.unreachable``.
    """

    def __init__(self, url: str, account: str, password: str) -> None:
        self.url = url
        self.account = account
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy between us and loopback
        token = self._request("POST", "/auth/token", json={"username": account, "password": password})
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def page(self, path: str) -> Any:
        """GET of a page of ours that answers in JSON."""
        return self._request("GET", f"/cutover/{path}")

    def pieces(self, path: str, **params: str) -> Iterator[bytes]:
        """GET of a file of ours, in pieces, as long as it may take. Raises CutoverError ``api.broken-off`` besides."""
        headers = {"Accept": "text/csv, application/json"}
        with self._answer(
            "GET", f"/cutover/{path}", params=params, headers=headers, stream=True, timeout=_FILE_TIMEOUT
        ) as answer:
            try:
                yield from answer.iter_content(_PIECE)
            except requests.RequestException as error:
                raise CutoverError(
                    "api.broken-off",
                    f"GET {path}",
                    f"the answer ended before it was whole ({type(error).__name__}): what came of it is not all.",
                    "throw it away and ask again; the API server's log says what has ended it.",
                ) from error

    def ask(self, path: str, fields: dict[str, str]) -> Any:
        """POST of a form to a page of ours that answers in JSON."""
        return self._request("POST", f"/cutover/{path}", data=fields)

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
        return self._answer(method, path, **arguments).json()

    def _answer(self, method: str, path: str, timeout: int = _TIMEOUT, **arguments: Any) -> requests.Response:
        try:
            answer = self._session.request(method, self.url + path, timeout=timeout, **arguments)
        except requests.RequestException as error:
            raise CutoverError(
                "api.unreachable",
                self.url,
                f"Airflow does not answer: {type(error).__name__}.",
                f"start Airflow ({PROGRAM} up in a checkout), or set the address of the one that is meant.",
            ) from error
        if not answer.ok:
            if path == "/auth/token":
                raise CutoverError(
                    "api.not-signed-in",
                    f"account {self.account}",
                    "Airflow does not take this name and password.",
                    "type them anew. After .local/passwords.json was removed run `./run up` once.",
                )
            ours = _ours(answer)
            if ours is not None:
                raise RefusedError(*ours, status=answer.status_code)
            raise RefusedError(
                "api.refused",
                f"{method} {path} as {self.account}",
                f"Airflow answered {answer.status_code}: {_detail(answer)}",
                "read the answer above.",
                status=answer.status_code,
            )
        return answer


def _detail(answer: requests.Response) -> str:
    """What a refusal says; the whole of it where it is not in Airflow's form."""
    try:
        return str(answer.json()["detail"])[:500]
    except (ValueError, KeyError, TypeError):
        return answer.text[:500]


def _ours(answer: requests.Response) -> tuple[str, str, str, str] | None:
    """Code, object, why and remedy of an error that a page of ours answers with; None for any other."""
    try:
        error = answer.json()["error"]
        return error["code"], error["object"], error["why"], error["remedy"]
    except (ValueError, KeyError, TypeError):
        return None


def run_path(dag_id: str, run_id: str) -> str:
    """The path of a DAG run; a run id holds characters that a path cannot."""
    return f"dags/{quote(dag_id, safe='')}/dagRuns/{quote(run_id, safe='')}"
