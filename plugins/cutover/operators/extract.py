"""Extraction as Airflow tasks: one per endpoint, file drop or database, in a group for every DAG that reads them."""

from __future__ import annotations

import ipaddress
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import Asset, BaseHook, BaseOperator, TaskGroup
from airflow.sdk.exceptions import AirflowNotFoundException

from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import load
from cutover.operators import metrics
from cutover.operators.base import CutoverOperator, Rows

if TYPE_CHECKING:
    import requests
    from airflow.sdk import Connection, Context, ObjectStoragePath

    from cutover.extract.client import Access
    from cutover.migration import Migration
    from cutover.migration.files import FileDrop
    from cutover.migration.source import Source


# What an API connection's extra may hold for this engine; HttpHook would send it as headers.
_OURS = ("ceiling", "patience", "limit_window", "approvers")
# What HttpHook takes for itself, and what of it has no meaning here: redirects are errors, each answer is checked,
# `verify` and `timeout` are the engine's to apply, and neither .netrc nor cookies may stand in for the key.
_HOOKS = ("cert", "proxies", "proxy")
_WITHOUT_MEANING = (
    "stream",
    "timeout",
    "verify",
    "verify_ssl",
    "allow_redirects",
    "max_redirects",
    "trust_env",
    "check_response",
    "srv_lookup",
)


def access(connection_id: str, *, keyless: bool = False) -> Access:
    """What the Airflow connection ``connection_id`` says about an API.

    The key is its login or its password, whichever is set, and the password if both are. The extra may hold
    ``ceiling`` (requests a minute), ``patience`` and ``timeout`` (seconds), ``limit_window`` (seconds), and what
    Airflow's HttpHook takes from it: ``verify`` (a file of certificate authorities), ``cert`` (a client's certificate
    and its key), ``proxies``; all else in it are headers. Without a key (``keyless``) those alone say who asks.
    Raises ``extract.no-connection``, ``extract.no-key``, ``extract.no-address`` and ``extract.bad-connection``.
    """
    from cutover.extract.client import Access

    fields = _connection(connection_id)
    # Pasted keys tend to end in a line break.
    login, password = (fields.login or "").strip(), (fields.password or "").strip()
    secret = "" if keyless else password or login
    if not fields.host:
        raise CutoverError(
            "extract.no-address",
            f"connection {connection_id}",
            "it names no host.",
            "set its host to the API's address, such as https://api.example.com.",
        )
    if not secret and not keyless:
        raise CutoverError(
            "extract.no-key",
            f"connection {connection_id}",
            "it holds no API key.",
            "put the key into its login or its password.",
        )
    settings = {
        name: _positive(connection_id, name, value)
        for name, value in fields.extra_dejson.items()
        if name in ("patience", "timeout", "limit_window") and value is not None
    }
    ceiling = fields.extra_dejson.get("ceiling")
    return Access(
        connection=connection_id,
        base_url=address_of(fields, connection_id),
        secret=secret,
        user=login if login and password and not keyless else None,
        open=_session_of(fields, connection_id),
        authorities=_authorities(fields, connection_id),
        # less than one request a minute would be none at all
        ceiling=None if ceiling is None else max(1, int(_positive(connection_id, "ceiling", ceiling))),
        **settings,
    )


def _connection(connection_id: str) -> Connection:
    """The connection. Airflow says of one whose URI it cannot read that it is not defined: this says what is wrong."""
    variable = f"AIRFLOW_CONN_{connection_id.upper()}"
    try:
        return BaseHook.get_connection(connection_id)
    except AirflowNotFoundException:
        if variable not in os.environ:
            raise CutoverError(
                "extract.no-connection",
                f"connection {connection_id}",
                "there is none of this name.",
                f"set {variable}, or add it under Admin > Connections.",
            ) from None
        raise CutoverError(
            "extract.bad-connection",
            f"connection {connection_id}",
            f"{variable} is set, and cannot be read as a URI.",
            "write the characters of a key that mean something in a URI percent-encoded: / is %2F, @ is %40, : is %3A, "
            "# is %23, ? is %3F, % is %25.",
        ) from None


