"""`./run` on a bare machine: old and incomplete Pythons, pip's settings, and an installation that was killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stack import install

# What an interpreter that is no use looks like to `./run`: it fails the check that is run in it.
_USELESS = "#!/bin/sh\nexit 3\n"


def _program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def _without_ensurepip(folder: Path) -> dict[str, str]:
    """An environment in which `import ensurepip` fails, as on Debian without python3-venv."""
    (folder / "ensurepip.py").write_text("raise ImportError('No module named ensurepip')\n")
    return {**os.environ, "PYTHONPATH": str(folder), "PATH": "/nowhere"}


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    """A copy of what `./run` needs before anything is installed."""
    folder = tmp_path / "checkout"
    shutil.copytree(repository / "include" / "stack", folder / "include" / "stack")
    shutil.copy(repository / "run", folder / "run")
    return folder


def test_a_python_without_venv_is_told_how_to_get_it(checkout: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(checkout / "run"), "help"],
        env=_without_ensurepip(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "[stack.python-incomplete]" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_old_python_is_told_what_is_needed(checkout: Path) -> None:
    # the file as it is, under an interpreter that says it is 3.9; parsing it is the next test's subject
    program = f"sys.argv = ['run']; runpy.run_path({str(checkout / 'run')!r}, run_name='__main__')"
    pretend = f"import sys, runpy; sys.version_info = (3, 9, 2); {program}"
    done = subprocess.run(
        [sys.executable, "-c", pretend],
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("[stack.python-unsupported]")
    assert "(3.9.2)" in done.stderr
    assert "CUTOVER_PYTHON=" in done.stderr


@pytest.mark.parametrize("version", ["python2.7", "python3.6", "python3.7", "python3.8", "python3.9"])
def test_a_real_old_python_reads_the_file(checkout: Path, version: str) -> None:
    values = [Path(path, version) for path in os.environ.get("PATH", "").split(os.pathsep)]
    values += Path.home().glob(f".pyenv/versions/{version.removeprefix('python')}.*/bin/python")
    usable = [
        path
        for path in values
        if path.exists() and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
    ]
    if not usable:
        pytest.skip(f"there is no {version} here")
    done = subprocess.run(
        [usable[0], checkout / "run", "help"],
        env={**os.environ, "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr[:26]) == (1, "[stack.python-unsupported]")


def test_another_python_on_the_path_is_used_instead(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    _program(programs / "python3.13", _USELESS)
    _program(programs / "python3.11", '#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "taken over: $0 $2"\n')
    done = subprocess.run(
        [sys.executable, "-S", str(checkout / "run"), "help"],
        env={**_without_ensurepip(tmp_path), "PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "taken over" in done.stdout
    assert done.stdout.rstrip().endswith("help")


def test_a_named_python_that_is_no_use_is_refused(checkout: Path, tmp_path: Path) -> None:
    useless = _program(tmp_path / "python3", _USELESS)
    done = subprocess.run(
        [sys.executable, checkout / "run", "help"],
        env={**os.environ, "CUTOVER_PYTHON": str(useless)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"CUTOVER_PYTHON={useless}" in done.stderr


def test_pip_settings_are_read_by_precedence() -> None:
    listing = "\n".join(
        [
            ":env:.cert='/etc/env.pem'",
            "global.cert='/etc/global.pem'",
            "global.index-url='https://mirror.example/simple'",
            "install.index-url='https://install.example/simple'",
            "global.extra-index-url='file:///srv/one file:///srv/two'",
            "download.index-url='https://elsewhere.example'",
            "this line means nothing",
        ]
    )
    assert install.parse_pip_settings(listing) == {
        "cert": ["/etc/env.pem"],
        "index-url": ["https://install.example/simple"],
        "extra-index-url": ["file:///srv/one", "file:///srv/two"],
    }


def test_pip_settings_become_uv_settings_where_the_location_exists(tmp_path: Path) -> None:
    there = tmp_path / "wheels"
    there.mkdir()
    variables = install.uv_environment(
        {
            "index-url": ["https://mirror.example/simple"],
            "extra-index-url": [there.as_uri(), "file:///not/there"],
            "find-links": [str(there), "/not/there"],
            "cert": ["/not/there.pem"],
            "default-timeout": ["180"],
        },
        {"UV_DEFAULT_INDEX": "https://mine.example", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert variables["UV_DEFAULT_INDEX"] == "https://mine.example"
    assert variables["UV_INDEX"] == there.as_uri()
    assert variables["UV_FIND_LINKS"] == str(there)
    assert variables["UV_HTTP_TIMEOUT"] == "180"
    assert "SSL_CERT_FILE" not in variables
    assert "PYTHONDONTWRITEBYTECODE" not in variables


@pytest.mark.parametrize(("told", "installs"), [("1", True), ("False", False)])
def test_a_machine_without_a_network_installs_from_a_folder(tmp_path: Path, told: str, installs: bool) -> None:
    uv, python = Path(sys.executable).with_name("uv"), tmp_path / "venv" / "bin" / "python"
    wheel = tmp_path / "nothing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("nothing.py", "")
        made.writestr("nothing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
        made.writestr("nothing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr("nothing-1.0.dist-info/RECORD", "nothing.py,,\n")
    requirements = tmp_path / "requirements.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    requirements.write_text(f"nothing==1.0 --hash=sha256:{digest}\n")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    pip = install.parse_pip_settings(f":env:.no-index='{told}'\n:env:.find-links='{tmp_path}'")
    # nothing listens there
    variables = {"PATH": os.defpath, "UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    done = subprocess.run(
        install.sync(uv, python, requirements, pip), env=install.uv_environment(pip, variables), check=False
    )
    assert (done.returncode == 0) is installs
    assert bool(list(tmp_path.glob("venv/lib/python*/site-packages/nothing.py"))) is installs


def test_what_would_install_elsewhere_or_something_else_is_withheld() -> None:
    fetching = {"PIP_INDEX_URL": "https://mirror", "PIP_CERT": "/ca.pem", "UV_INDEX_MINE_PASSWORD": "x", "PATH": "/bin"}
    elsewhere = {
        **{"PIP_USER": "1", "PIP_TARGET": "/t", "PIP_PREFIX": "/p", "PIP_CONSTRAINT": "/c", "PIP_DRY_RUN": "1"},
        **{"UV_CONSTRAINT": "/c", "UV_OVERRIDE": "/o", "UV_EXCLUDE_NEWER": "2020-01-01", "UV_TARGET": "/t"},
    }
    assert install.without_own_ways({**fetching, **elsewhere}) == fetching


@pytest.mark.parametrize("character", ["$", "`", '"', "'", "\\"])
def test_a_path_that_programs_would_read_otherwise_is_refused_by_name(tmp_path: Path, character: str) -> None:
    with pytest.raises(install.InstallError, match=r"(?s)\[stack.bad-path\].*To clear it") as raised:
        install.require_usable(tmp_path / f"a{character}b")
    assert repr(character) in str(raised.value)


def test_a_user_without_an_account_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_123)
    with pytest.raises(install.InstallError, match=r"\[stack.no-account\] user id 4000123"):
        install.require_usable(tmp_path)


def test_a_checkout_that_cannot_be_written_is_told_in_words(root: Path) -> None:
    (root / ".local").write_text("a file where a folder must be")  # root may write anywhere, so not by its mode
    with pytest.raises(SystemExit, match=r"(?s)\[stack.not-writable\] .*\.local.*To clear it"):
        install.main(str(root), ["help"])


def test_an_environment_that_is_a_link_is_said_so(root: Path, tmp_path: Path) -> None:
    (root / ".venv").symlink_to(tmp_path)
    with pytest.raises(SystemExit, match=r"(?s)\[stack.not-writable\] .*symbolic link.*To clear it"):
        install.main(str(root), ["help"])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ((sys.executable, "-c", "print('no index here'); raise SystemExit(3)"), "it ended with 3.\nno index here\n"),
        (("/nowhere/uv",), "No such file or directory: '/nowhere/uv'"),
    ],
)
def test_an_installer_that_fails_is_told_in_its_own_words(command: tuple[str, ...], words: str) -> None:
    with pytest.raises(install.InstallError) as raised:
        install._call(*command, what="installing uv")
    assert str(raised.value).startswith("[stack.install-failed] installing uv: ")
    assert words in str(raised.value) and "To clear it: " in str(raised.value)


class _Recorded:
    """Stands for the programs that the installation calls; the environment they make is a real folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fail = False
        self.takes = 0.0  # seconds
        monkeypatch.setattr(install, "_call", self)

    def __call__(self, *command: str, what: str, variables: object = None) -> str:
        self.calls.append(what)
        time.sleep(self.takes)
        if what == "making .venv":
            (Path(command[3]) / "bin").mkdir(parents=True)
            (Path(command[3]) / "bin" / "python").symlink_to(sys.executable)
        if what == "installing requirements.txt" and self.fail:
            raise KeyboardInterrupt
        return ""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("uv==1.2.3 \\\n    --hash=sha256:00\nxyz==1 \\\n    --hash=sha256:11\n")
    return tmp_path


