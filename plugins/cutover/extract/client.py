"""HTTP towards one API: proof of identity, pacing, retries, and errors that say what was waited for.

The key travels in a header that only this module knows. It is not in a URL, and whatever text leaves this module
(an error, a reason to wait) has been searched for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import socket
import ssl
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from http.cookiejar import DefaultCookiePolicy
from typing import Generic, TypeVar
from urllib.parse import SplitResult, quote, quote_plus, unquote, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from cutover.errors import CutoverError
from cutover.extract import proxy
from cutover.extract.page import BodyError
from cutover.extract.rates import Clock, Pacer, seconds_until, server_time
from cutover.masking import masked_text
from cutover.migration.source import Service

T = TypeVar("T")

CONNECT_TIMEOUT = 10.0
FIRST_BACK_OFF = 0.5
LONGEST_BACK_OFF = 30.0
# A quota by the minute never asks for more.
LONGEST_PACING = 120.0
_CHUNK = 1 << 20
# So often a complete answer of another shape is asked for again: an error page that says 200 may be a passing one.
_ANOTHER_SHAPE_TRIES = 3
# Headers that prove who one is.
_CREDENTIAL = re.compile("auth|key|token|secret|cookie|passw|signature", re.IGNORECASE)
# What requests says of an address or a header that nothing can be sent to or with.
_UNUSABLE = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidHeader,
)


class RefusedError(Exception):
    """The API refused this request and will refuse it again: a 4xx that is about the request itself."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        self.why = why
        super().__init__(f"{status} {why}")


class StoppedError(Exception):
    """Another part of the sync has failed; this one was told to stop."""


class _PassingError(Exception):
    """Worth a retry: after ``wait`` seconds if the server said so, else after a back-off."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        self.reason = reason
        self.wait = wait
        super().__init__(reason)


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A response that was read: what it says, when it came, and its size in bytes as sent.

    ``next`` is the address that the header Link calls the next one.
    """

    content: T
    request: str
    fetched_at: datetime
    size: int
    next: str | None = None


@dataclass(frozen=True)
class Access:
    """What an Airflow connection says about an API: where it is, the key, and how much of it may be used.

    ``ceiling``: requests a minute for each endpoint. ``patience``: seconds that one page may be waited for on
    account of failures before the sync gives up, those included in which an answer failed to come. ``timeout``:
    seconds for one response, start to end.
    ``limit_window``: overrides the declared window of the rate limit. ``authorities``: a file of the certificate
    authorities to trust, where it is not the usual ones; None for those. ``user``: the login that goes with the key.
    ``open``: makes the session with what else the connection says (headers, proxies, a client's certificate).
    """

    connection: str
    base_url: str
    secret: str
    user: str | None = None
    open: Callable[[], requests.Session] = requests.Session
    ceiling: int | None = None
    patience: float = 300.0
    timeout: float = 120.0
    limit_window: float | None = None
    authorities: str | None = None

    def __repr__(self) -> str:
        return f"Access(connection={self.connection!r}, base_url={self.base_url!r})"


