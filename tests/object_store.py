"""An S3-compatible server, and Airflow connections that lead to one as a deployment has them."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from stack.postgres import free_port

# The connection of the server that all tests of a session share.
CONNECTION = "docs_store"
_CREDENTIAL = "of-the-tests"
_numbers = itertools.count(1)


def connect_to(patch: pytest.MonkeyPatch, url: str, name: str | None = None) -> str:
    """Define an Airflow connection to an S3-compatible server; returns its name, by default one never used before.

    Airflow opens a store once for each name in a process: under a name that another test has used, that test's server
    would be asked.
    """
    name = name or f"store_{next(_numbers)}"
    extra = {"endpoint_url": url, "region_name": "us-east-1", "config_kwargs": {"retries": {"max_attempts": 1}}}
    connection = {"conn_type": "aws", "login": _CREDENTIAL, "password": _CREDENTIAL, "extra": extra}
    patch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
    return name


@contextmanager
def serving() -> Iterator[Any]:
    """A server without buckets that connection ``CONNECTION`` leads to; a client of it that is not the product's."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        with pytest.MonkeyPatch.context() as patch:
            connect_to(patch, url, CONNECTION)
            yield boto3.client(
                "s3",
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id=_CREDENTIAL,
                aws_secret_access_key=_CREDENTIAL,
            )
    finally:
        server.stop()
