"""What the client retries, what it waits for, and what it says when it gives up."""

from __future__ import annotations

import base64
import gzip
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cutover.errors import CutoverError
from cutover.extract.client import Access, Endpoint, RefusedError
from cutover.extract.page import BodyError, reader
from cutover.extract.rates import Clock
from cutover.migration.source import Service
from demo.simulators.server import Request, Response
from tests.extract.conftest import MIGRATION
from tests.extract.scripted import Scripted

KEY = "xnd_development_not_to_be_seen"
BASIC = Service(auth="basic", limit_window=60)
OK = Response(200, b'{"fine":true}')


class Recorded(Clock):
    """Sleeps are written down and not slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self._ahead

    def sleep(self, seconds: float, until: threading.Event) -> None:
        self.slept.append(seconds)
        self._ahead += seconds


@contextmanager
def endpoint(
    answers: list[Response] | Callable[[Request], Response], service: Service = BASIC, **access: Any
) -> Iterator[tuple[Endpoint, Recorded, Scripted]]:
    """An endpoint whose server gives ``answers`` one after the other, the last one for ever."""
    left = list(answers) if isinstance(answers, list) else []

    def handler(request: Request) -> Response:
        if callable(answers):
            return answers(request)
        return left.pop(0) if len(left) > 1 else left[0]

    with Scripted(handler) as server:
        clock = Recorded()
        settings = {"base_url": server.url, "secret": KEY, "timeout": 2.0, **access}
        endpoint = Endpoint(Access("xendit", **settings), service, "/things", permission="Thing Read", clock=clock)
        yield endpoint, clock, server
        endpoint.close()


def read(body: bytes | bytearray) -> Any:
    """JSON, or a body that is worth another try."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise BodyError(str(error)) from error


def refusal(status: int, headers: dict[str, str] | None = None, **body: Any) -> Response:
    """An error answer."""
    return Response(status, json.dumps(body).encode(), headers or {})


HTML = Response(503, b"<html>Service Unavailable</html>", content_type="text/html")


@pytest.mark.parametrize(
    "bad",
    [
        refusal(429),
        refusal(500),
        refusal(502),
        HTML,
        refusal(504),
        refusal(408),
        Response(200, b'{"fine":tr'),
        Response(200, b"<html>maintenance</html>", content_type="text/html"),
        Response(200, b'{"fine":true}', broken="cut"),
        Response(200, b'{"fine":true}', broken="reset"),
    ],
    ids=lambda response: f"{response.status} {response.broken or response.body[:12]!r}",
)
def test_a_passing_failure_is_tried_again(bad: Response) -> None:
    with endpoint([bad, bad, OK]) as (things, clock, server):
        answer = things.get({"limit": "10"}, read)
        assert answer.content == {"fine": True}
        assert answer.request == "/things?limit=10"
        assert len(server.requests) == 3
        assert things.retries == 2
        assert 0 < sum(clock.slept) <= 0.5 + 1.0


def test_a_slow_answer_is_given_up_and_asked_for_again() -> None:
    with endpoint([Response(200, b"{}", delay=3.0), OK], timeout=0.3) as (things, _clock, server):
        assert things.get({}, read).content == {"fine": True}
        assert len(server.requests) == 2
        assert "time-out" in things.waited


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"Retry-After": "7"}, 7, 8),
        ({"Retry-After": "date"}, 6, 9),
        ({"Rate-Limit-Reset": "12.34"}, 12.34, 13.4),
        ({"X-RateLimit-Refill": "9"}, 9, 10),
        ({"X-RateLimit-Refill": "epoch"}, 6, 9),
        ({"X-RateLimit-Refill": "iso"}, 6, 9),
        # the server's own word on this refusal counts before what it says of the quota in general
        ({"Retry-After": "3", "Rate-Limit-Reset": "50"}, 3, 4),
        ({}, 0.25, 0.5),
    ],
)
def test_a_429_is_waited_for_as_long_as_the_server_says(headers: dict[str, str], least: float, most: float) -> None:
    def handler(_request: Request) -> Response:
        if len(server.requests) > 1:
            return OK
        later = datetime.now(timezone.utc) + timedelta(seconds=8)
        forms = {"date": format_datetime(later, usegmt=True), "epoch": str(int(later.timestamp())), "iso": str(later)}
        return refusal(429, {name: forms.get(value, value) for name, value in headers.items()})

    with endpoint(handler) as (things, clock, server):
        things.get({}, read)
        assert least <= sum(clock.slept) <= most
        assert things.waited["429"] == sum(clock.slept)


