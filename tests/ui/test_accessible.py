"""axe finds nothing serious on any page of ours, light on a desk and dark on a phone; and nothing is cut off there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest

from .conftest import DAG, HERE, PROBED, REHEARSED, RUN_ID, Deployment, Pages, review, site
from .test_pages import ROUTES

pytestmark = [
    pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no Chromium here: apt-get install chromium"),
    pytest.mark.timeout(600),
]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
# Pages of Great Expectations are not ours to mend, and what is no page has nobody who reads it in a browser.
NO_PAGES = (".css", ".json", ".svg", "/evidence", "/difference.csv?table=transactions", "index.html")
PAGES = [route for route in ROUTES if not route.endswith(NO_PAGES)]
FIGURE = {
    "name": "f", "title": "Revenue", "total": 3, "columns": ["month", "before", "after"],
    "numbers": ["before", "after"], "rows": [["2025-01", "1.50", "2.50"], ["2025-02", "3", "4"], ["2025-03", "5", "4"]],
}  # fmt: skip
SAMPLES = {"unified_profiles": {
    "added": [{"id": "a1", "email": "m•••@g•••"}], "removed": [{"id": "b1", "email": "n•••@g•••"}],
    "changed": [{"key": {"id": "c1"}, "columns": {"tags": {"before": "[]", "after": '["PaidP2P"]'}}}],
}}  # fmt: skip
FULL = review(
    figures=[FIGURE, FIGURE | {"title": "Funnel", "columns": ["step", "before", "after"]}],
    samples=SAMPLES, rehearsal=REHEARSED, probes=PROBED, captured=12,
    warnings=[{"name": "w", "title": "Paid for nothing", "total": 19, "columns": ["invoice", "amount"],
               "rows": [["inv1", "350.00"]]}],
)  # fmt: skip


@pytest.fixture
def page(get: Pages) -> Iterator[Any]:
    """A tab of Chromium in which a signed-in viewer opens pages of the API server."""
    from playwright.sync_api import sync_playwright

    def answer(route: Any) -> None:
        response = get(route.request.url.removeprefix("http://cutover.test"))
        route.fulfill(status=response.status_code, headers=dict(response.headers), body=response.content)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        # axe runs in the page, and our pages let no script run
        tab = browser.new_page(base_url="http://cutover.test", bypass_csp=True)
        tab.route("**/*", answer)
        yield tab
        browser.close()


def findings(page: Any) -> list[str]:
    """What axe calls serious or critical: its rule, and the element that breaks it."""
    result = page.evaluate("axe.run()")
    assert result["passes"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}; {node['html'][:200]}"
        for one in result["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_nothing_keeps_anybody_from_reading_a_page(
    page: Any, target: Deployment, airflow_runs: Callable[..., None]
) -> None:
    site(target)
    target.entry(target.run(FULL))
    airflow_runs(DAG, RUN_ID, "running", {"approve": "awaiting_input", "freeze.snapshot": "success"})
    for path in PAGES:
        assert page.goto(path).status == 200, path
        page.evaluate(AXE)
        for scheme, width in (("light", 1200), ("dark", 390)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 900})
            assert findings(page) == [], f"{path}, {scheme}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_what_axe_is_asked_for_is_found(page: Any, target: Deployment) -> None:
    target.run(FULL)
    page.goto(f"{HERE}/review")
    page.evaluate(AXE)
    page.add_style_tag(content="p, td { color: #ddd !important; background: #fff !important }")
    assert any(one.startswith("color-contrast (serious)") for one in findings(page))
