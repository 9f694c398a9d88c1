"""To devices, by the REST interface of Firebase Cloud Messaging (HTTP v1), signed in as a service account."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cutover.announce.channels import SENT, Letter, Outcome, deferred, failed, unknown
from cutover.errors import CutoverError
from cutover.extract.rates import seconds_until

if TYPE_CHECKING:
    import requests

GOOGLE = "https://fcm.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Google gives no token for longer, and a longer claim is refused. Seconds.
_TOKEN_S = 3_600
# A token is asked for anew so long before it ends: no request may arrive with one that has ended on the way.
_MARGIN_S = 120
# Connecting, and then waiting for the answer, may take so long. What takes longer may have been delivered.
_TIMEOUT_S = (5.0, 30.0)
# What FCM advises to wait when it says that its quota is used up and not for how long.
_QUOTA_WAIT_S = 60.0


@dataclass
class Push:
    """A service account, and the one access token that all threads share."""

    account: dict[str, Any]
    host: str = GOOGLE
    _token: tuple[str, float] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def from_key(cls, key: str, host: str, connection_id: str) -> Push:
        """From the JSON that Google gives for a service account. Raises ``announce.bad-connection``."""
        wanted = ("project_id", "client_email", "private_key", "token_uri")
        try:
            account = json.loads(key)
            missing = [name for name in wanted if not account.get(name)]
        except (ValueError, AttributeError):
            missing = list(wanted)
        if missing:
            raise CutoverError(
                "announce.bad-connection",
                f"connection {connection_id}",
                f"its password is not the JSON key of a service account: {', '.join(missing)} is missing.",
                "set it; docs/announcements.md has an example.",
            )
        return cls(account, host or GOOGLE)

    @contextmanager
    def open(self) -> Iterator[_Session]:
        """A session for one thread."""
        import requests

        with requests.Session() as session:
            yield _Session(self, session)

    def token(self, session: requests.Session, instead_of: str | None = None) -> str:
        """An access token; another one than ``instead_of``. Raises ``announce.refused``."""
        with self._lock:
            if self._token and self._token[0] != instead_of and time.time() < self._token[1] - _MARGIN_S:
                return self._token[0]
            self._token = self._sign_in(session)
            return self._token[0]

    def _sign_in(self, session: requests.Session) -> tuple[str, float]:
        import jwt

        now = time.time()
        claims = {
            "iss": self.account["client_email"],
            "scope": _SCOPE,
            "aud": self.account["token_uri"],
            "iat": int(now),
            "exp": int(now) + _TOKEN_S,
        }
        signed = jwt.encode(
            claims, self.account["private_key"], algorithm="RS256", headers={"kid": self.account.get("private_key_id")}
        )
        answer = session.post(
            self.account["token_uri"], data={"grant_type": _GRANT, "assertion": signed}, timeout=_TIMEOUT_S
        )
        if answer.status_code >= 500:
            answer.raise_for_status()
        if not answer.ok:
            raise _refused(f"its sign-in answered {answer.status_code} to the service account")
        token = answer.json()
        return str(token["access_token"]), now + float(token.get("expires_in", _TOKEN_S))


@dataclass
class _Session:
    push: Push
    http: requests.Session

    def deliver(self, letter: Letter) -> Outcome:
        """Deliver to one device. Raises ``announce.refused`` when the service account may not."""
        import requests

        try:
            token = self.push.token(self.http)
        except requests.RequestException as error:
            return deferred(f"no sign-in ({type(error).__name__})")
        try:
            answer = self._post(letter, token)
            if answer.status_code == 401:
                # a token can be withdrawn before its time; nothing was delivered
                answer = self._post(letter, self.push.token(self.http, instead_of=token))
        except requests.ConnectTimeout:
            return deferred("no connection in time")
        except requests.ConnectionError as error:
            return deferred("no connection") if _was_not_connected(error) else unknown("the connection broke")
        except requests.RequestException as error:
            return unknown(f"no answer ({type(error).__name__})")
        return _outcome(answer)

    def _post(self, letter: Letter, token: str) -> requests.Response:
        address = f"{self.push.host}/v1/projects/{self.push.account['project_id']}/messages:send"
        message = {
            "token": letter.recipient,
            "notification": {"title": letter.subject, "body": letter.push},
            "data": {"campaign": letter.campaign, "letter": letter.letter},
            # a device that gets it twice shows it once
            "android": {"collapse_key": letter.campaign, "notification": {"tag": letter.letter}},
            "apns": {"headers": {"apns-collapse-id": letter.letter}},
        }
        return self.http.post(
            address, json={"message": message}, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT_S
        )


def _was_not_connected(error: Exception) -> bool:
    """Whether the connection was never made, so that nothing can have been delivered."""
    from urllib3.exceptions import NewConnectionError

    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(reason, NewConnectionError)


def _outcome(answer: requests.Response) -> Outcome:
    """What FCM's answer means. Its codes: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode"""
    if answer.ok:
        return SENT
    code = _code(answer)
    reason = f"{answer.status_code} {code}"
    wait_s = seconds_until(answer.headers.get("Retry-After"), datetime.now(timezone.utc))
    if code == "UNREGISTERED":
        return failed(reason, dead=True)
    if answer.status_code == 429:
        return deferred(reason, _QUOTA_WAIT_S if wait_s is None else wait_s)
    if answer.status_code == 503:
        return deferred(reason, wait_s)
    if answer.status_code >= 500:
        return unknown(reason)
    if answer.status_code in (401, 403) and code != "SENDER_ID_MISMATCH":
        raise _refused(f"it answered {reason} to the service account")
    if answer.status_code == 404:
        raise _refused(f"it answered {reason}: there is no such project")
    return failed(reason)


def _code(answer: requests.Response) -> str:
    """FCM's own error code if there is one, else Google's status."""
    try:
        error = answer.json()["error"]
        codes = [detail["errorCode"] for detail in error.get("details", []) if "errorCode" in detail]
        return str(codes[0] if codes else error.get("status", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""


def _refused(why: str) -> CutoverError:
    return CutoverError(
        "announce.refused",
        "Firebase Cloud Messaging",
        f"{why}.",
        "see that the key is valid, the project right, and the account may send; then clear the task send.",
    )