class Endpoint:
    """One endpoint of one API, asked by any number of threads."""

    def __init__(
        self,
        access: Access,
        service: Service,
        path: str,
        *,
        permission: str | None = None,
        clock: Clock | None = None,
        on_wait: Callable[[float, str], None] = lambda _seconds, _reason: None,
    ) -> None:
        self.path = path
        self.clock = clock or Clock()
        self.stop = threading.Event()
        self.requests = 0
        self.retries = 0
        # seconds, by reason
        self.waited: defaultdict[str, float] = defaultdict(float)
        # Seconds by which the server's clock is behind ours, as its first response showed; None without one.
        self.clock_ahead: float | None = None
        self._access = access
        self._permission = permission
        self._on_wait = on_wait
        self._pacer = Pacer(
            self.clock,
            window=access.limit_window or service.limit_window,
            ceiling=access.ceiling,
            reserve=service.reserve,
        )
        self._lock = threading.Lock()
        self._session = _session(access, service)
        self._proxy = proxy.proxy_for(access.base_url, self._session.proxies, access.connection)
        self._session.proxies = {} if self._proxy is None else {"all": self._proxy.url}
        self._secrets = _secrets(access, self._session, self._proxy)

    @property
    def account(self) -> str:
        """Tells one API key from another without telling the key."""
        secret = self._access.secret or "".join(_own_headers(self._session))
        return hashlib.sha256(f"cutover account {secret}".encode()).hexdigest()[:12]

    @property
    def api(self) -> str:
        """The address of the API."""
        return self._access.base_url

    def close(self) -> None:
        """Give up the connections that are kept open."""
        self._session.close()

    def get(
        self, params: Mapping[str, str] | Sequence[tuple[str, str]], read: Callable[[bytes | bytearray], T]
    ) -> Answer[T]:
        """Ask for the page that ``params`` select, until it is there, and read it with ``read``.

        Retried are 408, 429, 5xx, time-outs, broken connections, and bodies that ``read`` refuses with BodyError.
        Raises RefusedError for any other 4xx, StoppedError when told to stop, and CutoverError
        ``extract.unauthorized``, ``extract.forbidden``, ``extract.redirected``, ``extract.bad-connection``,
        ``extract.certificate``, ``extract.no-such-host``, ``extract.proxy-login``, ``extract.proxy-refused``,
        ``extract.another-shape``, ``extract.gave-up``, ``extract.wait-too-long``.
        """
        return self._fetch(f"{self.path}?{urlencode(params)}" if params else self.path, read)

    def follow(self, link: str, read: Callable[[bytes | bytearray], T]) -> Answer[T]:
        """Ask for the page behind ``link``, a path and query as ``own`` gives them. Raises what ``get`` raises."""
        return self._fetch(link, read)

    def own(self, link: str, request: str) -> str:
        """Path and query of a link that the answer to ``request`` held, which must lead to this API.

        Raises CutoverError ``extract.foreign-link`` and ``extract.key-in-link``.
        """
        base = self._access.base_url.rstrip("/")
        obj = f"GET {request} (connection {self._access.connection})"
        try:
            target = urlsplit(urljoin(base + request, link.strip()))
            here = urlsplit(base)
            same = _authority(target) == _authority(here) and f"{target.path}/".startswith(f"{here.path}/")
            same = same and not {".", ".."} & set(unquote(target.path).split("/"))
        except ValueError:  # no address at all
            same = False
        if not same:
            raise CutoverError(
                "extract.foreign-link",
                obj,
                f"its link to the next page does not lead to {base}, but to {_shown(link)}; the key is not sent there.",
                "if that is the API's own address, put it into the connection; else ask who runs the API.",
            )
        followed = f"{target.path[len(here.path) :]}{'?' if target.query else ''}{target.query}"
        if self._redact(followed) != followed:
            raise CutoverError(
                "extract.key-in-link",
                obj,
                "its link to the next page holds the key, which would be stored and logged with it.",
                "page this source otherwise (`paging.by: page` or `offset`, if the API has it), with the key in a "
                "header alone.",
            )
        return followed

    def _fetch(self, request: str, read: Callable[[bytes | bytearray], T]) -> Answer[T]:
        """The answer to ``request``, as ``get`` says."""
        waited: defaultdict[str, float] = defaultdict(float)
        failures = 0
        while True:
            self._pacer.acquire(self._pace)
            if self.stop.is_set():
                self._pacer.settle({}, self.clock.now())
                raise StoppedError
            sent = self.clock.monotonic()
            try:
                body, following = self._send(request)
                return Answer(read(body), request, self.clock.now(), len(body), following)
            except BodyError as error:
                if error.whole and failures + 1 >= _ANOTHER_SHAPE_TRIES:
                    raise self._another_shape(request, error, body) from None
                passing = _PassingError(f"unreadable body ({self._redact(str(error))}; {_shape(body)})")
            except _PassingError as error:
                passing = error
            # An answer that never comes is waited for as well.
            waited[passing.reason] += self.clock.monotonic() - sent
            failures += 1
            with self._lock:
                self.retries += 1
            self._back_off(request, passing, failures, waited)

    def _another_shape(self, request: str, error: BodyError, body: bytearray) -> CutoverError:
        return CutoverError(
            "extract.another-shape",
            f"GET {request} (connection {self._access.connection})",
            f"the API answers 200 with complete JSON that is no page of rows ({error}): {_shape(body)}; it says "
            f"{masked_text(self._redact(explanation(body)))[:300]}.",
            "compare the address in the connection, and the declaration of the source in migration.yaml (`rows`), with "
            "the API's documentation; then clear the task.",
        )

    def _back_off(self, request: str, passing: _PassingError, failures: int, waited: dict[str, float]) -> None:
        """Wait before the next try, or raise ``extract.gave-up`` when this page has been waited for too long."""
        longest = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(failures - 1, 16))
        if passing.wait is None:
            seconds = random.uniform(longest / 2, longest)
        else:
            # Everyone who was refused at the same moment would otherwise come back at the same moment.
            seconds = passing.wait + random.uniform(0, min(1.0, FIRST_BACK_OFF * failures))
        spent = sum(waited.values())
        if spent + seconds > self._access.patience:
            history = "; ".join(f"{reason}, waited {spent_on:.1f} s" for reason, spent_on in waited.items())
            tries = "one try" if failures == 1 else f"{failures} tries in a row"
            raise CutoverError(
                "extract.gave-up",
                f"GET {request} (connection {self._access.connection})",
                f"{tries} brought nothing of use, the last one: {passing.reason}. The next try would be in "
                f"{seconds:.1f} s; {self._access.patience:g} s are the most that one page is waited for. "
                f"So far: {history}.",
                "see whether the API is up, then clear the task: it goes on at this page. "
                "More patience: `patience` in the connection's extra.",
            )
        waited[passing.reason] += seconds
        if passing.wait is not None:
            self._pacer.hold(seconds, passing.reason)
        else:
            self._wait(seconds, passing.reason)

    def _pace(self, seconds: float, reason: str) -> None:
        """Wait for the rate limit. Raises ``extract.wait-too-long`` for a wait that nobody can mean."""
        if seconds > max(self._access.patience, LONGEST_PACING):
            raise CutoverError(
                "extract.wait-too-long",
                f"{self.path} (connection {self._access.connection})",
                f"the API asks to wait {seconds:,.0f} s: {reason}.",
                "clear the task after that time: it goes on where it is. "
                "If others use up the quota, lower `ceiling` in the connection's extra.",
            )
        self._wait(seconds, reason)

    def _wait(self, seconds: float, reason: str) -> None:
        if self.stop.is_set():
            raise StoppedError
        with self._lock:
            self.waited[reason.split(" (", maxsplit=1)[0]] += seconds
        self._on_wait(seconds, reason)
        self.clock.sleep(seconds, self.stop)

    def _send(self, request: str) -> tuple[bytearray, str | None]:
        """One request: its whole body, and the next link of its headers.

        Raises _PassingError, RefusedError or CutoverError.
        """
        with self._lock:
            self.requests += 1
        deadline = self.clock.monotonic() + self._access.timeout
        headers: Mapping[str, str] = {}
        try:
            with self._session.get(
                self._access.base_url.rstrip("/") + request,
                timeout=(CONNECT_TIMEOUT, self._access.timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                headers = response.headers
                body = _in_utf8(self._body(response.raw, deadline), headers)
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise _PassingError("time-out") from error
        except _UNUSABLE as error:
            raise CutoverError(
                "extract.bad-connection",
                f"connection {self._access.connection}",
                f"no request can be made of its address and key ({type(error).__name__}).",
                "set its host to the API's address, such as https://api.example.com, and its login or password to "
                "the key alone.",
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
            self._refuse_what_stays(error)
            raise _PassingError(f"broken connection ({self._broken(error)})") from error
        finally:
            self._pacer.settle(headers, server_time(headers) or self.clock.now())
        self._compare_clocks(headers)
        if response.status_code == 204:
            return bytearray(b"null"), None  # nothing, or nothing more
        if response.status_code != 200:
            self._refuse(request, response, body)
        return body, response.links.get("next", {}).get("url")

    def _refuse_what_stays(self, error: BaseException) -> None:
        """Raise CutoverError for a broken connection that no waiting mends: a certificate, a name, a port, a proxy."""
        if self._proxy is not None:
            obj = f"connection {self._access.connection}"
            proxy.refuse_what_stays(_chain(error), self._proxy, self._access.base_url, obj)
        for below in _chain(error):
            if isinstance(below, ssl.SSLCertVerificationError):
                raise CutoverError(
                    "extract.certificate",
                    f"connection {self._access.connection}",
                    f"the certificate of {self._access.base_url} is not trusted: {below.verify_message}.",
                    "behind a proxy that inspects, or with an authority of your own, name its file: `verify` in the "
                    "connection's extra, or REQUESTS_CA_BUNDLE; then clear the task.",
                ) from None
            if isinstance(below, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(below):
                raise CutoverError(
                    "extract.certificate",
                    f"connection {self._access.connection}",
                    f"{self._access.base_url} asks for a client's certificate.",
                    "name its file and that of its key: `cert` in the connection's extra, [certificate, key]; then "
                    "clear the task.",
                ) from None
            if isinstance(below, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(below):
                raise CutoverError(
                    "extract.bad-connection",
                    f"connection {self._access.connection}",
                    f"what answers at {self._access.base_url} does not speak TLS.",
                    "correct host and port of the connection.",
                ) from None
            if isinstance(below, socket.gaierror) and below.errno == socket.EAI_NONAME:
                raise CutoverError(
                    "extract.no-such-host",
                    f"connection {self._access.connection}",
                    f"no such host is known: {self._access.base_url}.",
                    "correct the host of the connection, or the machine's name service; then clear the task.",
                ) from None

    def _broken(self, error: BaseException) -> str:
        """Why a connection broke. A server that is shown no certificate may just end it, and not say so."""
        ended = any(isinstance(below, ssl.SSLError) for below in _chain(error))
        if ended and self._session.cert is None:
            return "TLS was ended, as by a server that asks for a client's certificate: `cert` in the extra"
        if self._proxy is None:
            return _cause(error)
        status = next(filter(None, map(proxy.tunnel_status, _chain(error))), None)
        return f"{f'answer {status}' if status else _cause(error)}, by way of the proxy {self._proxy.shown}"

    def _body(self, response: urllib3.BaseHTTPResponse, deadline: float) -> bytearray:
        """The body, decompressed. What has come is taken at once, so that one that trickles in is noticed in time."""
        body = bytearray()
        while chunk := response.read1(_CHUNK, decode_content=True):
            body += chunk
            if self.clock.monotonic() > deadline:
                raise requests.exceptions.ReadTimeout
        return body

    def _compare_clocks(self, headers: Mapping[str, str]) -> None:
        if self.clock_ahead is None:
            server = server_time(headers)
            if server is not None:
                # The header has whole seconds: a difference of one says nothing.
                behind = (self.clock.now() - server).total_seconds()
                self.clock_ahead = behind if abs(behind) > 2 else 0.0

    def _refuse(self, request: str, response: requests.Response, body: bytearray) -> None:
        """Turn an answer other than 200 into the exception it stands for."""
        status, headers = response.status_code, response.headers
        # an API that quotes what it refuses may quote a customer
        why = masked_text(self._redact(explanation(body)))[:300].rstrip(".")
        obj = f"GET {request} (connection {self._access.connection})"
        if status == 401:
            raise CutoverError(
                "extract.unauthorized",
                obj,
                f"the API answered 401 {why}.",
                f"put a valid key{self._with_permission()} into connection {self._access.connection}, "
                "then clear the task.",
            )
        if status == 403:
            raise CutoverError(
                "extract.forbidden",
                obj,
                f"the API answered 403 {why}.",
                f"give the key of connection {self._access.connection} the permission it lacks"
                f"{self._with_permission()}, then clear the task.",
            )
        if status == 407 and self._proxy is not None:
            raise proxy.login_missing(self._proxy, f"connection {self._access.connection}")
        if 300 <= status < 400:
            raise CutoverError(
                "extract.redirected",
                obj,
                f"the API answered {status}, to another address; the key is not sent there.",
                f"put the API's own address into connection {self._access.connection}.",
            )
        now = server_time(headers) or self.clock.now()
        if status == 429:
            known = ("Retry-After", "Rate-Limit-Reset", "X-RateLimit-Refill")
            waits = (seconds_until(headers.get(name), now) for name in known)
            raise _PassingError("429", next((wait for wait in waits if wait is not None), None))
        if status >= 500 or status == 408:
            raise _PassingError(str(status), seconds_until(headers.get("Retry-After"), now))
        raise RefusedError(status, why)

    def _with_permission(self) -> str:
        return f" with the permission {self._permission}" if self._permission else ""

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def explanation(body: bytes | bytearray) -> str:
    """What an error body says, in one line. Messages are localised, so nothing may depend on it."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return "without an explanation"
    if not isinstance(said, dict):
        return "without an explanation"
    code = next((said[name] for name in ("error_code", "errorCode", "error", "title") if said.get(name)), "")
    violations = said.get("violations")
    listed = violations if isinstance(violations, list) else []
    where = [item.get("propertyPath") for item in listed if isinstance(item, dict)]
    message = said.get("message") or said.get("detail") or ""
    text = " ".join(str(part) for part in (code, message, *where) if part)
    # It is going to be stored: without what PostgreSQL refuses in a text.
    return " ".join(text.replace("\0", " ").encode(errors="replace").decode().split()) or "without an explanation"


def _shape(body: bytes | bytearray) -> str:
    """What a body looks like, without a word of it: a page of customers that was cut is a page of customers."""
    first = bytes(body[:200]).lstrip()[:1]
    kinds = {b"": "nothing", b"{": "an object", b"[": "a list", b"<": "a page of HTML or XML", b'"': "a text"}
    return f"{len(body):,} bytes that begin like {kinds.get(first, 'something else')}"


def _in_utf8(body: bytearray, headers: Mapping[str, str]) -> bytearray:
    """The body as UTF-8, where its headers say that it came in another encoding and it can be read in that."""
    declared = Message()
    declared["Content-Type"] = headers.get("Content-Type", "")
    charset = declared.get_content_charset()
    if charset is None or charset in ("utf-8", "utf8", "us-ascii"):
        return body
    try:
        return bytearray(body.decode(charset).encode())
    except (LookupError, UnicodeError):
        return body


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what is below it: what caused it, what it came up in, and what requests and urllib3 wrap."""
    causes: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        one = waiting.pop()
        if not any(one is known for known in causes):
            causes.append(one)
            below = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
            waiting += [each for each in below if isinstance(each, BaseException)]
    return causes


def _cause(error: BaseException) -> str:
    """The system's own words for why a connection broke, or else the kind of the error at the bottom of it."""
    while True:
        if isinstance(error, OSError) and error.strerror:
            return error.strerror
        below = error.__cause__ or error.__context__
        if below is None:
            return type(error).__name__
        error = below


def _authority(split: SplitResult) -> tuple[str, int | None]:
    """Host and port of an address; whether it says http or https is the connection's to decide."""
    standard = {"http": 80, "https": 443}
    port = split.port or standard.get(split.scheme)
    return (split.hostname or "").rstrip("."), None if port in standard.values() else port


def _shown(link: str) -> str:
    """As much of a link as a message may have: without what a query holds."""
    split = urlsplit(link.strip()[:300])
    return repr(f"{split.scheme}://{split.hostname}" if split.hostname else split.path)


def _session(access: Access, service: Service) -> requests.Session:
    session = access.open()
    # The environment names a proxy, and is asked for that alone: no .netrc may replace the connection's key.
    session.trust_env = False
    if access.authorities is not None:
        session.verify = access.authorities
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["Accept"] = "application/json"
    session.auth = None
    if service.auth == "basic":
        session.headers["Authorization"] = f"Basic {_basic(access)}"
    elif service.auth == "bearer":
        session.headers["Authorization"] = f"Bearer {access.secret}"
    elif service.auth == "header":
        session.headers[service.header] = access.secret
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=8, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _own_headers(session: requests.Session) -> list[str]:
    """The values of the headers that look as if whoever has them could act as somebody."""
    values = (value for name, value in session.headers.items() if _CREDENTIAL.search(name))
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in values]


def _basic(access: Access) -> str:
    credentials = f"{access.secret}:" if access.user is None else f"{access.user}:{access.secret}"
    return base64.b64encode(credentials.encode()).decode()


def _secrets(access: Access, session: requests.Session, between: proxy.Proxy | None) -> list[str]:
    """What no text that leaves this module may hold: the key, headers of the connection's own, a proxy's password."""
    ours = (access.secret, *_own_headers(session), *(between.secrets if between else ()))
    spellings = {text for secret in ours for text in _spellings(secret)}
    return sorted(spellings, key=len, reverse=True)


def _spellings(secret: str) -> list[str]:
    """The key in the ways it could be quoted back at us; a very short one would redact half the language.

    The longest first: what is left of a key after a part of it was replaced is still a part of the key.
    """
    encoded = [base64.b64encode(text.encode()).decode() for text in (secret, f"{secret}:", f":{secret}")]
    encoded += [text.replace("+", "-").replace("/", "_") for text in encoded]
    encoded += [text.rstrip("=") for text in encoded]
    quoted = [quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]]
    quoted += [re.sub("%..", lambda escape: escape.group().lower(), text) for text in quoted]
    spellings = dict.fromkeys([secret, *encoded, *quoted, *(quote(text, safe="") for text in encoded)])
    return sorted((spelling for spelling in spellings if len(spelling) > 5), key=len, reverse=True)