def test_a_time_that_the_server_gives_is_taken_by_the_servers_clock() -> None:
    """Ours is two hours behind: by it, the quota would be refilled in two hours."""
    server_now = datetime.now(timezone.utc) + timedelta(hours=2)
    later = format_datetime(server_now + timedelta(seconds=5), usegmt=True)
    first = refusal(429, {"Date": format_datetime(server_now, usegmt=True), "Retry-After": later})
    with endpoint([first, OK]) as (things, clock, _server):
        things.get({}, read)
        assert 4 <= sum(clock.slept) <= 7


def test_waits_grow_and_differ() -> None:
    with endpoint([*[HTML] * 6, OK]) as (things, clock, _server):
        things.get({}, read)
        for number, seconds in enumerate(clock.slept):
            assert 0.25 * 2**number <= seconds <= 0.5 * 2**number
        assert len({round(seconds / 2**number, 3) for number, seconds in enumerate(clock.slept)}) > 2


def test_giving_up_says_what_was_waited_for() -> None:
    with endpoint([refusal(429, {"Retry-After": "20"}), HTML], patience=60.0) as (things, clock, _server):
        with pytest.raises(CutoverError) as raised:
            things.get({"limit": "10"}, read)
        error = raised.value
        assert error.code == "extract.gave-up"
        assert "GET /things?limit=10 (connection xendit)" in str(error)
        assert "tries in a row brought nothing of use, the last one: 503." in error.why
        assert "429, waited 2" in error.why
        assert "503, waited" in error.why
        assert "60 s are the most" in error.why
        assert sum(clock.slept) <= 60


def test_a_server_that_is_not_there_is_given_up() -> None:
    things = Endpoint(Access("xendit", "http://127.0.0.1:9", KEY, patience=5.0), BASIC, "/things", clock=Recorded())
    with pytest.raises(CutoverError, match=r"\[extract.gave-up\].*broken connection \(Connection refused\)"):
        things.get({}, read)


def test_the_time_in_which_no_answer_came_counts_as_waiting() -> None:
    """Three hanging answers would otherwise be three times the time-out beyond what one page is waited for."""
    with endpoint([Response(200, b"{}", delay=3.0)], timeout=0.3, patience=2.5) as (things, clock, server):
        with pytest.raises(CutoverError, match=r"\[extract.gave-up\].*time-out, waited"):
            things.get({}, read)
        # what was slept alone has not used up the patience
        assert sum(clock.slept) < 2.5
        assert len(server.requests) <= 3


@contextmanager
def trickling(chunk: bytes, fallen: list[bytes]) -> Iterator[str]:
    """A server whose body comes in 80 drops, a tenth of a second apart; those that were sent are in ``fallen``."""

    class Drops(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            with suppress(OSError):
                for _ in range(80):
                    self.wfile.write(chunk)
                    fallen.append(chunk)
                    time.sleep(0.1)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Drops) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_answer_that_trickles_in_is_given_up_after_the_time_for_one_answer() -> None:
    """Each drop comes in time, so that the socket's own time-out never sees anything wrong."""
    fallen: list[bytes] = []
    with trickling(b"x" * 10, fallen) as url:
        access = Access("xendit", url, KEY, timeout=0.5, patience=0.4)
        things = Endpoint(access, BASIC, "/things", clock=Recorded())
        with pytest.raises(CutoverError, match=r"\[extract.gave-up\].*time-out"):
            things.get({}, read)
        assert len(fallen) < 80


@pytest.mark.parametrize(
    ("address", "key"), [("xendit.example.com", KEY), ("htp://127.0.0.1:9", KEY), ("http://127.0.0.1:9", "two\nlines")]
)
def test_a_connection_that_no_request_can_be_made_of_is_an_error_at_once(address: str, key: str) -> None:
    service = Service(auth="header", header="X-API-Key")
    clock = Recorded()
    with pytest.raises(CutoverError, match=r"\[extract.bad-connection\] connection xendit") as raised:
        Endpoint(Access("xendit", address, key), service, "/things", clock=clock).get({}, read)
    assert clock.slept == []
    assert "two" not in str(raised.value)


