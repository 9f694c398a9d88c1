"""A database that takes tokens instead of passwords, as RDS and Azure do: a new one for each session of a long run."""

from __future__ import annotations

import importlib.util
import json
import logging
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
from moto.server import ThreadedMotoServer
from psycopg.conninfo import conninfo_to_dict

from cutover.errors import CutoverError
from cutover.operators.base import connect_to
from stack.postgres import EmbeddedPostgres, free_port
from tests.streams import exactly, pump

ROLE = "by_token"
_SSL, _GSSAPI, _CANCEL = 80877103, 80877104, 80877102


class Gate:
    """What RDS and Azure put before PostgreSQL: it asks for a token in clear text, and asks ``accepts`` about it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tokens: list[str] = []
        self.expired: set[str] = set()
        self.accepts: Callable[[str], bool] = lambda token: True

    def expire(self) -> None:
        """Time passes: none of the tokens that were shown so far is good any more."""
        self.expired.update(self.tokens)

    def admits(self, token: str) -> bool:
        """Whether whoever shows the token gets in."""
        self.tokens.append(token)
        return token not in self.expired and self.accepts(token)


def _let_in(client: socket.socket, gate: Gate, server: int) -> None:
    """One session: the beginning that a client sends, its token, and everything after that to the server itself."""
    with client, socket.create_connection(("127.0.0.1", server)) as upstream:
        while True:
            head = exactly(client, 8)
            size, code = struct.unpack("!II", head)
            if code not in (_SSL, _GSSAPI):
                break
            client.sendall(b"N")
        begin = head + exactly(client, size - 8)
        if code != _CANCEL:
            client.sendall(b"R" + struct.pack("!II", 8, 3))
            kind, length = struct.unpack("!cI", exactly(client, 5))
            token = exactly(client, length - 4).rstrip(b"\0").decode()
            if kind != b"p" or not gate.admits(token):
                why = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user\0\0"
                client.sendall(b"E" + struct.pack("!I", len(why) + 4) + why)
                return
        upstream.sendall(begin)
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()


@pytest.fixture
def gate(server: EmbeddedPostgres, database: str) -> Iterator[Gate]:
    """A gate before the server, which itself believes whoever comes from there that they are ``by_token``."""
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(f"drop role if exists {ROLE}")
        admin.execute(f"create role {ROLE} login")
        row = admin.execute("show hba_file").fetchone()
        assert row is not None
        hba = Path(row[0])
        before = hba.read_text()
        hba.write_text(f"host all {ROLE} 127.0.0.1/32 trust\n{before}")
        admin.execute("select pg_reload_conf()")
    listening = socket.create_server(("127.0.0.1", 0))
    here = Gate(listening.getsockname()[1])

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(client, here, server.port), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield here
    listening.close()
    hba.write_text(before)
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("select pg_reload_conf()")


def _quietly(client: socket.socket, gate: Gate, server: int) -> None:
    with suppress(OSError):
        _let_in(client, gate, server)


def target(monkeypatch: pytest.MonkeyPatch, database: str, gate: Gate, **extra: Any) -> None:
    """Sets the Airflow connection ``target`` to the database behind the gate, without a password."""
    fields = {
        "conn_type": "postgres",
        "host": "127.0.0.1",
        "port": gate.port,
        "login": ROLE,
        "schema": conninfo_to_dict(database)["dbname"],
        "extra": {"iam": True, **extra},
    }
    monkeypatch.setenv("AIRFLOW_CONN_TARGET", json.dumps(fields))


def require_new_tokens(gate: Gate) -> None:
    """A run of three phases, each longer than a token lasts; a session that is open stays open."""
    connect = connect_to("target", "cutover a task")
    with connect() as first:
        for _ in range(2):
            gate.expire()
            with connect() as opened:
                assert opened.execute("select current_user").fetchone() == (ROLE,)
        assert first.execute("select current_user").fetchone() == (ROLE,)
    assert len(set(gate.tokens)) == 3


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The Airflow connection ``aws_north``: a role of AWS whose credentials a server of moto's gives."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        extra = {
            "region_name": "eu-north-1",
            "role_arn": "arn:aws:iam::123456789012:role/cutover",
            "service_config": {"sts": {"endpoint_url": f"http://{host}:{port}"}},
        }
        fields = {"conn_type": "aws", "login": "of-the-tests", "password": "of-the-tests", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_NORTH", json.dumps(fields))
        yield
    finally:
        server.stop()


def of_rds(gate: Gate) -> Callable[[str], bool]:
    """Whether a token is what RDS takes: a signed request to connect to this very host, port and user."""

    def accepts(token: str) -> bool:
        address = urlsplit(f"//{token}")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = (address.hostname, address.port, query["Action"], query["DBUser"], query["X-Amz-Expires"])
        is_signed = query["X-Amz-Security-Token"] and len(query["X-Amz-Signature"]) == 64
        return parts == ("127.0.0.1", gate.port, "connect", ROLE, "900") and bool(is_signed)

    return accepts


def test_aws_signs_a_new_token_for_each_session(
    gate: Gate, database: str, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.accepts = of_rds(gate)
    target(monkeypatch, database, gate, aws_conn_id="aws_north")
    require_new_tokens(gate)


def test_a_token_that_the_database_does_not_take_is_not_shown(
    gate: Gate, database: str, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.accepts = lambda token: False
    target(monkeypatch, database, gate, aws_conn_id="aws_north")
    with pytest.raises(
        CutoverError, match=r"(?s)\[connect.refused\] connection target.*token.*`aws_conn_id`"
    ) as caught:
        connect_to("target", "cutover a task")()
    assert gate.tokens[0] not in str(caught.value)


@contextmanager
def identity(tokens: list[str]) -> Iterator[str]:
    """The endpoint from which a machine of Azure gets tokens for its own identity; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            assert asked["resource"] == ["https://ossrdbms-aad.database.windows.net"]
            tokens.append(f"token-of-entra-{len(tokens)}-{'x' * 1500}")
            lasts = str(int(time.time()) + 3600)
            body = json.dumps({"access_token": tokens[-1], "expires_on": lasts, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/token"
    finally:
        server.shutdown()
        server.server_close()


has_azure = importlib.util.find_spec("airflow.providers.microsoft") is not None


@pytest.mark.skipif(not has_azure, reason="apache-airflow-providers-microsoft-azure is not installed")
def test_entra_is_asked_for_a_new_token_for_each_session(
    gate: Gate, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: list[str] = []
    gate.accepts = lambda token: token == tokens[-1]
    azure = {"conn_type": "azure", "extra": {"use_azure_identity_object": True}}
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_NORTH", json.dumps(azure))
    monkeypatch.setenv("IDENTITY_HEADER", "of-the-tests")
    target(monkeypatch, database, gate, azure_conn_id="azure_north")
    with identity(tokens) as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        require_new_tokens(gate)
    assert gate.tokens == tokens


@pytest.mark.skipif(has_azure, reason="apache-airflow-providers-microsoft-azure is installed")
def test_without_azures_provider_its_name_is_told(gate: Gate, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AZURE_NORTH", json.dumps({"conn_type": "azure"}))
    target(monkeypatch, database, gate, azure_conn_id="azure_north")
    with pytest.raises(
        CutoverError, match=r"(?s)\[connect.no-token\].*install apache-airflow-providers-microsoft-azure"
    ):
        connect_to("target", "cutover a task")()
