"""The command line behind ``./run``."""

from __future__ import annotations

import argparse
import getpass
import io
import os
import resource
import sys
from collections.abc import Sequence

from cutover.errors import CutoverError
from stack.progress import Console
from stack.settings import ROOT, Settings, is_libpq, of_the_demonstration, short

# Files that a process may have open; the API server and the scheduler need a few hundred.
_FEWEST_FILES = 1024

_HELP = """\
usage: ./run <command>

  demo [--approve] [--scale N] [DAG]   show a migration (clean_launch, or mula) on simulated APIs and databases:
                                       stops at the approval; with --approve answers it and checks the end.
                                       --members N: beside so many members who never bought, and go on using it
  up                                   start PostgreSQL and Airflow on the connections in the environment
  down                                 stop everything that was started; the data stays in .local
  dsn CONNECTION                       print a PostgreSQL connection string, e.g. ./run dsn production
  test [PYTEST ARGUMENTS]              run the test suite, or a part: ./run test tests/swap -k carry
  lint [--fix]                         check style, types, SQL and that requirements.txt is up to date
  errors                               write docs/errors.md: every error, from the code
  lock [--upgrade]                     compile requirements.in to requirements.txt, keeping pins unless told
  verify-ledger [CONNECTION]           check that no evidence was changed since it was written (default production)
  evidence RUN [CONNECTION]            write all evidence of a run into one signed file, to be verified offline
  signing-key [--rotate|--make FILE]   print the public keys; sign with a new key; make one for elsewhere
  bench [NAME]                         measure; without a name, list what can be measured
  assess [MIGRATION] [--to FOLDER]     look at a migration's source databases side by side (default mula_unification):
                                       counts, duplicates, orphans, conflicts, as a page and a file; changes nothing
  erase [--ask] [MIGRATION]            take one person out of everything that the engine keeps; asks whom. With --ask it
                                       only makes a request, which DAG erase_person has approved
  restore FILE [--ask] [MIGRATION]     the rows of the people in a file as they were before the newest launch, from its
                                       backup. With --ask it only makes a request, which DAG restore_people has approved
  platform COMMAND                     the unified platform: setup, serve, rotate-keys, flag, billed-twice
                                       (docs/platform.md)
  secrets                              make what docker-compose.yaml's services need to know: one file each in ./secrets
  images                               print the images of docker-compose.yaml by digest, for .env
  help                                 this text

  Ports: CUTOVER_AIRFLOW_PORT (8080), CUTOVER_PG_PORT (5439), CUTOVER_XENDIT_PORT (8101),
  CUTOVER_SYSTEMEIO_PORT (8102), CUTOVER_PLATFORM_PORT (8110). Your own servers: AIRFLOW_CONN_XENDIT,
  AIRFLOW_CONN_SYSTEMEIO, AIRFLOW_CONN_PRODUCTION. More: docs/running.md
"""


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    _be_ourselves()
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


def _be_ourselves() -> None:
    """Make this process independent of what the shell happens to hold."""
    for name in [name for name in os.environ if is_libpq(name)]:
        del os.environ[name]  # our connections say everything themselves
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no ellipsis gets a question mark
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FEWEST_FILES:
        raise SystemExit(
            f"[stack.too-few-files] ulimit -n {hard}: Airflow and PostgreSQL open more files at once.\n"
            f"  To clear it: allow this user {_FEWEST_FILES} or more (limits.conf, or the container's ulimits)."
        )
    if soft != resource.RLIM_INFINITY and soft < _FEWEST_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FEWEST_FILES, hard))


