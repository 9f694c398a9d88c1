"""The embedded PostgreSQL starts, keeps its data over a kill, and says what is wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from cutover.errors import CutoverError
from stack.postgres import EmbeddedPostgres


def test_a_killed_server_starts_again_with_its_data(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg")
    server.start()
    try:
        with psycopg.connect(server.dsn()) as connection:
            connection.execute("create table kept as select 42 as answer")
        postmaster = int((server.data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        while server.is_running():  # a signal is delivered, not obeyed, when kill returns
            time.sleep(0.05)
        again = EmbeddedPostgres(tmp_path / "pg", port=server.port)
        again.start()
        with psycopg.connect(again.dsn()) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
    finally:
        server.stop()


def test_a_process_id_that_is_a_strangers_by_now_is_no_server_and_is_left_alone(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    server.start()
    server.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            lock = server.data / "postmaster.pid"
            lock.write_text(f"{stranger.pid}\n{server.data}\n1\n{server.port}\n\n127.0.0.1\n")
            assert not server.is_running()
            server.stop()
            assert stranger.poll() is None
            server.start()
            assert server.is_running()
            assert stranger.poll() is None
        finally:
            stranger.kill()
            server.remove()


@pytest.mark.parametrize("content", ["", "\n", "not a number\n"])
def test_a_lock_file_that_says_nothing_is_no_server(tmp_path: Path, content: str) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    server.data.mkdir(parents=True)
    (server.data / "postmaster.pid").write_text(content)
    assert not server.is_running()


def test_the_copy_of_a_running_folder_does_not_stop_the_original(tmp_path: Path) -> None:
    original = EmbeddedPostgres(tmp_path / "one", durable=False)
    original.start()
    try:
        copy = EmbeddedPostgres(tmp_path / "two", durable=False)
        copy.home.mkdir(parents=True)
        subprocess.run(["cp", "-a", original.data, copy.home], check=False)
        assert not copy.is_running()
        copy.stop()
        assert original.is_running()
    finally:
        original.remove()


def test_a_wrong_password_is_refused(server: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn(password="wrong"))


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(CutoverError, match=rf"\[stack.port-taken\] 127.0.0.1:{port}"):
            EmbeddedPostgres(tmp_path / "pg", port=port, durable=False).start()


def test_an_initialisation_that_was_killed_starts_over(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", durable=False)
    partial = server.home / "data.12345"
    partial.mkdir(parents=True)
    (partial / "PG_VERSION").write_text("18\n")
    # what initdb's own backend writes: its process id, negative
    (partial / "postmaster.pid").write_text("-12345\n")
    assert not server.is_running()
    try:
        server.start()
        assert not partial.exists()
        with psycopg.connect(server.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        server.remove()
    assert not server.home.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps servers outside their folder")
def test_servers_of_folders_that_are_gone_are_cleared_away_unless_they_run(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    for name in ("left", "running", "kept", "another"):
        (closed / name).mkdir()
    left, running, row = (EmbeddedPostgres(closed / name / "pg", durable=False) for name in ("left", "running", "kept"))
    if left.home.is_relative_to(closed):
        pytest.skip("every folder on the way is open here")
    running.start()
    assert left.password and row.password  # there is something of theirs
    (closed / "left").rmdir()
    (closed / "running").rmdir()
    try:
        another = EmbeddedPostgres(closed / "another" / "pg", durable=False)
        assert another.password
        assert not left.home.exists()
        assert running.is_running()
        assert row.home.exists()
    finally:
        for server in (running, row, another):
            server.remove()
