"""Fetch the scripts, styles and fonts of assets.json again, with their licences. Needs npm.

Run it after a change of assets.json: ``python plugins/cutover/validate/data_docs_assets/refresh.py``. What is no longer
listed goes.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Replace the folder ``files``."""
    packages = json.loads((HERE / "assets.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text('{"private": true}')
        wanted = [f"{package['package']}@{package['version']}" for package in packages]
        options = ["--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
        subprocess.run(["npm", "install", *options, *wanted], cwd=folder, check=True)
        shutil.rmtree(HERE / "files", ignore_errors=True)
        for package in packages:
            source = Path(folder, "node_modules", package["package"])
            target = HERE / "files" / package["package"]
            licences = [path.name for path in source.iterdir() if path.name.upper().startswith("LICEN")]
            for name in [*package["files"], *licences]:
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, target / name)


if __name__ == "__main__":
    main()