def _demo(arguments: list[str]) -> int:
    from stack.demonstration import Demonstration
    from stack.deployment import Deployment

    parser = argparse.ArgumentParser(prog="./run demo")
    parser.add_argument("dag", nargs="?", default="clean_launch")
    parser.add_argument("--approve", action="store_true", help="answer the approval, wait for the end and check it")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="so many times the real account's size")
    parser.add_argument(
        "--members",
        type=int,
        metavar="N",
        help="so many further members who never bought, with all that they do; they go on with it meanwhile, and "
        "others sign up. 0 for those of the real account alone, as at first; without it, as many as there are",
    )
    chosen = parser.parse_args(arguments)
    if chosen.scale < 1:
        parser.error("--scale must be 1 or more")
    if chosen.members is not None and chosen.members < 0:
        parser.error("--members must be 0 or more")
    dag = {"mula": "mula_unification"}.get(chosen.dag, chosen.dag)
    if not (ROOT / "dags" / f"{dag}.py").exists():
        raise CutoverError(
            "stack.no-dag", dag, "there is no such file in dags.", "name one of the DAGs in the folder dags."
        )
    variables, withheld = of_the_demonstration(os.environ)
    console = Console()
    if withheld:
        console.line(f"Left out of the demonstration: {', '.join(withheld)}.")
    deployment = Deployment(Settings.read(variables), console)
    deployment.up(chosen.scale, demonstration=True, mula=dag == "mula_unification", members=chosen.members)
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
    import psycopg

    from cutover.database.connect import connector, opened
    from cutover.records import anchors, audit

    parser = argparse.ArgumentParser(prog="./run verify-ledger")
    parser.add_argument("connection", nargs="?", default="production")
    name = parser.parse_args(arguments).connection
    settings = Settings.read()
    settings.share_evidence()
    with opened(connector(settings.dsn(name), name, "cutover verify-ledger")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        noted = anchors.known(name, settings.data_docs)
        if connection.execute("select to_regclass('cutover.chain') is null").fetchone() == (True,) and not noted:
            print(f"Nothing has been launched into {name} yet: there is no ledger.")
            return 0
        verdict = audit.look(connection, settings.keys(), noted)
    for fault in verdict.faults:
        print(f"  {fault}")
    audit.require_whole(verdict, name)
    entries = "one ledger entry" if verdict.entries == 1 else f"{verdict.entries} ledger entries"
    links = "one link" if verdict.links == 1 else f"{verdict.links} links"
    print(f"The evidence in {name} is as it was written: {links}, {entries}.")
    if verdict.newest:
        print(f"  newest   link {verdict.newest.link} of {verdict.newest.signed_at:%Y-%m-%d %H:%M:%S %Z}")
        print(f"  head     {verdict.newest.head}")
        print(f"  signed   by key {', '.join(verdict.keys)}")
    print(f"  {verdict.compared()}")
    return 0


def _evidence(arguments: list[str]) -> int:
    from pathlib import Path

    import psycopg

    from cutover.database.connect import connector, opened
    from cutover.migration import load
    from cutover.records import evidence, run, signing

    parser = argparse.ArgumentParser(prog="./run evidence")
    parser.add_argument("run", help="the run's key, Airflow's run id, or the number of its ledger entry")
    parser.add_argument("connection", nargs="?", default="production")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to write it (default: evidence-<run>.zip here)")
    chosen = parser.parse_args(arguments)
    settings = Settings.read()
    settings.share_evidence()
    # the pages' templates come with Airflow's library, which writes its configuration where this says
    os.environ.setdefault("AIRFLOW_HOME", str(settings.airflow_home))
    from cutover.ui import store

    with opened(connector(settings.dsn(chosen.connection), chosen.connection, "cutover evidence")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        key = evidence.run_named(connection, chosen.run)
        made = store.archive(connection, load(run.get(connection, key).migration), key)
    path = chosen.to or Path(f"evidence-{key}.zip")
    path.write_bytes(made)
    public = signing.signer().public
    print(f"{path}: {len(made) / 1e6:,.1f} MB, signed by key {signing.key_id(public)}.")
    print(f"  unpack it, and verify it there:  python3 verify.py {public}")
    return 0


def _assess(arguments: list[str]) -> int:
    from pathlib import Path

    from cutover import assess
    from cutover.database.connect import connector
    from cutover.migration import load
    from cutover.validate.validation import docs_root

    parser = argparse.ArgumentParser(prog="./run assess")
    parser.add_argument("migration", nargs="?", default="mula_unification")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="write page and file there, too")
    chosen = parser.parse_args(arguments)
    migration = load(chosen.migration)
    if not migration.databases:
        raise CutoverError(
            "assess.no-databases",
            f"migration {migration.migration}",
            "its sources are APIs, and no databases.",
            "name a migration with `databases` in its migration.yaml.",
        )
    settings = Settings.read()
    settings.share_evidence()
    os.environ.setdefault("AIRFLOW_HOME", str(settings.airflow_home))
    made = assess.assess(migration, lambda name: connector(settings.dsn(name), name, "cutover assess"), print)
    print(f"File: {short(assess.keep(made, docs_root()))}")
    print(f"Page: {settings.url}/cutover/dags/{migration.migration}/assessment")
    if chosen.to is not None:
        from cutover.records.evidence import page_alone
        from cutover.ui import store
        from cutover.ui.templating import STYLE, render

        page = render("assessment.html", base="", airflow="", embedded=True, **store.assessment(migration))
        chosen.to.mkdir(parents=True, exist_ok=True)
        (chosen.to / "assessment.html").write_text(page_alone(page, STYLE.read_text(), migration.migration))
        (chosen.to / assess.FILE).write_text(assess.path_of(docs_root(), migration.migration).read_text())
        print(f"Both, to be read without Airflow: {short(chosen.to.resolve())}")
    return 0


def _signing_key(arguments: list[str]) -> int:
    from pathlib import Path

    from cutover.records import signing
    from stack.keys import rotate

    parser = argparse.ArgumentParser(prog="./run signing-key")
    parser.add_argument(
        "--make", type=Path, metavar="FILE", help="make a key in a new file, for a deployment elsewhere"
    )
    parser.add_argument(
        "--rotate", nargs="*", metavar="CONNECTION", help="sign with a new key from now on, in these databases"
    )
    chosen = parser.parse_args(arguments)
    settings = Settings.read()
    if chosen.make:
        made = signing.make(chosen.make)
        print(f"{short(chosen.make.resolve())}: the private key {made.key_id}; its public key is beside it.")
        return 0
    settings.make_signing_key()
    if chosen.rotate is not None:
        old, new = rotate(settings, chosen.rotate or ["production"])
        print(f"Key {new.key_id} signs from now on; key {old.key_id} has vouched for it in the chain.")
        print("Restart what runs: ./run down, ./run up.")
    keys = settings.keys()
    for public in keys.trusted:
        mark = "signs" if keys.signer and public == keys.signer.public else "has signed"
        print(f"  {signing.key_id(public)}  {public}  {mark}")
    print(f"  from {short(settings.signing_key) if not settings.is_given(signing.CONNECTION) else keys.where}")
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
    # in the order of tests/conftest.py: the files that take longest first, so that both workers end together
    parallel = [] if own_way else ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    os.chdir(ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "pytest", *parallel, *arguments], environment)