def test_a_compressed_body_is_read_and_one_cut_short_is_asked_for_again() -> None:
    packed = gzip.compress(b'{"fine":"' + b"x" * 200_000 + b'"}')
    encoding = {"Content-Encoding": "gzip"}
    answers = [Response(200, packed[: len(packed) // 2], encoding), Response(200, packed, encoding)]
    with endpoint(answers) as (things, _clock, server):
        assert len(things.get({}, read).content["fine"]) == 200_000
        assert len(server.requests) == 2


def test_a_wait_that_nobody_can_mean_is_an_error_at_once() -> None:
    spent = Response(
        200, b"{}", {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0", "X-RateLimit-Refill": "86400"}
    )
    with endpoint([spent], Service(auth="header", header="X-API-Key")) as (things, clock, _server):
        things.get({}, read)
        with pytest.raises(CutoverError, match=r"\[extract.wait-too-long\].*86,400 s"):
            things.get({}, read)
        assert clock.slept == []


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            refusal(401, error_code="INVALID_API_KEY", message="The API key is invalid"),
            "extract.unauthorized",
            "401 INVALID",
        ),
        (
            refusal(403, error="FORBIDDEN", message="no"),
            "extract.forbidden",
            "permission it lacks with the permission Thing Read",
        ),
        (
            Response(302, b"", {"Location": "http://elsewhere.example/"}),
            "extract.redirected",
            "the key is not sent there",
        ),
    ],
)
def test_what_another_try_can_not_mend_ends_at_once(answer: Response, code: str, words: str) -> None:
    with endpoint([answer]) as (things, clock, server):
        with pytest.raises(CutoverError) as raised:
            things.get({}, read)
        assert raised.value.code == code
        assert words in str(raised.value)
        assert len(server.requests) == 1
        assert clock.slept == []


@pytest.mark.parametrize("member", ["error_code", "errorCode", "error"])
def test_the_code_of_a_refusal_is_found_under_any_of_its_names(member: str) -> None:
    answer = refusal(400, **{member: "API_VALIDATION_ERROR", "message": "limit is wrong"})
    with endpoint([answer]) as (things, _, _server), pytest.raises(RefusedError) as raised:
        things.get({}, read)
    assert str(raised.value) == "400 API_VALIDATION_ERROR limit is wrong"


def test_a_violation_is_told_by_its_path_since_its_text_may_be_in_any_language() -> None:
    body = {"detail": "Valor incorrecto", "violations": [{"propertyPath": "pagination.limit", "message": "Valor"}]}
    with endpoint([refusal(422, **body)]) as (things, _, _server), pytest.raises(RefusedError) as raised:
        things.get({}, read)
    assert str(raised.value) == "422 Valor incorrecto pagination.limit"


def test_the_key_is_sent_as_declared_and_a_netrc_does_not_replace_it(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with endpoint([OK]) as (things, _, server):
        things.get({}, read)
        assert server.requests[0].headers["authorization"].startswith("Basic eG5k")
    with endpoint([OK], Service(auth="header", header="X-API-Key")) as (things, _, server):
        things.get({}, read)
        assert server.requests[0].headers["x-api-key"] == KEY
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"message": "no\nwonder\0\ud800"}, "400 no wonder ?"),
        ({"error": "BAD", "violations": 3}, "400 BAD"),
        ({"violations": {"a": 1}}, "400 without an explanation"),
    ],
)
def test_an_explanation_of_any_shape_is_one_line_that_can_be_stored(said: dict[str, Any], expected: str) -> None:
    with endpoint([refusal(400, **said)]) as (things, _, _server), pytest.raises(RefusedError) as raised:
        things.get({}, read)
    assert str(raised.value) == expected


def test_what_is_cut_from_a_message_leaves_no_part_of_the_key_behind() -> None:
    echo = "x" * (300 - 10) + KEY
    with endpoint([refusal(400, message=echo)]) as (things, _, _server), pytest.raises(RefusedError) as refused:
        things.get({}, read)
    page = Response(200, ("<html>" + "x" * 40 + KEY).encode(), content_type="text/html")
    with endpoint([page], patience=0.1) as (things, _, _server), pytest.raises(CutoverError) as gave_up:
        things.get({}, read)
    assert "***" in str(refused.value)
    for text in (str(refused.value), str(gave_up.value)):
        assert KEY[:6] not in text


@pytest.mark.parametrize(
    "body", [b'[{"id":1,"email":"ana@example.com","first_name":"Ana"', b"<html>Dear Ana Reyes, your page", b""]
)
def test_a_body_that_cannot_be_read_is_told_by_its_shape_and_not_by_its_words(body: bytes) -> None:
    with endpoint([Response(200, body)], patience=0.1) as (things, _, _s), pytest.raises(CutoverError) as gave_up:
        things.get({}, read)
    assert "Ana" not in str(gave_up.value) and "ana@" not in str(gave_up.value)
    assert f"{len(body)} bytes that begin like" in str(gave_up.value)


def test_an_address_that_the_api_quotes_in_a_refusal_is_masked() -> None:
    with endpoint([refusal(400, message="no contact ana@example.com")]) as (things, _, _s):
        with pytest.raises(RefusedError) as refused:
            things.get({}, read)
        assert "ana@" not in str(refused.value)
        assert "no contact a•••@e•••" in str(refused.value)


