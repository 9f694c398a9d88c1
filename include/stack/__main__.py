"""The command line behind ``./run``: the engine's commands (``cutover.commands``), and this checkout's own."""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections.abc import Sequence

from cutover.commands import COMMANDS as ENGINE
from cutover.commands import be_printable, broken_off
from cutover.errors import CutoverError
from stack.engine import Stack
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
{engine}\
  platform COMMAND                     the unified platform: setup, serve, rotate-keys, flag, billed-twice
                                       (docs/platform.md)
  secrets                              make what docker-compose.yaml's services need to know: one file each in ./secrets
  images                               print the images of docker-compose.yaml by digest, for .env
  test [PYTEST ARGUMENTS]              run the test suite, or a part: ./run test tests/swap -k carry
  lint [--fix]                         check style, types, SQL and that requirements.txt is up to date
  errors                               write docs/errors.md: every error, from the code
  lock [--upgrade]                     compile requirements.in to requirements.txt, keeping pins unless told
  bench [NAME]                         measure; without a name, list what can be measured
  help                                 this text

  Ports: CUTOVER_AIRFLOW_PORT (8080), CUTOVER_PG_PORT (5439), CUTOVER_XENDIT_PORT (8101),
  CUTOVER_SYSTEMEIO_PORT (8102), CUTOVER_PLATFORM_PORT (8110). Your own servers: AIRFLOW_CONN_XENDIT,
  AIRFLOW_CONN_SYSTEMEIO, AIRFLOW_CONN_PRODUCTION. More: docs/running.md
""".format(engine="".join(command.help() for command in ENGINE.values()))


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit status."""
    _be_ourselves()
    try:
        status = _run(*(arguments or ["help"]))
        sys.stdout.flush()
        return status
    except CutoverError as error:
        Console().status("")
        print(error, file=sys.stderr)
        return 1
    except (BrokenPipeError, KeyboardInterrupt) as error:
        return broken_off(error, "Interrupted. What was started goes on; ./run down stops it.")


def _run(command: str, *arguments: str) -> int:
    if command in ("help", "-h", "--help"):
        print(_HELP, end="")
        return 0
    if command in ENGINE:
        return ENGINE[command].run(Stack(Settings.read()), arguments)
    if command in _COMMANDS:
        return _COMMANDS[command](list(arguments))
    print(f"./run {command}: there is no such command.\n\n{_HELP}", end="", file=sys.stderr)
    return 2


def _be_ourselves() -> None:
    """Make this process independent of what the shell happens to hold."""
    for name in [name for name in os.environ if is_libpq(name)]:
        del os.environ[name]  # our connections say everything themselves
    be_printable()
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
    sentence = f"Stopped. The data is kept in {short(settings.home)}; ./run up goes on with it."
    print(sentence if stopped else "Nothing was running.")
    return 0


def _test(arguments: list[str]) -> int:
    settings = Settings.read()
    environment = {
        **os.environ,
        # tests of a migration elsewhere find the engine, too
        "PYTHONPATH": settings.python_environment()["PYTHONPATH"],
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
    "lineage": "what telling a lineage backend costs each task",
    "members": "what people who never bought cost a launch, and how finding rows outside grows",
}

_COMMANDS = {
    "demo": _demo,
    "up": _up,
    "down": _down,
    "test": _test,
    "bench": _bench,
    "lint": _lint,
    "errors": _errors,
    "lock": _lock,
    "platform": _platform,
    "secrets": _secrets,
    "images": _images,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
