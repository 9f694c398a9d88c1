"""The checks of style, types and SQL, and the lock file."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from cutover.errors import CutoverError
from stack.install import read_pip_settings, uv_environment
from stack.progress import Console
from stack.settings import ROOT

_MARK = "# of requirements.in with digest "
_COMPOSE = ("--builtin-schema", "vendor.compose-spec")
_PARTIAL = ("extra-index-url", "find-links")
_NOT_IN_THE_IMAGE = "# not in the image"
_IMAGE_HEAD = "# Derived by ./run lock from requirements.txt: without what only tests, checks and ./run itself need.\n"
_FROM_VARIABLE = re.compile(r"\$\{(\w+_IMAGE):-([^@}]+)\}")
_BY_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")


def lint(*, fix: bool = False) -> int:
    """Run every check, all of them even when one fails; returns the exit status. ``fix`` mends what can be."""
    console = Console()
    mend = ["--fix"] if fix else []
    results = [
        _step(console, "ruff check", [_tool("ruff"), "check", "--quiet", *mend, "."]),
        _step(console, "ruff format", [_tool("ruff"), "format", "--quiet", *([] if fix else ["--diff"]), "."]),
        _step(console, "mypy", [_tool("mypy"), "--no-error-summary"]),
        _lint_sql(console, fix=fix),
        _step(console, "docker-compose", [_tool("check-jsonschema"), *_COMPOSE, "docker-compose.yaml"]),
        _report(console, "what Docker may", confinement(ROOT), 0.0),
        _report(console, "requirements.txt", drift(ROOT), 0.0),
    ]
    return 0 if all(results) else 1


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _step(console: Console, name: str, command: Sequence[str]) -> bool:
    console.status(f"{name} …")
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return _report(
        console, name, "" if done.returncode == 0 else (done.stdout + done.stderr).strip(), time.monotonic() - started
    )


def _report(console: Console, name: str, complaint: str, seconds: float) -> bool:
    mark = console.styled("✗", "red") if complaint else console.styled("✓", "green")
    console.line(f"{mark} {name:<18}{seconds:6.1f} s")
    if complaint:
        console.line(complaint)
    return not complaint


def _lint_sql(console: Console, *, fix: bool) -> bool:
    """sqlfluff over the files that have changed since they last passed: it takes a fifth of a second for each."""
    passed_path = ROOT / ".local" / "sqlfluff.json"
    passed: dict[str, str] = json.loads(passed_path.read_text()) if passed_path.exists() else {}
    rules = (ROOT / "pyproject.toml").read_bytes()
    paths = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.glob("[ip]*/**/*.sql"))}
    changed = [name for name, path in paths.items() if passed.get(name) != _digest(rules, path)]
    started = time.monotonic()
    console.status(f"sqlfluff over {len(changed)} of {len(paths)} files …")
    complaint = ""
    if changed:
        verb = ["fix", "--quiet"] if fix else ["lint", "--nocolor", "--disable-progress-bar"]
        command = [_tool("sqlfluff"), *verb, "--processes", "0", *changed]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        output = (done.stdout + done.stderr).strip()
        failed = set(re.findall(r"^== \[(\S+)\] FAIL$", output, re.MULTILINE))
        complaint = "" if done.returncode == 0 else output
        if fix or (done.returncode != 0 and not failed):
            failed = set(changed)  # what fixing has left is for the next run to say
        passed |= {name: _digest(rules, paths[name]) for name in changed if name not in failed}
        passed_path.parent.mkdir(exist_ok=True)
        passed_path.write_text(json.dumps({name: passed[name] for name in passed if name in paths}, indent=0))
    return _report(console, "sqlfluff", complaint, time.monotonic() - started)


def _digest(rules: bytes, path: Path) -> str:
    return hashlib.sha256(rules + path.read_bytes()).hexdigest()


def requirements_digest(text: str) -> str:
    """A digest of what requirements.in asks for: comments, blanks and order do not count."""
    lines = sorted(line.partition("#")[0].strip() for line in text.splitlines())
    return hashlib.sha256("\n".join(line for line in lines if line).encode()).hexdigest()[:32]


def drift(root: Path) -> str:
    """What is wrong with requirements.txt as the compiled requirements.in of ``root``; empty if nothing is."""
    lock = (root / "requirements.txt").read_text()
    wanted = requirements_digest((root / "requirements.in").read_text())
    if f"{_MARK}{wanted}\n" not in lock:
        return "requirements.txt is not compiled from requirements.in as it is.\n  To clear it: ./run lock"
    blocks = re.split(r"\n(?=[a-z0-9])", lock)[1:]
    bare = [block.partition("==")[0] for block in blocks if "--hash=sha256:" not in block]
    if bare:
        return f"requirements.txt has no hash for {', '.join(bare)}.\n  To clear it: ./run lock"
    if re.search(r"https?://|file:|--(extra-)?index-url|--find-links", lock):
        return "requirements.txt names a package index, which is for each machine to say.\n  To clear it: ./run lock"
    if (root / "requirements-image.txt").read_text() != image_requirements(root):
        return "requirements-image.txt is not derived from requirements.txt as it is.\n  To clear it: ./run lock"
    return ""


def image_requirements(root: Path) -> str:
    """The part of requirements.txt that the image installs: what a requirement that belongs there leads to."""
    left_out = {
        _canonical(re.split(r"[\[=<>~;# ]", line, maxsplit=1)[0])
        for line in (root / "requirements.in").read_text().splitlines()
        if _NOT_IN_THE_IMAGE in line
    }
    blocks = re.split(r"\n(?=[a-z0-9])", (root / "requirements.txt").read_text().rstrip("\n"))[1:]
    named = [(_canonical(block.partition("==")[0]), block) for block in blocks]
    wanted_by: dict[str, set[str]] = {}
    for name, block in named:
        via = block.partition("# via")[2].replace("#", " ").replace("-r requirements.in", "-r")
        wanted_by.setdefault(name, set()).update(_canonical(parent) for parent in via.split())
    names = {name for name, parents in wanted_by.items() if "-r" in parents and name not in left_out}
    while more := {name for name, parents in wanted_by.items() if name not in names and parents & names}:
        names |= more
    return _IMAGE_HEAD + "".join(f"{block}\n" for name, block in named if name in names)


def _canonical(name: str) -> str:
    return name if name == "-r" else re.sub(r"[-_.]+", "-", name).partition("[")[0].lower()


def confinement(root: Path) -> str:
    """What a service of docker-compose.yaml may that it need not, and images of .env without a digest; or nothing."""
    composed = yaml.safe_load((root / "docker-compose.yaml").read_text())
    faults = []
    for name, service in composed["services"].items():
        wanted = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
        faults += [f"service {name} lacks {key}: {value}" for key, value in wanted.items() if service.get(key) != value]
        faults += [f"service {name} has {key}" for key in ("env_file", "privileged", "cap_add") if key in service]
        faults += [
            f"service {name}: {variable} is a secret of the environment, where docker inspect shows it"
            for variable, value in service.get("environment", {}).items()
            if re.search("PASSWORD|SECRET|_KEY$|_CONN(?!_ID$)", variable) and not str(value).startswith("/run/secrets/")
        ]
        image = service["image"]
        if image != "cutover" and not (_FROM_VARIABLE.fullmatch(image) or _BY_DIGEST.fullmatch(image)):
            faults.append(f"service {name}: image {image} can move: neither a digest nor a variable of .env")
    own = root / ".env"
    for line in own.read_text().splitlines() if own.exists() else []:
        variable, _, image = line.strip().partition("=")
        if re.fullmatch(r"\w+_IMAGE", variable) and not _BY_DIGEST.fullmatch(image):
            faults.append(f".env, {variable}: {image} has no digest; ./run images prints it")
    return "\n".join(faults)


def images(root: Path) -> dict[str, str]:
    """Variable → image with the digest that the registry has for its tag now. Raises ``stack.no-digest``."""
    text = (root / "docker-compose.yaml").read_text()
    return {variable: f"{image}@{_digest_of(image)}" for variable, image in _FROM_VARIABLE.findall(text)}


def _digest_of(image: str) -> str:
    command = ["docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}", image]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        digest = done.stdout.strip()
        why = (done.stderr.strip().splitlines() or ["it gave no digest"])[-1]
    except OSError as error:
        digest, why = "", f"docker cannot be run: {error.strerror}"
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise CutoverError(
            "stack.no-digest",
            f"image {image}",
            f"its digest is not known: {why}.",
            "run ./run images where Docker with buildx reaches your registry.",
        )
    return digest


def lock(*, upgrade: bool = False) -> int:
    """Compile requirements.in for every supported Python and platform, keeping the pins that still fit."""
    target = ROOT / "requirements.txt"
    command = [
        *(_tool("uv"), "pip", "compile", "--quiet", "--universal", "--python-version", "3.10", "--generate-hashes"),
        *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "./run lock"),
        *(["--upgrade"] if upgrade else []),
        *("requirements.in", "--output-file", str(target)),
    ]
    # Further indexes may hold part of a version's files, and so not those of every Python and platform.
    pip = {name: values for name, values in read_pip_settings(Path(sys.executable)).items() if name not in _PARTIAL}
    variables = uv_environment(pip, os.environ)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=variables, check=False)
    if done.returncode != 0:
        raise CutoverError(
            "stack.lock-failed",
            "requirements.in",
            f"it cannot be compiled:\n{done.stderr.strip()}",
            "change the requirement that is named above.",
        )
    first, rest = target.read_text().split("./run lock\n", 1)
    digest = requirements_digest((ROOT / "requirements.in").read_text())
    target.write_text(f"{first}./run lock\n{_MARK}{digest}\n{rest}")
    image = image_requirements(ROOT)
    (ROOT / "requirements-image.txt").write_text(image)
    pins = [len(re.findall("^[a-z0-9]", text, re.MULTILINE)) for text in (rest, image)]
    print(f"requirements.txt: {pins[0]} pins, {pins[1]} of them in the image")
    return 0
