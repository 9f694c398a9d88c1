"""An API behind a proxy: over plain HTTP and by CONNECT, with a login and without, and what a refusal says."""

from __future__ import annotations

import base64
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from cutover.errors import CutoverError
from stack.postgres import free_port
from tests.extract.test_hooks import ask, connection, served, tls
from tests.streams import pump

__all__ = ["connection"]

PASSWORD = "p@ss word/of:the proxy"
# as it stands in a URL
ENCODED = "p%40ss%20word%2Fof%3Athe%20proxy"
LOGIN = "Basic " + base64.b64encode(f"us er:{PASSWORD}".encode()).decode()


class Proxy:
    """A proxy on loopback. ``status``: what it answers instead of letting through; ``login``: the header it wants."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.status: int | None = None
        self.login: str | None = None
        self.asked: list[str] = []

    def url(self, login: str = "") -> str:
        """Where it is."""
        return f"http://{login}{'@' if login else ''}127.0.0.1:{self.port}"


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy that opens tunnels and fetches plain addresses."""

    class Handler(BaseHTTPRequestHandler):
        def _refuses(self) -> bool:
            here.asked.append(f"{self.command} {self.path}")
            status = here.status
            if here.login is not None and self.headers.get("Proxy-Authorization") != here.login:
                status = 407
            if status is not None:
                # some proxies quote what they refuse
                self.send_response(status, f"not with {self.headers.get('Proxy-Authorization')}")
                self.send_header("Content-Length", "0")
                self.end_headers()
            return status is not None

        def do_CONNECT(self) -> None:
            self.close_connection = True
            if self._refuses():
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as target:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=pump, args=(target, self.connection), daemon=True)
                back.start()
                pump(self.connection, target)
                back.join()

        def do_GET(self) -> None:
            if self._refuses():
                return
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(self.path)
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            pass

    server = Quiet(("127.0.0.1", 0), Handler)
    here = Proxy(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield here
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def secure_api(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An API behind https: its address, and the file of its authority."""
    context, authority, _ = tls(tmp_path)
    with served(context) as (url, _):
        yield url, str(authority)


def refusal(code: str) -> str:
    """The message that ends a request of connection ``shop``, which shows nothing of the proxy's login."""
    with pytest.raises(CutoverError) as caught:
        ask()
    assert caught.value.code == code
    text = str(caught.value)
    chain: BaseException | None = caught.value
    while chain is not None:
        for secret in (PASSWORD, ENCODED, LOGIN.removeprefix("Basic ")):
            assert secret not in str(chain)
        chain = chain.__cause__
    return text


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("login", ["", f"us%20er:{ENCODED}"])
def test_an_api_behind_a_proxy(
    connection: Callable[..., None], proxy: Proxy, tmp_path: Path, scheme: str, login: str
) -> None:
    proxy.login = LOGIN if login else None
    with secure_api(tmp_path) as (secure, authority), served() as (plain, _):
        url = secure if scheme == "https" else plain
        connection(host=url, extra={"verify": authority, "proxies": {scheme: proxy.url(login)}})
        assert ask() == {}
    way = url.removeprefix("https://") if scheme == "https" else f"{url}/things"
    assert proxy.asked == [f"{'CONNECT' if scheme == 'https' else 'GET'} {way}"]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "case",
    [
        ("", r"answered 407: it does not accept anybody without a user and a password.*put them into `proxies`"),
        (f"someone:{ENCODED}", r"answered 407: it does not accept the user and password.*put those that are valid"),
    ],
)
def test_a_proxy_that_wants_another_login_is_told_at_once(
    connection: Callable[..., None], proxy: Proxy, tmp_path: Path, scheme: str, case: tuple[str, str]
) -> None:
    login, words = case
    proxy.login = LOGIN
    with secure_api(tmp_path) as (secure, authority), served() as (plain, came):
        host = secure if scheme == "https" else plain
        connection(host=host, extra={"verify": authority, "proxies": {scheme: proxy.url(login)}})
        text = refusal("extract.proxy-login")
    assert re.search(words, text, re.DOTALL)
    assert proxy.url() in text
    assert (len(proxy.asked), came) == (1, [])


def test_the_remedy_names_where_the_proxy_is_from(
    connection: Callable[..., None], proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.login = LOGIN
    with secure_api(tmp_path) as (url, authority):
        connection(host=url, extra={"verify": authority})
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(f"someone:{ENCODED}"))
        assert "into HTTPS_PROXY of the worker's environment" in refusal("extract.proxy-login")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url(f"us%20er:{ENCODED}"))
        assert ask() == {}


