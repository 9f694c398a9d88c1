"""Great Expectations' pages, one immutable site for each validation, complete without internet.

::

    <root>/assets/<digest>/…                            scripts, styles and fonts, shared by all sites
    <root>/<migration>/<run>/<number>-<phase>/          a site: index.html, checks.html, …
        result.json                                     the ValidationResult
        results/<suite>.json                            Great Expectations' own result, samples masked
        manifest.json                                   SHA-256 of every other file: the site is complete with it
        erased.json                                     which of them were taken out since, and when

The root is a folder or a bucket (``cutover.storage``). A site is made elsewhere and put in its place: it is there
whole, or not at all. It is never written again, only taken out of; a new try of the same run gets the next number.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cutover.errors import CutoverError
from cutover.storage import Object, Storage
from cutover.validate.result import ValidationResult

if TYPE_CHECKING:
    from cutover.validate.suites import Outcome

MANIFEST = "manifest.json"
ERASED = "erased.json"
# After so many names that other tasks have taken something else is wrong.
_TRIES = 20
SITE = re.compile(r"(\d+)-(\w+)")
_FAVICON = re.compile(r"<link[^>]*static/images/favicon[^>]*>")
# The vendor's logo, with the time in its address.
_LOGO = re.compile(r"<img[^>]*great-expectations-web-assets[^>]*>")
_BACKGROUND = re.compile(r"url\(\s*['\"]?https?://[^)]*\)")
# Checksums and modes of the files that were replaced by ours.
_FETCH_ATTRIBUTES = re.compile(r"\s(?:integrity|crossorigin)=(?:\"[^\"]*\"|'[^']*')")
_LOADED = re.compile(
    r"<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)=[\"'](https?://[^\"']+)|url\(\s*['\"]?(https?:)"
)
_FOOTER = re.compile(r"<footer>.*?</footer>", re.DOTALL)
_DARK = re.compile(r"<link[^>]*@forevolve/bootstrap-dark[^>]*>")


def assets_folder() -> Path:
    """Where the pages' scripts, styles and fonts are."""
    return Path(__file__).with_name("data_docs_assets")


def write(root: Storage, migration: str, outcome: Outcome, result: ValidationResult) -> tuple[str, str]:
    """Write the site of one validation. Returns its folder below ``root``, and its manifest's SHA-256.

    Raises CutoverError ``validate.docs-not-offline`` if a page would load something from elsewhere,
    ``validate.docs-incomplete`` if Great Expectations left a page out, ``storage.*`` if the root takes no files.
    """
    shared = share_assets(root)
    sites = f"{migration}/{result.run}"
    with root.making() as making:
        _render(making, migration, outcome, result, assets=f"../../../{shared}")
        for page in sorted(making.rglob("*.html")):
            # below the root: migration, run, site
            depth = len(page.relative_to(making).parts) - 1 + 3
            text = offline(page.read_text(encoding="utf-8"), "../" * depth + shared, page.name)
            page.write_text(text, encoding="utf-8")
        (making / "result.json").write_text(_json(result.as_dict()), encoding="utf-8")
        manifest = _write_manifest(making)
        return _put_in_place(root, making, sites, result.phase), manifest


def share_assets(root: Storage) -> str:
    """Copy the assets below ``root`` unless they are there. Returns their folder, which names their content."""
    source = assets_folder() / "files"
    digest = hashlib.sha256((assets_folder() / "assets.json").read_bytes()).hexdigest()[:12]
    shared = f"assets/{digest}"
    last = max(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
    if root.look(f"{shared}/{last}") is None:
        with root.making() as making:
            shutil.copytree(source, making, dirs_exist_ok=True)
            if not root.place(making, shared, last=last):
                _complete_assets(root, shared, source, last)
    return shared


def _complete_assets(root: Storage, shared: str, source: Path, last: str) -> None:
    """Write those that are missing of another task's: it is at it, with the same files, or was killed at it."""
    present = root.names(shared)
    names = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    for name in sorted(names, key=lambda name: name == last):
        if f"{shared}/{name}" not in present:
            root.write(f"{shared}/{name}", names[name].read_bytes())


def complete(names: Iterable[str], folder: str) -> dict[str, tuple[int, str]]:
    """The complete sites of a run's ``folder`` among all names below it: address → number and phase, in order."""
    sites = {}
    for name in names:
        site, _, file = name.removeprefix(f"{folder}/").partition("/")
        named = SITE.fullmatch(site)
        if named and file == MANIFEST:
            sites[f"{folder}/{site}"] = (int(named[1]), named[2])
    return dict(sorted(sites.items(), key=lambda one: one[1]))


def differences(root: Storage, site: str, files: Mapping[str, Object] | None = None) -> list[str]:
    """Files of a site that are not as its manifest says: changed, missing or added. Empty for an untouched site.

    What was erased is no difference. ``files`` are the site's, where they have been listed already. A store tells one
    version of an object from another: what was read once is not read again.
    """
    files = root.names(site) if files is None else files
    versions = frozenset((name, file.size, file.version) for name, file in files.items())
    key = (root.address, site, versions)
    if all(file.version for file in files.values()) and key in _compared:
        return _compared[key]
    contents = {name.removeprefix(f"{site}/"): content for name, content in root.read_all(files).items()}
    noted: dict[str, str] = json.loads(contents[MANIFEST])["files"]
    gone = set(json.loads(contents.pop(ERASED))["files"]) - contents.keys() if ERASED in contents else set()
    present = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items() if name != MANIFEST}
    different = sorted(n for n in noted.keys() | present.keys() if noted.get(n) != present.get(n) and n not in gone)
    if len(_compared) >= _MOST_COMPARED:
        _compared.clear()
    _compared[key] = different
    return different