def test_a_second_start_installs_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = _Recorded(monkeypatch)
    assert install.install(root)
    assert recorded.calls[-1] == "installing requirements.txt"
    recorded.calls.clear()
    assert not install.install(root)
    assert recorded.calls == []


def test_a_killed_installation_starts_over(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = _Recorded(monkeypatch)
    recorded.fail = True
    with pytest.raises(KeyboardInterrupt):
        install.install(root)
    (root / ".venv" / "half").touch()
    recorded.fail = False
    assert install.install(root)
    assert not (root / ".venv" / "half").exists()


def test_changed_requirements_are_installed_into_the_same_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = _Recorded(monkeypatch)
    install.install(root)
    (root / ".venv" / "kept").touch()
    with (root / "requirements.txt").open("a") as requirements:
        requirements.write("new==2 \\\n    --hash=sha256:22\n")
    recorded.calls.clear()
    assert install.install(root)
    assert "installing requirements.txt" in recorded.calls
    assert (root / ".venv" / "kept").exists()


def test_two_at_once_install_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = _Recorded(monkeypatch)
    recorded.takes = 0.1
    with ThreadPoolExecutor(2) as threads:
        assert sorted(threads.map(install.install, [root, root])) == [False, True]
    assert recorded.calls.count("installing requirements.txt") == 1


def test_a_moved_checkout_is_installed_anew(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = _Recorded(monkeypatch)
    install.install(root)
    moved = root.with_name(f"{root.name}-moved")
    shutil.copytree(root, moved, symlinks=True)
    recorded.calls.clear()
    assert install.install(moved)
    assert "installing requirements.txt" in recorded.calls