def test_a_proxy_that_does_not_let_through_is_told_at_once(
    connection: Callable[..., None], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.status = 403
    with secure_api(tmp_path) as (url, authority):
        connection(host=url, extra={"verify": authority, "proxies": {"https": proxy.url(f"us%20er:{ENCODED}")}})
        text = refusal("extract.proxy-refused")
    assert f"the proxy {proxy.url()} answered 403 when it was asked for a way to {url}" in text
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("status", [502, 429])
def test_a_proxy_that_is_tired_is_asked_again(
    connection: Callable[..., None], proxy: Proxy, tmp_path: Path, status: int
) -> None:
    proxy.status = status
    with secure_api(tmp_path) as (url, authority):
        own = {"verify": authority, "proxies": {"https": proxy.url(f"us%20er:{ENCODED}")}, "patience": 0.8}
        connection(host=url, extra=own)
        text = refusal("extract.gave-up")
    assert f"broken connection (answer {status}, by way of the proxy {proxy.url()})" in text
    assert len(proxy.asked) > 1


def test_a_proxy_that_is_not_there_is_named(connection: Callable[..., None], proxy: Proxy) -> None:
    own = {"proxies": {"https": f"us%20er:{ENCODED}@127.0.0.1:{free_port()}"}, "patience": 0.01}
    connection(host="https://127.0.0.1:9", extra=own)
    assert "Connection refused, by way of the proxy http://127.0.0.1:" in refusal("extract.gave-up")


def test_a_proxy_that_nobody_knows_is_named_and_not_the_api(
    connection: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    # a name service of somebody's own may answer for any name
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    connection(host="https://api.example.com", extra={"proxies": f"http://us%20er:{ENCODED}@proxy.invalid:3128"})
    assert "the proxy http://proxy.invalid:3128" in refusal("extract.no-such-host")


def test_a_proxy_that_is_spoken_to_in_tls_and_speaks_none(connection: Callable[..., None], proxy: Proxy) -> None:
    url = proxy.url(f"us%20er:{ENCODED}").replace("http://", "https://")
    connection(host="https://127.0.0.1:9", extra={"proxies": url})
    assert "write http:// in `proxies`" in refusal("extract.bad-connection")


@pytest.mark.parametrize(
    "url",
    [f"http://us er:{ENCODED}@proxy:port", f"ftp://us%20er:{ENCODED}@proxy:1", "http://", f"socks5://u:{ENCODED}@h:1"],
)
def test_what_is_no_proxy_is_refused_and_not_shown(connection: Callable[..., None], url: str) -> None:
    connection(host="https://api.example.com", extra={"proxies": {"https": url}})
    text = refusal("extract.bad-connection")
    assert "`proxies` in the extra of connection shop" in text
    assert "such as http://USER:PASSWORD@proxy.example.com:3128" in text


@pytest.mark.parametrize(
    "case",
    [
        ({"HTTP_PROXY": "the proxy"}, {}, True),
        ({"ALL_PROXY": "the proxy"}, {}, True),
        ({"HTTP_PROXY": "the proxy", "NO_PROXY": "127.0.0.1"}, {}, False),
        ({"HTTP_PROXY": "the proxy", "no_proxy": "api.example.com,127.0.0.0/8"}, {}, False),
        ({"HTTP_PROXY": "the proxy", "NO_PROXY": "api.example.com"}, {}, True),
        # the connection's own go before the environment's, whatever NO_PROXY says there
        ({"NO_PROXY": "127.0.0.1"}, {"http": "the proxy"}, True),
        ({"HTTP_PROXY": "http://127.0.0.1:9"}, {"all": "the proxy"}, True),
        ({"HTTP_PROXY": "the proxy"}, {"http": ""}, False),
        ({}, {"http": "the proxy", "no_proxy": "localhost,127.0.0.1"}, False),
        ({"HTTP_PROXY": "the proxy"}, {"no_proxy": "127.0.0.1"}, False),
        ({}, {"http": "the proxy", "no_proxy": "api.example.com"}, True),
        ({}, {"https": "the proxy"}, False),
    ],
)
def test_which_proxy_counts(
    connection: Callable[..., None],
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[dict[str, str], dict[str, str], bool],
) -> None:
    environment, own, is_used = case

    def written(values: dict[str, str]) -> dict[str, str]:
        return {name: proxy.url() if value == "the proxy" else value for name, value in values.items()}

    for name, value in written(environment).items():
        monkeypatch.setenv(name, value)
    with served() as (url, _):
        connection(host=url, extra={"proxies": written(own)} if own else {})
        assert ask() == {}
    assert bool(proxy.asked) is is_used
