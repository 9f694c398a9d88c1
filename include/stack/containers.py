"""Secrets of the Docker deployment: one file each, and every service gets only those that it needs.

``./run secrets`` makes the files that are missing. Docker mounts a service's own below ``/run/secrets``; in the image
``python -m stack.containers COMMAND …`` makes Airflow's variables of them and becomes the command. So no secret stands
in ``docker inspect``, in ``docker compose config``, or in the environment of a service that has no use for it.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from cutover.errors import CutoverError
from cutover.records import signing

SIGNING_KEY = "signing.key"
MOUNTED = Path("/run/secrets")
# Connections that are the demonstration's until somebody writes others.
_DEMONSTRATION = {
    "AIRFLOW_CONN_XENDIT": "http://:xnd_development_demo_reads_everything@127.0.0.1:8101",
    "AIRFLOW_CONN_SYSTEMEIO": "http://:systemeio-demo-reads-everything@127.0.0.1:8102",
}
_ACCOUNTS = ("OPERATOR", "REVIEWER", "AUDITOR", "ADMIN")
_LINE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)")


def write_missing(folder: Path) -> list[str]:
    """Make every secret that ``folder`` does not have yet; returns their names. Nothing is written over."""
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    production = _kept(folder, "production_password") or secrets.token_hex(24)
    target = f"AIRFLOW_CONN_PRODUCTION=postgresql://cutover:{production}@production/production\n"
    wanted = {
        "metadata_password": secrets.token_hex(24),
        "redis_password": secrets.token_hex(24),
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "api_secret_key": secrets.token_hex(32),
        "jwt_secret": secrets.token_hex(32),
        "production_password": production,
        "accounts.env": "".join(f"CUTOVER_PASSWORD_{name}={secrets.token_urlsafe(12)}\n" for name in _ACCOUNTS),
        "connections.env": "# What tasks connect to: one AIRFLOW_CONN_<NAME>=<address> a line.\n"
        + "".join(f"{name}={address}\n" for name, address in _DEMONSTRATION.items())
        + target,
        "targets.env": "# The databases that the pages read: a role that can only read is enough.\n" + target,
    }
    missing = [name for name in wanted if not (folder / name).exists()]
    made = list(missing)
    if not (folder / SIGNING_KEY).exists():
        signing.make(folder / SIGNING_KEY)
        (folder / SIGNING_KEY).chmod(0o644)
        made += [SIGNING_KEY, f"{SIGNING_KEY}.pub"]
    for name in missing:
        path = folder / name
        # Docker hands the file in as it is, and the accounts in the containers are not this one: the folder guards it.
        path.write_text(wanted[name], encoding="utf-8")
        path.chmod(0o644)
    return made


def _kept(folder: Path, name: str) -> str:
    path = folder / name
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""


def variables(folder: Path) -> dict[str, str]:
    """What the secrets in ``folder`` are to Airflow. A secret that is not there sets nothing.

    Raises CutoverError ``stack.secret-unreadable`` for a file that this account may not read, or a line of a ``.env``
    that is none.
    """
    if not folder.is_dir():
        return {}
    held = {path.name: _read(path) for path in sorted(folder.iterdir()) if path.is_file()}
    values: dict[str, str] = {}
    if password := held.get("metadata_password"):
        database = f"airflow:{quote(password, safe='')}@metadata/airflow"
        values["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"postgresql+psycopg2://{database}"
        if broker := held.get("redis_password"):
            values["AIRFLOW__CELERY__BROKER_URL"] = f"redis://:{quote(broker, safe='')}@redis:6379/0"
            values["AIRFLOW__CELERY__RESULT_BACKEND"] = f"db+postgresql://{database}"
    for name, variable in {
        "fernet_key": "AIRFLOW__CORE__FERNET_KEY",
        "api_secret_key": "AIRFLOW__API__SECRET_KEY",
        "jwt_secret": "AIRFLOW__API_AUTH__JWT_SECRET",
        "production_password": "PRODUCTION_PASSWORD",
    }.items():
        if value := held.get(name):
            values[variable] = value
    for name, text in held.items():
        if name.endswith(".env"):
            values |= _lines(folder / name, text)
    return values


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise CutoverError(
            "stack.secret-unreadable",
            str(path),
            f"the service's account may not read it: {error.strerror}.",
            "chmod 644 the file in the folder secrets, and 700 the folder.",
        ) from error


def _lines(path: Path, text: str) -> dict[str, str]:
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            # the line itself may be a secret
            raise CutoverError(
                "stack.secret-unreadable", f"{path}, line {number}", "it is not NAME=value.", "correct that line."
            )
        values[match[1]] = match[2]
    return values


def main(command: Sequence[str], mounted: Path = MOUNTED, given: Mapping[str, str] | None = None) -> None:
    """Become ``command``, with what the secrets say in its environment."""
    environment = {**(os.environ if given is None else given), **variables(mounted)}
    os.execvpe(command[0], list(command), environment)


if __name__ == "__main__":
    try:
        main(sys.argv[1:] or ["airflow", "version"])
    except CutoverError as error:
        sys.exit(str(error))
