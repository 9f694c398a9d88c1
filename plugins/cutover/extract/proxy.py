"""The HTTP proxy between this machine and an API: which one it is, and what it means when it refuses."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from requests.utils import get_environ_proxies, select_proxy, should_bypass_proxies
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from cutover.errors import CutoverError

# What http.client says when a proxy answers CONNECT with another status than 200.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy by its URL, which may hold a user and a password, and the place that names it, for messages."""

    url: str
    named_in: str

    @property
    def shown(self) -> str:
        """The URL without user and password."""
        split = urlsplit(self.url)
        return f"{split.scheme}://{split.netloc.rpartition('@')[2]}"

    @property
    def secrets(self) -> list[str]:
        """The password and what is sent of it, each as it could be quoted."""
        split = urlsplit(self.url)
        if not split.password:
            return []
        return [split.password, unquote(split.password), f"{unquote(split.username or '')}:{unquote(split.password)}"]


def proxy_for(base_url: str, own: Mapping[str, str], connection: str) -> Proxy | None:
    """The proxy on the way to ``base_url``; None where there is none.

    ``own``: the ``proxies`` of the Airflow connection ``connection``, by scheme; they go before those of the
    environment, and ``no_proxy`` among them before its NO_PROXY. Raises CutoverError ``extract.bad-connection`` for
    one that is no URL.
    """
    no_proxy = own.get("no_proxy")
    if no_proxy is not None and should_bypass_proxies(base_url, no_proxy):
        return None
    schemes = {name: url for name, url in own.items() if name != "no_proxy"}
    url, named_in = select_proxy(base_url, schemes), f"`proxies` in the extra of connection {connection}"
    if url is None:
        url = select_proxy(base_url, get_environ_proxies(base_url, no_proxy))
        named_in = f"{urlsplit(base_url).scheme.upper()}_PROXY of the worker's environment"
    # an empty one is how an address is taken out of the environment's
    return Proxy(_whole(url.strip(), named_in), named_in) if url and url.strip() else None


def _whole(url: str, named_in: str) -> str:
    """The URL, with http:// where it names no scheme. Raises ``extract.bad-connection``, and does not show it."""
    whole = url if "://" in url else f"http://{url}"
    try:
        split = parse_url(whole)
        why = "" if split.host and split.scheme in _KINDS else "is no URL of a proxy"
    except LocationParseError:
        split, why = None, "is no URL of a proxy"
    if split is not None and not why and str(split.scheme).startswith("socks") and find_spec("socks") is None:
        why = "is a SOCKS proxy, for which the package PySocks is missing"
    if why:
        raise CutoverError(
            "extract.bad-connection",
            named_in,
            f"what it says {why}.",
            "correct it, such as http://USER:PASSWORD@proxy.example.com:3128, with characters that mean something in "
            "a URL percent-encoded.",
        )
    return whole


def login_missing(proxy: Proxy, obj: str) -> CutoverError:
    """The error for an answer 407."""
    has_login = bool(urlsplit(proxy.url).username)
    return CutoverError(
        "extract.proxy-login",
        obj,
        f"the proxy {proxy.shown} answered 407: it does not accept "
        f"{'the user and password' if has_login else 'anybody without a user and a password'}.",
        f"put {'those that are valid' if has_login else 'them'} into {proxy.named_in}, as in "
        "http://USER:PASSWORD@proxy.example.com:3128 (percent-encoded), then clear the task.",
    )


def refuse_what_stays(chain: Iterable[BaseException], proxy: Proxy, base_url: str, obj: str) -> None:
    """Raise CutoverError for what a proxy did that no waiting mends.

    ``chain``: an error with those that caused it. Raises ``extract.proxy-login``, ``extract.proxy-refused``,
    ``extract.no-such-host`` and ``extract.bad-connection``.
    """
    for error in chain:
        status = tunnel_status(error)
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise login_missing(proxy, obj) from None
        if status is not None and 400 <= status < 500 and status not in _PASSING:
            raise CutoverError(
                "extract.proxy-refused",
                obj,
                f"the proxy {proxy.shown} answered {status} when it was asked for a way to {base_url}.",
                f"have whoever runs the proxy let this machine reach {urlsplit(base_url).hostname}, then clear the "
                "task.",
            ) from None
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME and "socks" not in proxy.url[:5]:
            raise CutoverError(
                "extract.no-such-host",
                obj,
                f"no such host is known: the proxy {proxy.shown}.",
                f"correct {proxy.named_in}, then clear the task.",
            ) from None
        if isinstance(error, ssl.SSLError) and "WRONG_VERSION_NUMBER" in str(error) and proxy.url.startswith("https:"):
            raise CutoverError(
                "extract.bad-connection",
                obj,
                f"what answers at the proxy {proxy.shown} does not speak TLS.",
                f"write http:// in {proxy.named_in}: that is how the proxy itself is spoken to, also for an API behind "
                "https.",
            ) from None


# Of the answers 4xx to CONNECT: what may be another one in a moment.
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


def tunnel_status(error: BaseException) -> int | None:
    """The status with which a proxy refused CONNECT; None for another error."""
    match = _TUNNEL.search(str(error)) if type(error) is OSError else None
    return int(match.group(1)) if match else None