def _bench(arguments: list[str]) -> int:
    name, *rest = arguments or [""]
    if name in _BENCHES:
        settings = Settings.read()
        settings.make_signing_key()
        settings.share_evidence()
        os.chdir(ROOT)
        os.execve(sys.executable, [sys.executable, "-m", f"bench.{name}", *rest], dict(os.environ))
    if name:
        names = ", ".join(_BENCHES)
        raise CutoverError("stack.no-bench", name, "there is no such bench.", f"name one of: {names}.")
    for known, what in _BENCHES.items():
        print(f"{known:<12} {what}")
    return 0


def _lint(arguments: list[str]) -> int:
    from stack.lint import lint

    parser = argparse.ArgumentParser(prog="./run lint")
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    return lint(fix=parser.parse_args(arguments).fix)


def _errors(arguments: list[str]) -> int:
    from stack import errors

    argparse.ArgumentParser(prog="./run errors").parse_args(arguments)
    (ROOT / errors.PAGE).write_text(errors.page())
    print(f"{errors.PAGE}: {len(errors.entries())} errors")
    return 0


def _lock(arguments: list[str]) -> int:
    from stack.lint import lock

    parser = argparse.ArgumentParser(prog="./run lock")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping pins")
    return lock(upgrade=parser.parse_args(arguments).upgrade)


def _erase(arguments: list[str]) -> int:
    from cutover import erase
    from cutover.database.connect import connector, opened
    from cutover.migration import load
    from cutover.records import ledger

    parser = argparse.ArgumentParser(prog="./run erase")
    parser.add_argument("migration", nargs="?", default="clean_launch")
    parser.add_argument("--ask", action="store_true", help="make a request for DAG erase_person, and erase nothing")
    # an address on the command line would stand in the list of processes and in the shell's history
    chosen = parser.parse_args(arguments)
    migration = load(chosen.migration)
    connect = connector(Settings.read().dsn(migration.target), migration.target, "cutover erase")
    whom = _answer("Whom? An e-mail address, or the id of an account: ")
    by = getpass.getuser()
    with opened(connect) as connection:
        ledger.install(connection)
    with opened(connect) as connection:
        found = erase.preview(connection, migration, whom)
        print("\n".join(erase.lines(found)))
        if chosen.ask:
            number = erase.ask(connection, migration, whom, by)
            print(f"This is request {number}. Trigger DAG erase_person with it; a second person is asked there.")
            return 0
    if _answer("This cannot be undone. Type erase to do it: ") != "erase":
        print("Nothing was erased.")
        return 1
    with opened(connect) as connection:
        found = erase.erase(connection, migration, whom, by=by)
    print(f"Erased: {found.rows:,} rows. What was done stands in cutover.erasure, without a name.")
    return 0


