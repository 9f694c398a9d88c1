"""The command line behind ``./run``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from cutover.errors import CutoverError
from stack.progress import Console
from stack.settings import ROOT, Settings, short

_HELP = """\
usage: ./run <command>

  demo [--approve] [--scale N] [DAG]   show a migration (clean_launch, or mula) on simulated APIs and databases:
                                       stops at the approval; with --approve answers it and checks the end
  up                                   start PostgreSQL and Airflow on the connections in the environment
  down                                 stop everything that was started; the data stays in .local
  dsn CONNECTION                       print a PostgreSQL connection string, e.g. ./run dsn production
  test [PYTEST ARGUMENTS]              run the test suite, or a part: ./run test tests/swap -k carry
  lint [--fix]                         check style, types, SQL and that requirements.txt is up to date
  lock [--upgrade]                     compile requirements.in to requirements.txt, keeping pins unless told
  verify-ledger [CONNECTION]           check that no ledger entry was changed since it was written (default production)
  bench [NAME]                         measure; without a name, list what can be measured
  help                                 this text

  Ports: CUTOVER_AIRFLOW_PORT (8080), CUTOVER_PG_PORT (5439), CUTOVER_XENDIT_PORT (8101),
  CUTOVER_SYSTEMEIO_PORT (8102). Your own servers: AIRFLOW_CONN_XENDIT, AIRFLOW_CONN_SYSTEMEIO,
  AIRFLOW_CONN_PRODUCTION. More: docs/running.md
"""


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    command, *rest = arguments or ["help"]
    if command in ("help", "-h", "--help"):
        print(_HELP, end="")
        return 0
    if command not in _COMMANDS:
        print(f"./run {command}: there is no such command.\n\n{_HELP}", end="", file=sys.stderr)
        return 2
    try:
        return _COMMANDS[command](rest)
    except CutoverError as error:
        Console().status("")
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What was started goes on; ./run down stops it.", file=sys.stderr)
        return 130


def _demo(arguments: list[str]) -> int:
    from stack.demonstration import Demonstration
    from stack.deployment import Deployment

    parser = argparse.ArgumentParser(prog="./run demo")
    parser.add_argument("dag", nargs="?", default="clean_launch")
    parser.add_argument("--approve", action="store_true", help="answer the approval, wait for the end and check it")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="so many times the real account's size")
    chosen = parser.parse_args(arguments)
    if chosen.scale < 1:
        parser.error("--scale must be 1 or more")
    dag = {"mula": "mula_unification"}.get(chosen.dag, chosen.dag)
    if not (ROOT / "dags" / f"{dag}.py").exists():
        raise CutoverError(
            "stack.no-dag", dag, "there is no such file in dags.", "name one of the DAGs in the folder dags."
        )
    deployment = Deployment(Settings.read(), Console())
    deployment.up(chosen.scale, demonstration=True, mula=dag == "mula_unification")
    deployment.console.line()
    return Demonstration(deployment, dag, chosen.scale).run(approve=chosen.approve)


def _up(arguments: list[str]) -> int:
    from stack.demonstration import say_where
    from stack.deployment import Deployment

    argparse.ArgumentParser(prog="./run up").parse_args(arguments)
    deployment = Deployment(Settings.read(), Console())
    deployment.up()
    deployment.console.line()
    say_where(deployment)
    return 0


def _down(arguments: list[str]) -> int:
    from stack.deployment import Deployment

    argparse.ArgumentParser(prog="./run down").parse_args(arguments)
    settings = Settings.read()
    stopped = Deployment(settings, Console()).down()
    kept = f"Stopped. The data is kept in {short(settings.home)}; ./run up goes on with it."
    print(kept if stopped else "Nothing was running.")
    return 0


def _dsn(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./run dsn")
    parser.add_argument("connection")
    chosen = parser.parse_args(arguments)
    settings = Settings.read()
    if not settings.is_given(chosen.connection) and not settings.postgres.is_running():
        settings.dsn(chosen.connection)  # an unknown name is the more useful message
        raise CutoverError(
            "stack.not-running", f"connection {chosen.connection}", "its server is not running.", "./run up"
        )
    print(settings.dsn(chosen.connection))
    return 0


def _verify_ledger(arguments: list[str]) -> int:
    from cutover import chain
    from cutover.connect import connector, opened

    parser = argparse.ArgumentParser(prog="./run verify-ledger")
    parser.add_argument("connection", nargs="?", default="production")
    name = parser.parse_args(arguments).connection
    with opened(connector(Settings.read().dsn(name), name, "cutover verify-ledger")) as connection:
        if connection.execute("select to_regclass('cutover.ledger') is null").fetchone() == (True,):
            print(f"Nothing has been launched into {name} yet: there is no ledger.")
            return 0
        links = chain.links(connection)
    chain.require_whole(links, name)
    newest = f", the newest with hash {links[-1].hash}" if links else ""
    entries = "entry" if len(links) == 1 else "entries"
    print(f"The ledger of {name} is as it was written: {len(links)} {entries}{newest}.")
    return 0


def _test(arguments: list[str]) -> int:
    settings = Settings.read()
    environment = {
        **os.environ,
        # importing Airflow writes its configuration there: not into the home folder, nor into a running stack's
        "AIRFLOW_HOME": str(settings.home / "test" / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "GX_ANALYTICS_ENABLED": "false",
    }
    own_way = any(argument.startswith(("-n", "-p", "--pdb")) for argument in arguments)
    parallel = [] if own_way else ["-n", "2", "--dist", "loadfile"]
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *parallel, *arguments], environment)


def _bench(arguments: list[str]) -> int:
    name, *rest = arguments or [""]
    if name in _BENCHES:
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", f"bench.{name}", *rest], dict(os.environ))
    if name:
        names = ", ".join(_BENCHES)
        raise CutoverError("stack.no-bench", name, "there is no such bench.", f"name one of: {names}.")
    for known, what in _BENCHES.items():
        print(f"{known:<10} {what}")
    return 0


def _lint(arguments: list[str]) -> int:
    from stack.lint import lint

    parser = argparse.ArgumentParser(prog="./run lint")
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    return lint(fix=parser.parse_args(arguments).fix)


def _lock(arguments: list[str]) -> int:
    from stack.lint import lock

    parser = argparse.ArgumentParser(prog="./run lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping pins")
    return lock(upgrade=parser.parse_args(arguments).upgrade)


_BENCHES = {
    "extract": "extraction beside doing it plainly and beside dlt",
    "tables": "copying tables between databases beside psql, and how merging grows",
    "validate": "the suites beside the same checks as plain SQL",
    "swap": "how long clients wait for a swap and its rollback, beside other ways to do it",
}

_COMMANDS = {
    "demo": _demo,
    "up": _up,
    "down": _down,
    "dsn": _dsn,
    "verify-ledger": _verify_ledger,
    "test": _test,
    "bench": _bench,
    "lint": _lint,
    "lock": _lock,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