@pytest.mark.parametrize("secret", ["se/cret+key==", "xnd_a b&c", 'with"quote\\'])
def test_a_key_is_found_in_every_spelling_that_could_come_back(secret: str) -> None:
    spellings = [
        secret,
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.urlsafe_b64encode(f"{secret}:".encode()).decode(),
    ]
    for spelling in spellings:
        with endpoint([refusal(400, message=f"bad {spelling} key")], secret=secret) as (things, _, _s):
            with pytest.raises(RefusedError) as refused:
                things.get({}, read)
            assert str(refused.value).endswith("bad *** key"), spelling


def test_no_content_is_a_page_of_nothing_at_once() -> None:
    with endpoint([Response(204, b"")]) as (things, clock, server):
        assert things.get({}, reader(MIGRATION.source("systemeio_contacts"))).content.rows == []
        assert (len(server.requests), clock.slept) == (1, [])


def test_complete_json_of_another_shape_is_not_waited_for_long() -> None:
    page = Response(200, b'{"error":"ACCOUNT_SUSPENDED","message":"contact support about ana@example.com"}')

    def shaped(body: bytes | bytearray) -> object:
        raise BodyError("Object missing required field `items`", whole=True)

    with endpoint([page]) as (things, clock, server), pytest.raises(CutoverError) as raised:
        things.get({}, shaped)
    assert raised.value.code == "extract.another-shape"
    assert "ACCOUNT_SUSPENDED" in str(raised.value)
    assert "ana@" not in str(raised.value)
    assert len(server.requests) == 3
    assert sum(clock.slept) < 5


def test_an_answer_in_its_own_encoding_is_read_in_that() -> None:
    body = Response(200, '{"name":"Peña"}'.encode("latin-1"), {"Content-Type": "application/json; charset=ISO-8859-1"})
    with endpoint([body]) as (things, _, _s):
        assert things.get({}, read).content == {"name": "Peña"}
    wrong = Response(200, '{"name":"Peña"}'.encode(), {"Content-Type": "application/json; charset=no-such-thing"})
    with endpoint([wrong]) as (things, _, _s):
        assert things.get({}, read).content == {"name": "Peña"}


def test_a_name_that_nobody_knows_is_told_at_once() -> None:
    access = Access("xendit", "https://no-such-host.invalid", KEY)
    things = Endpoint(access, BASIC, "/things", clock=Recorded())
    with pytest.raises(CutoverError, match=r"\[extract.no-such-host\]") as raised:
        things.get({}, read)
    assert things.retries == 0
    assert "no-such-host.invalid" in str(raised.value)


def test_a_port_that_does_not_speak_tls_is_told_at_once() -> None:
    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        access = Access("xendit", f"https://127.0.0.1:{server.server_address[1]}", KEY)
        things = Endpoint(access, BASIC, "/things", clock=Recorded())
        with pytest.raises(CutoverError, match="does not speak TLS"):
            things.get({}, read)
        server.shutdown()
    assert things.retries == 0


class _Tls:
    """An HTTPS server with a certificate that only its own authority vouches for."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "authority.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private authority")])
        now = datetime.now(timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / "both.pem").write_bytes(pem + self.certificate.read_bytes())

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "13")
                self.end_headers()
                self.wfile.write(b'{"fine":true}')

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "both.pem")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> _Tls:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_certificate_of_a_private_authority_is_refused_at_once_unless_that_is_named(tmp_path: Path) -> None:
    with _Tls(tmp_path) as server:
        things = Endpoint(Access("xendit", server.url, KEY), BASIC, "/things", clock=Recorded())
        with pytest.raises(CutoverError, match=r"\[extract.certificate\]") as raised:
            things.get({}, read)
        assert "REQUESTS_CA_BUNDLE" in str(raised.value)
        assert things.retries == 0
        trusted = Access("xendit", server.url, KEY, authorities=str(server.certificate))
        things = Endpoint(trusted, BASIC, "/things", clock=Recorded())
        assert things.get({}, read).content == {"fine": True}


def test_no_message_repeats_the_key_even_when_the_api_does() -> None:
    with endpoint([refusal(401, error_code="INVALID_API_KEY", message=f"API key {KEY} is invalid")]) as (things, _, _s):
        with pytest.raises(CutoverError) as raised:
            things.get({}, read)
        assert KEY not in str(raised.value)
        assert "API key *** is invalid" in str(raised.value)
        assert KEY not in repr(things._access)


def test_cookies_are_not_kept() -> None:
    with endpoint([Response(200, b"{}", {"Set-Cookie": "session=1"}), OK]) as (things, _, server):
        things.get({}, read)
        things.get({}, read)
        assert "cookie" not in server.requests[1].headers
