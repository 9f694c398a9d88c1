"""``python -m demo.simulators`` serves until it is told to stop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import requests

from demo import credentials
from stack.postgres import free_port


def test_the_command_line_serves_until_it_is_told_to_stop(repository: Path) -> None:
    ports = [str(free_port()), str(free_port())]
    command = [sys.executable, "-m", "demo.simulators", "--xendit-port", ports[0], "--systemeio-port", ports[1]]
    environment = {**os.environ, "PYTHONPATH": f"{repository / 'include'}:{repository / 'plugins'}"}
    serving = subprocess.Popen(
        [*command, "--scale", "1", "--latency", "5", "--rate-limit", "600"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert serving.stdout
        said = [serving.stdout.readline().strip() for _ in range(3)]
        assert said == [f"xendit http://127.0.0.1:{ports[0]}", f"systemeio http://127.0.0.1:{ports[1]}", "ready"]
        answer = requests.get(
            f"http://127.0.0.1:{ports[1]}/api/contacts?limit=100",
            headers={"X-API-Key": credentials.SYSTEMEIO_API_KEY},
            timeout=10,
        )
        assert len(answer.json()["items"]) == 100 and answer.headers["X-RateLimit-Limit"] == "600"
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert "cannot listen" in second.stderr and "Traceback" not in second.stderr
    finally:
        serving.terminate()
        serving.communicate(timeout=10)
    assert serving.returncode == 0
