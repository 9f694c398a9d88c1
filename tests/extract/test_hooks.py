"""What people put into an Airflow connection counts: as in Airflow's own HttpHook and PostgresHook."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.postgres.hooks.postgres import PostgresHook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cutover.errors import CutoverError
from cutover.extract.client import Endpoint
from cutover.migration.source import Service
from cutover.operators.base import connect_to
from cutover.operators.extract import access

KEY = "key-of-the-api-that-nobody-may-see"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    authority, secret = folder / "authority.pem", folder / "key.pem"
    authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return authority, secret


@contextmanager
def served(context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A server that answers ``{}``: its address, and the path and headers of each request."""
    came: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}", came
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the Airflow connection ``shop``."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)

    def put(**parts: Any) -> None:
        values = {"conn_type": "http", "password": KEY, **parts}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(values))

    return put


def ask(service: Service | None = None) -> Any:
    """What the API of connection ``shop`` answers."""
    declared = service or Service(auth="bearer")
    endpoint = Endpoint(access("shop", keyless=declared.auth == "none"), declared, "/things")
    try:
        return endpoint.get({}, json.loads).content
    finally:
        endpoint.close()


def tls(tmp_path: Path, *, wants_client: bool = False) -> tuple[ssl.SSLContext, Path, Path]:
    """A server's side of TLS, with the files of its certificate and key."""
    authority, secret = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority, secret)
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    return context, authority, secret


def test_a_private_authority_is_trusted_where_the_connection_names_it(
    connection: Callable[..., None], tmp_path: Path
) -> None:
    context, authority, _ = tls(tmp_path)
    with served(context) as (url, _):
        connection(host=url, extra={"verify": str(authority)})
        assert ask() == {}
        connection(host=url)
        with pytest.raises(CutoverError, match=r"(?s)\[extract.certificate\].*`verify`"):
            ask()


def test_a_clients_certificate_is_shown(connection: Callable[..., None], tmp_path: Path) -> None:
    context, authority, secret = tls(tmp_path, wants_client=True)
    with served(context) as (url, _):
        connection(host=url, extra={"verify": str(authority), "cert": [str(authority), str(secret)]})
        assert ask() == {}
        connection(host=url, extra={"verify": str(authority), "patience": 1})
        # the server's word for it may be lost with the connection that it ends
        with pytest.raises(CutoverError, match=r"(?s)a client's certificate.*`cert`"):
            ask()


def test_further_headers_arrive_and_the_engines_own_settings_do_not(connection: Callable[..., None]) -> None:
    with served() as (url, came):
        connection(host=url, extra={"X-Shop": "north", "X-Version": 3, "patience": 9, "ceiling": 600})
        ask()
    headers = came[0][1]
    assert (headers["x-shop"], headers["x-version"]) == ("north", "3")
    assert headers["authorization"] == f"Bearer {KEY}"
    assert not {"patience", "ceiling"} & headers.keys()


def test_headers_alone_may_say_who_asks(connection: Callable[..., None]) -> None:
    with served() as (url, came):
        connection(host=url, password=None, extra={"X-Api-Key": KEY})
        ask(Service(auth="none"))
    assert came[0][1]["x-api-key"] == KEY
    assert "authorization" not in came[0][1]


def test_login_and_password_are_both_sent_where_both_are_there(connection: Callable[..., None]) -> None:
    with served() as (url, came):
        connection(host=url, login="someone")
        ask(Service(auth="basic"))
    assert base64.b64decode(came[0][1]["authorization"].removeprefix("Basic ")).decode() == f"someone:{KEY}"


def test_a_proxy_is_used(connection: Callable[..., None]) -> None:
    with served() as (proxy, came):
        connection(host="http://127.0.0.1:9", extra={"proxies": {"http": proxy}})
        assert ask() == {}
    assert came[0][0] == "http://127.0.0.1:9/things"


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ({"headers": {"X": "1"}}, "headers"),
        ({"cert": "/no/such.pem"}, "cert"),
        ({"cert": {"a": 1}}, "cert"),
        ({"proxies": ["a"]}, "proxies"),
        ({"verify_ssl": False}, "verify"),
    ],
)
def test_an_extra_that_cannot_be_used_is_named(
    connection: Callable[..., None], extra: dict[str, Any], key: str
) -> None:
    connection(host="https://api.example.com", extra=extra)
    with pytest.raises(CutoverError, match=rf"\[extract.bad-connection\] connection shop, extra {key}"):
        access("shop")


def postgres(monkeypatch: pytest.MonkeyPatch, dsn: str, **changes: Any) -> None:
    """Sets the Airflow connection ``target`` to the database behind ``dsn``."""
    parameters = conninfo_to_dict(dsn)
    parts = {
        "conn_type": "postgres",
        "host": parameters["host"],
        "port": int(parameters.get("port") or 5432),
        "login": parameters["user"],
        "password": parameters.get("password"),
        "schema": parameters["dbname"],
        **changes,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TARGET", json.dumps(parts))


def test_options_of_libpq_in_the_extra_are_taken(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        "sslmode": "disable",
        "application_name": "of the north",
        "keepalives": 1,
        "keepalives_idle": 77,
        "options": "-c cutover.test=yes",
        "approvers": ["someone"],
    }
    postgres(monkeypatch, database, extra=extra)
    with connect_to("target", "cutover a task")() as opened:
        row = opened.execute("select current_setting('application_name'), current_setting('cutover.test')").fetchone()
        assert row == ("cutover a task of the north", "yes")
        options = opened.info.get_parameters()
    assert (options["sslmode"], options["keepalives_idle"]) == ("disable", "77")


def test_a_token_takes_the_passwords_place_anew_for_each_session(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AWS is not here: the only thing that is replaced is the call that would ask it."""
    parameters = conninfo_to_dict(database)
    asked: list[str] = []

    def token(_hook: PostgresHook, login: Any) -> tuple[str, str, int]:
        asked.append(login.extra_dejson["aws_conn_id"])
        with psycopg.connect(database) as admin:  # which takes this token, and the one before no more
            admin.execute(sql.SQL("alter role by_token password {}").format(sql.Literal(f"token {len(asked)}")))
        return "by_token", f"token {len(asked)}", int(parameters.get("port") or 5432)

    with psycopg.connect(database) as admin:
        admin.execute("drop role if exists by_token")
        admin.execute("create role by_token login")

    monkeypatch.setattr(PostgresHook, "get_iam_token", token)
    postgres(monkeypatch, database, password=None, extra={"iam": True, "aws_conn_id": "aws_of_the_north"})
    connect = connect_to("target", "cutover a task")
    for number in (1, 2):
        with connect() as opened:
            assert opened.info.password == f"token {number}"
    assert asked == ["aws_of_the_north"] * 2

    def refused(_hook: PostgresHook, _found: Any) -> tuple[str, str, int]:
        raise RuntimeError("no credentials")

    monkeypatch.setattr(PostgresHook, "get_iam_token", refused)
    with pytest.raises(CutoverError, match=r"(?s)\[connect.no-token\] connection target.*no credentials.*aws_conn_id"):
        connect()