def address_of(settings: Connection, connection_id: str) -> str:
    """The API's address: scheme, host, port and path, without a slash at the end.

    Airflow takes the path of a connection's URI for its schema, which is also where the form has the scheme. A URI that
    begins with http:// is what every HTTP connection's does, so that it says nothing about TLS: beyond this machine
    ``extract.bad-connection`` asks to say it, since over plain http the key travels in clear text.
    """
    schema = (settings.schema or "").strip("/")
    assert settings.host is not None
    written: str = (
        settings.host
        if "://" in settings.host
        else f"//{settings.host if '[' in settings.host else _bracketed(settings.host)}"
    )
    split = urlsplit(written)
    host = split.hostname or ""
    port = f":{split.port or settings.port}" if split.port or settings.port else ""
    path = split.path.rstrip("/") + (f"/{schema}" if schema and schema not in ("http", "https") else "")
    plain_in_variable = os.environ.get(f"AIRFLOW_CONN_{connection_id.upper()}", "").startswith("http://")
    said = split.scheme or (schema if schema in ("http", "https") else "")
    scheme = said or ("http" if _is_loopback(host) else "https")
    if plain_in_variable and not said and not _is_loopback(host):
        raise CutoverError(
            "extract.bad-connection",
            f"connection {connection_id}",
            f"over plain http the key would travel to {host} for everybody to read.",
            f"write https://{host}; or, if this network may see the key, give the connection the schema http.",
        )
    return f"{scheme}://{_bracketed(host)}{port}{path}"


def _bracketed(host: str) -> str:
    """An IPv6 address as it stands in a URL."""
    return f"[{host}]" if host.count(":") > 1 else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _authorities(settings: Connection, connection_id: str) -> str | None:
    """The file of certificate authorities: the connection's ``verify``, else what the environment names for requests.

    Raises ``extract.bad-connection`` for a file that is not there, and for ``verify: false``.
    """
    given = settings.extra_dejson.get("verify", settings.extra_dejson.get("verify_ssl"))
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    path = given if given not in (None, True) else next((os.environ[n] for n in names if os.environ.get(n)), None)
    if path is not None and (not isinstance(path, str) or not Path(path).exists()):
        raise CutoverError(
            "extract.bad-connection",
            f"connection {connection_id}, extra verify" if given is not None else f"connection {connection_id}",
            f"{path!r} is no file of certificate authorities.",
            "name a file that the worker can read; without a check of the certificate, no key is sent.",
        )
    return path


def _session_of(settings: Connection, connection_id: str) -> Callable[[], requests.Session]:
    """Makes the session that Airflow's HttpHook makes of the connection, with its headers, proxies and certificate.

    Raises ``extract.bad-connection`` for an extra that no session can be made of.
    """
    extra: dict[str, Any] = {}
    for name, value in settings.extra_dejson.items():
        if name in _OURS or name in _WITHOUT_MEANING or value is None:
            continue
        if name not in _HOOKS and (isinstance(value, bool) or not isinstance(value, (str, int, float))):
            raise _bad_extra(connection_id, name, "is no text, and would be sent as a header", f'{{"{name}": "text"}}')
        extra[name] = value if name in _HOOKS else str(value)
    _require_files(connection_id, extra.get("cert"))
    proxies = extra.pop("proxy", None)
    proxies = extra.pop("proxies", proxies)
    if isinstance(proxies, str):
        proxies = {"http": proxies, "https": proxies}
    if proxies is not None and not (
        isinstance(proxies, dict) and all(isinstance(text, str) for text in [*proxies, *proxies.values()])
    ):
        example = '{"proxies": {"https": "http://proxy.example.com:3128"}}'
        raise _bad_extra(connection_id, "proxies", "names no proxies", example)
    if proxies:
        extra["proxies"] = proxies

    def make() -> requests.Session:
        from airflow.providers.http.hooks.http import HttpHook
        from airflow.sdk import Connection

        class Found(HttpHook):
            """Looked up already, and without what is not the hook's."""

            @classmethod
            def get_connection(cls, conn_id: str) -> Connection:
                # the key goes into the header that the migration declares
                address = address_of(settings, connection_id)
                return Connection(conn_id=conn_id, conn_type="http", host=address, extra=json.dumps(extra))

        session = Found("GET", connection_id).get_conn()
        if isinstance(session.cert, list):  # JSON has no tuples, and requests takes nothing else
            session.cert = (session.cert[0], session.cert[1]) if len(session.cert) == 2 else session.cert[0]
        return session

    return make