def _restore(arguments: list[str]) -> int:
    from pathlib import Path

    from cutover import restore
    from cutover.database.connect import connector, opened
    from cutover.migration import load
    from cutover.records import ledger

    parser = argparse.ArgumentParser(prog="./run restore")
    parser.add_argument("file", type=Path, help="one column with a header: email, or id (of an account)")
    parser.add_argument("migration", nargs="?", default="clean_launch")
    parser.add_argument("--ask", action="store_true", help="make a request for DAG restore_people, and change nothing")
    chosen = parser.parse_args(arguments)
    values = restore.read(chosen.file)
    settings = Settings.read()
    settings.share_evidence()
    migration = load(chosen.migration)
    connect = connector(settings.dsn(migration.target), migration.target, "cutover restore")
    with opened(connect) as connection:
        ledger.install(connection)
    seen = restore.preview(connect, migration, values, print)
    print("\n".join(restore.lines(seen)))
    restore.require_possible(seen.refusals, 0)
    if not seen.rows:
        return 0
    by = getpass.getuser()
    if not chosen.ask and _answer("Type restore to do it: ") != "restore":
        print("Nothing was changed.")
        return 1
    with opened(connect) as connection:
        number = restore.ask(connection, migration, values, by)
    if chosen.ask:
        print(f"This is request {number}. Trigger DAG restore_people with it; a second person is asked there.")
        return 0
    done = restore.restore(connect, migration, number, by=by, fingerprint=seen.fingerprint, log=print)
    compared = done["certificate"]["compared"]
    print(f"Restored: all {compared:,} rows are as the backup has them. What was done stands in cutover.restoration.")
    return 0


def _answer(question: str) -> str:
    """A line from the terminal, or from whatever is piped in."""
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip()


def _platform(arguments: list[str]) -> int:
    os.execve(
        sys.executable, [sys.executable, "-m", "mula_platform", *arguments], Settings.read().platform_environment()
    )


def _secrets(arguments: list[str]) -> int:
    from stack import containers

    argparse.ArgumentParser(prog="./run secrets").parse_args(arguments)
    made = containers.write_missing(ROOT / "secrets")
    print(f"Made in secrets: {', '.join(made)}." if made else "Every secret is there already; nothing was changed.")
    print("Your own connections: secrets/connections.env for tasks, secrets/targets.env for the pages.")
    return 0


def _images(arguments: list[str]) -> int:
    from stack.lint import images

    argparse.ArgumentParser(prog="./run images").parse_args(arguments)
    for variable, image in images(ROOT).items():
        print(f"{variable}={image}")
    return 0


_BENCHES = {
    "extract": "extraction beside doing it plainly and beside dlt",
    "tables": "copying tables between databases beside psql, and how merging grows",
    "validate": "the suites beside the same checks as plain SQL",
    "fingerprint": "guard and content digest beside a sum of row hashes",
    "swap": "how long clients wait for a swap and its rollback, beside other ways to do it",
    "capture": "what recording a write costs the application, and how fast writes are carried",
    "window": "copies, fence and release of a maintenance window, with a reader in the way",
    "sign_in": "rehearsing the sign-in of every account against the platform",
    "announce": "how close sending messages comes to its limit",
    "review": "how long a review takes whose rows hold long values",
    "platform": "the unified platform under 50 to 1,000 people at once, and sign-ins by old tokens a second",
    "members": "what people who never bought cost a launch, and how finding rows outside grows",
}

_COMMANDS = {
    "demo": _demo,
    "up": _up,
    "down": _down,
    "dsn": _dsn,
    "verify-ledger": _verify_ledger,
    "evidence": _evidence,
    "signing-key": _signing_key,
    "test": _test,
    "bench": _bench,
    "lint": _lint,
    "errors": _errors,
    "lock": _lock,
    "assess": _assess,
    "erase": _erase,
    "restore": _restore,
    "platform": _platform,
    "secrets": _secrets,
    "images": _images,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