# Sites that were compared in this process, and how many are remembered.
_compared: dict[tuple[str, str, frozenset[tuple[str, int, str | None]]], list[str]] = {}
_MOST_COMPARED = 500


def offline(page: str, assets: str, name: str) -> str:
    """``page`` with everything that it loads from elsewhere replaced by ours, or taken out."""
    for address, file in _replacements().items():
        page = re.sub(f"(?<=[\"']){re.escape(address)}(?=[\"'])", f"{assets}/{file}", page)
    for pattern in (_FAVICON, _LOGO, _DARK, _FOOTER, _FETCH_ATTRIBUTES):
        page = pattern.sub("", page)
    page = _BACKGROUND.sub("none", page)
    left = _LOADED.search(page)
    if left:
        raise CutoverError(
            "validate.docs-not-offline",
            f"Data Docs page {name}",
            f"it would load {left[1] or left[0]} from the internet.",
            "add the file to plugins/cutover/validate/data_docs_assets/assets.json, and run refresh.py beside it.",
        )
    return page


def _replacements() -> Mapping[str, str]:
    packages: list[dict[str, Any]] = json.loads((assets_folder() / "assets.json").read_text(encoding="utf-8"))
    return {
        address: f"{package['package']}/{file}"
        for package in packages
        for file, addresses in package["files"].items()
        for address in addresses
    }


def _render(site: Path, migration: str, outcome: Outcome, result: ValidationResult, *, assets: str) -> None:
    """Let Great Expectations write its pages and results, and write ours beside them."""
    from great_expectations.core import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
        ValidationResultIdentifier,
    )
    from jinja2 import Environment, FileSystemLoader

    context: Any = outcome.context
    run_id = RunIdentifier(run_name=result.run, run_time=datetime.now(timezone.utc))
    (site / "results").mkdir()
    for suite, document in outcome.details:
        details: Any = document
        details.meta["run_id"] = run_id
        details.meta["validation_time"] = run_id.run_time
        (site / "results" / f"{suite.name}.json").write_text(_json(details.to_json_dict()), encoding="utf-8")
        for entry in details.results:
            entry.result = _harmless(entry.result)
        suite_id = ExpectationSuiteIdentifier(suite.name)
        result_id = ValidationResultIdentifier(suite_id, run_id, batch_identifier=suite.name)
        context.validation_results_store.store_validation_results(details, result_id, suite_id)
    title = f"{migration} {result.run}, {result.phase}"
    context.add_data_docs_site(
        site_name=title,
        site_config={
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder", "show_cta_footer": False},
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)},
        },
    )
    context.build_data_docs(site_names=[title])
    shutil.rmtree(site / "static", ignore_errors=True)
    for suite, _ in outcome.details:
        # A page that Great Expectations cannot render is only logged by it.
        if not any(site.glob(f"validations/{suite.name}/**/*.html")):
            raise CutoverError(
                "validate.docs-incomplete",
                f"Data Docs of suite {suite.name}",
                "Great Expectations could not render its page; the task's log has its reason.",
                "correct the expectation that it names, and clear this task.",
            )
    pages = Environment(loader=FileSystemLoader(assets_folder()), autoescape=True)
    checks = pages.get_template("checks.html.j2").render(result=result, assets=assets)
    (site / "checks.html").write_text(checks, encoding="utf-8")
    index = site / "index.html"
    link = '<p class="pt-3 pl-5"><a href="checks.html">Checks across tables</a></p>'
    index.write_text(index.read_text(encoding="utf-8").replace("<body>", f"<body>{link}", 1), encoding="utf-8")


def _harmless(value: Any) -> Any:
    """Observed values as text of a page: Great Expectations writes them into its pages as they are."""
    if isinstance(value, dict):
        return {key: _harmless(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_harmless(item) for item in value]
    # a dollar sign begins a variable of its templates
    return html.escape(value).replace("$", "&#36;") if isinstance(value, str) else value


def _write_manifest(site: Path) -> str:
    text = _json({"files": _digests(site)})
    (site / MANIFEST).write_text(text, encoding="utf-8")
    for path in site.rglob("*"):
        if path.is_file():
            path.chmod(0o444)
    return hashlib.sha256(text.encode()).hexdigest()


def _digests(site: Path) -> dict[str, str]:
    return {
        str(path.relative_to(site)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(site.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def _put_in_place(root: Storage, making: Path, sites: str, phase: str) -> str:
    """Put the finished site under the next free number."""
    for _ in range(_TRIES):
        there = {name.removeprefix(f"{sites}/").partition("/")[0] for name in root.names(sites)}
        taken = [int(match[1]) for name in there if (match := SITE.fullmatch(name))]
        site = f"{sites}/{max(taken, default=0) + 1}-{phase}"
        if root.place(making, site, last=MANIFEST):
            return site
    raise CutoverError(
        "validate.docs-overtaken",
        f"{root}/{sites}",
        f"{_TRIES} times another task has taken the number that was free.",
        "see which tasks write there, then clear the task.",
    )


def _json(value: object) -> str:
    return json.dumps(value, indent=1, sort_keys=True, default=str) + "\n"