def _require_files(connection_id: str, cert: Any) -> None:
    """Raise ``extract.bad-connection`` unless ``cert`` is absent, or a file or two that can be read."""
    if cert is None:
        return
    paths = [cert] if isinstance(cert, str) else cert
    usable = isinstance(paths, list) and 1 <= len(paths) <= 2 and all(isinstance(path, str) for path in paths)
    missing = [path for path in paths if not os.access(path, os.R_OK)] if usable else []
    if not usable or missing:
        why = f"names {missing[0]}, which cannot be read" if missing else "is no file, nor a certificate and its key"
        raise _bad_extra(connection_id, "cert", why, '{"cert": ["/etc/tls/client.pem", "/etc/tls/client.key"]}')


def _bad_extra(connection_id: str, name: str, why: str, example: str) -> CutoverError:
    return CutoverError(
        "extract.bad-connection",
        f"connection {connection_id}, extra {name}",
        f"it {why}.",
        f"correct it, such as {example}, or take {name} out of the connection's extra.",
    )


def _positive(connection_id: str, name: str, value: Any) -> float:
    """A number from a connection's extra, where it may be text. Raises ``extract.bad-connection``."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise CutoverError(
            "extract.bad-connection",
            f"connection {connection_id}, extra {name}",
            f"it is {value!r}, which is no number above 0.",
            f"correct it, or take {name} out of the connection's extra.",
        )
    return number


def raw_asset(source: str) -> Asset:
    """The Airflow asset that stands for ``raw.<source>``."""
    # of a scheme that does not begin with x-, Airflow asks every provider, and loads boto3 for that, in each DAG file
    return Asset(name=f"raw.{source}", uri=f"x-cutover://raw/{source}", group="cutover")


class ExtractOperator(CutoverOperator):
    """Brings one raw table up to what its API shows.

    ``full`` reads everything again, ``accept_gone`` believes a full read that misses many rows; both may be
    templates. A task that was killed or failed goes on behind the last page that was stored.
    """

    template_fields = ("migration", "source", "full", "accept_gone")

    def __init__(
        self, *, source: str, full: bool | str = False, accept_gone: bool | str = False, **kwargs: Any
    ) -> None:
        kwargs.setdefault("retries", 2)
        kwargs.setdefault("outlets", [raw_asset(source)])
        super().__init__(**kwargs)
        self.source = source
        self.full = full
        self.accept_gone = accept_gone
        self.lineage_step = f"extract.{source}"

    def run_phase(self, context: Context) -> dict[str, Any]:
        """One sync. The XCom is its report without anything secret or personal."""
        from cutover.extract.sync import sync

        migration = self.declaration
        source = migration.source(self.source)
        of_launch = self.has_begun(context)
        made_from = self.require(context, f"extract.{self.source}") if of_launch else []
        report = sync(
            source,
            migration.service(source),
            access(source.connection, keyless=migration.service(source).auth == "none"),
            self.connect(context),
            full=_is_true(self.full),
            accept_gone=_is_true(self.accept_gone),
            log=self.report,
        )
        metrics.sync(self.migration, report)
        if of_launch:
            self.record(context, f"extract.{self.source}", made_from, **report.to_xcom())
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"changed": report.written, "total": report.total}
        return report.to_xcom()

    def rows(self, result: dict[str, Any]) -> int:
        """The rows of all pages."""
        return int(result["rows"])

    @property
    def lineage_outputs(self) -> list[str]:
        """The raw table."""
        return [f"raw.{self.source}"]

    def lineage_rows(self, result: dict[str, Any]) -> Rows:
        """Read of the endpoint, and written."""
        return _moved([result], [self.declaration.source(self.source).path])


class CopyOperator(CutoverOperator):
    """Copies all declared tables of one source database into raw, as they were at one moment.

    ``full`` compares every row by content, ``accept_gone`` believes a source that misses many rows; both may be
    templates. A task that was killed has changed nothing.
    """

    template_fields = ("migration", "database", "full", "accept_gone")
    step = "extract"

    def __init__(
        self, *, database: str, full: bool | str = False, accept_gone: bool | str = False, **kwargs: Any
    ) -> None:
        kwargs.setdefault("retries", 2)
        kwargs.setdefault("outlets", [raw_asset(table.name) for table in load(kwargs["migration"]).tables_of(database)])
        super().__init__(**kwargs)
        self.database = database
        self.full = full
        self.accept_gone = accept_gone
        self.lineage_step = f"extract.{database}"

    def run_phase(self, context: Context) -> list[dict[str, Any]]:
        """One copy. The XCom is its report, a table each."""
        from cutover.extract.tables import copy_database

        of_launch, step = self.has_begun(context), f"{self.step}.{self.database}"
        made_from = self.require(context, step) if of_launch else []
        reports = copy_database(
            self.declaration.tables_of(self.database),
            self.open(context, self.database),
            self.connect(context),
            full=_is_true(self.full),
            accept_gone=_is_true(self.accept_gone),
            log=self.report,
        )
        if of_launch:
            self.record(context, step, made_from, tables=[report.to_xcom() for report in reports])
        for asset, report in zip(self.outlets, reports, strict=True):
            context["outlet_events"][asset].extra = {"changed": report.written, "total": report.total}
        return [report.to_xcom() for report in reports]

    def rows(self, result: list[dict[str, Any]]) -> int:
        """The rows read from all tables."""
        return sum(table["read"] for table in result)

    @property
    def lineage_outputs(self) -> list[str]:
        """The raw tables of the database."""
        return [f"raw.{table.name}" for table in self.declaration.tables_of(self.database)]

    def lineage_rows(self, result: list[dict[str, Any]]) -> Rows:
        """Read of each table, and written."""
        return _moved(result, [table.table for table in self.declaration.tables_of(self.database)])


class FileDropOperator(CutoverOperator):
    """Brings one raw table up to the files in a folder or an object store.

    ``full`` reads every file again, ``accept_gone`` believes a whole list that misses many rows; both may be
    templates. A task that was killed or failed goes on with the first file that was not stored.
    """

    template_fields = ("migration", "drop", "full", "accept_gone")

    def __init__(self, *, drop: str, full: bool | str = False, accept_gone: bool | str = False, **kwargs: Any) -> None:
        kwargs.setdefault("retries", 2)
        kwargs.setdefault("outlets", [raw_asset(drop)])
        super().__init__(**kwargs)
        self.drop = drop
        self.full = full
        self.accept_gone = accept_gone
        self.lineage_step = f"extract.{drop}"

    def run_phase(self, context: Context) -> dict[str, Any]:
        """One sync. The XCom is its report without anything secret or personal."""
        from cutover.extract.drop import sync_drop

        drop = self.declaration.files[self.drop]
        of_launch = self.has_begun(context)
        made_from = self.require(context, f"extract.{self.drop}") if of_launch else []
        report = sync_drop(
            drop,
            folder(drop),
            self.connect(context),
            full=_is_true(self.full),
            accept_gone=_is_true(self.accept_gone),
            log=self.report,
        )
        if of_launch:
            self.record(context, f"extract.{self.drop}", made_from, **report.to_xcom())
        for asset in self.outlets:
            context["outlet_events"][asset].extra = {"changed": report.written, "total": report.total}
        return report.to_xcom()

    def rows(self, result: dict[str, Any]) -> int:
        """The rows of all files that were read."""
        return int(result["rows"])

    @property
    def lineage_outputs(self) -> list[str]:
        """The raw table."""
        return [f"raw.{self.drop}"]

    def lineage_rows(self, result: dict[str, Any]) -> Rows:
        """Read of the files, and written."""
        return _moved([result], [self.declaration.files[self.drop].pattern])


def _moved(reports: Sequence[dict[str, Any]], read_from: Sequence[str]) -> Rows:
    """Rows by the reports of syncs, each of what stands in its place of ``read_from``."""
    written = {
        f"raw.{report['source']}": sum(report[kind] for kind in ("new", "changed", "returned", "gone"))
        for report in reports
    }
    read = {
        name: report["rows"] if "rows" in report else report["read"]
        for name, report in zip(read_from, reports, strict=True)
    }
    return Rows(written, read)


def folder(drop: FileDrop) -> ObjectStoragePath:
    """The folder of a file drop, opened by its Airflow connection.

    Raises CutoverError ``extract.no-connection``, ``extract.bad-connection`` and ``extract.storage``.
    """
    from airflow.sdk import ObjectStoragePath

    if drop.connection is not None:
        _connection(drop.connection)
    try:
        path = ObjectStoragePath(drop.path, conn_id=drop.connection)
        assert path.fs is not None  # made now, so that what is wrong with it is said here
    except Exception as error:
        raise CutoverError(
            "extract.storage",
            masked_text(drop.path),
            f"it cannot be opened: {masked_text(str(error)) or type(error).__name__}.",
            f"correct `path` of files.{drop.name} in migration.yaml, or the connection; a storage needs its provider "
            "(apache-airflow-providers-amazon[s3fs], -google, -microsoft-azure) beside Airflow.",
        ) from error
    return path


class SyncSummaryOperator(BaseOperator):
    """Says in one line what the syncs of all endpoints came to."""

    def execute(self, context: Context) -> str:
        """Add up the reports of the tasks before this one."""
        reports = [context["ti"].xcom_pull(task_ids=task_id) for task_id in sorted(self.upstream_task_ids)]
        written = sum(report["new"] + report["changed"] + report["returned"] + report["gone"] for report in reports)
        line = f"{written:,} changed of {sum(report['total'] for report in reports):,}"
        self.log.info(line)
        return line


_TOOLTIP = "Bring the raw tables up to what the sources show"
# The DAG's params, where it has them.
_PARAMETERS = {"full": "{{ params.get('full', False) }}", "accept_gone": "{{ params.get('accept_gone', False) }}"}


def extract_group(migration: str) -> TaskGroup:
    """The task group ``extract``: one task per endpoint, file drop and source database that ``migration`` declares,
    named after it, side by side.

    The DAG's params ``full`` and ``accept_gone``, where it has them, reach the tasks.
    """
    with TaskGroup("extract", tooltip=_TOOLTIP) as group:
        for source in load(migration).sources.values():
            _sync(source)
        for drop in load(migration).files.values():
            _sync_drop(drop)
        for database in load(migration).databases:
            CopyOperator(
                task_id=database,
                migration=migration,
                database=database,
                doc_md=f"All tables of `{database}` in one snapshot, over connection `{database}`.",
                **_PARAMETERS,
            )
    return group


def sync_group(migrations: Sequence[Migration]) -> TaskGroup:
    """The task group ``extract`` of several migrations: one task per endpoint and file drop, named after it.

    Where two migrations call one alike, that of the second has its migration's name in front.
    """
    names: set[str] = set()
    with TaskGroup("extract", tooltip=_TOOLTIP) as group:
        for migration in migrations:
            for source in migration.sources.values():
                _sync(source, f"{migration.migration}_{source.name}" if source.name in names else source.name)
                names.add(source.name)
            for drop in migration.files.values():
                _sync_drop(drop, f"{migration.migration}_{drop.name}" if drop.name in names else drop.name)
                names.add(drop.name)
    return group


def _sync(source: Source, task_id: str | None = None) -> ExtractOperator:
    return ExtractOperator(
        task_id=task_id or source.name,
        migration=source.migration,
        source=source.name,
        doc_md=f"`GET {source.path}` into `raw.{source.name}`, over connection `{source.connection}`.",
        **_PARAMETERS,
    )


def _sync_drop(drop: FileDrop, task_id: str | None = None) -> FileDropOperator:
    return FileDropOperator(
        task_id=task_id or drop.name,
        migration=drop.migration,
        drop=drop.name,
        doc_md=f"Files `{drop.pattern}` of `{masked_text(drop.path)}` into `raw.{drop.name}`.",
        **_PARAMETERS,
    )


def _is_true(value: bool | str) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")
