"""Draw a dashboard without a Grafana server: a browser takes the picture, and loads local files only."""

import asyncio
import json
import mimetypes
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from playwright.async_api import Page, Route, async_playwright

FOLDER = Path(__file__).parent
WIDTH_PX = 1800
# The panel's id and the position of the target in it.
Query = tuple[int, int]
# What Prometheus returns for query_range, below data.result. Any: JSON, read by the page only.
Series = Sequence[Mapping[str, Any]]

# Nothing listens there: every request is answered from files.
_ORIGIN = "http://pictures.invalid"
_PAGE = (
    '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><link rel="stylesheet" href="/panels.css">'
    '<script>window.__grafana_public_path__ = "/public/"</script>'
    '<body style="margin: 0"><div id="root"></div><script src="/panels.js"></script>'
)
# Where Grafana's components look for a file, and where npm installed it.
_FILES = {
    "/public/build/img/": "node_modules/@grafana/ui/dist/public/img/",
    "/public/fonts/inter/": "node_modules/inter-ui/web/",
    "/panels.": "build/panels.",
}
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class NotDrawn(Exception):
    """The page logged an error instead of drawing."""


class Shot(NamedTuple):
    """A dashboard, and Prometheus' answer to each of its queries between two times (Unix seconds)."""

    dashboard: Mapping[str, Any]
    results: Mapping[Query, Series]
    since: float
    until: float

    def encode(self) -> str:
        """Return the input of panels.jsx. Raises KeyError for a query without an answer."""
        answers = {
            panel["id"]: [self.results[panel["id"], position] for position in range(len(panel.get("targets", ())))]
            for panel in self.dashboard["panels"]
        }
        return json.dumps({"dashboard": self.dashboard, "answers": answers, "since": self.since, "until": self.until})


async def build() -> None:
    """Install Grafana's components from npm if they are missing, and bundle the page. Call it once before `draw`."""
    if not (FOLDER / "node_modules" / ".package-lock.json").exists():
        await _npm("ci", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund")
    await _npm("run", "build")


async def draw(shot: Shot, target: Path, chromium: str | None = None) -> None:
    """Write the whole dashboard as one PNG of 1800 pixels width.

    Raises NotDrawn if the page logs an error, a panel throws, or anything but a local file is requested.
    """
    async with async_playwright() as playwright:
        path = chromium or shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            page = await browser.new_page(viewport={"width": WIDTH_PX, "height": 1000}, timezone_id="UTC")
            await page.route("**/*", partial(_answer, shot.encode()))
            await _take(page, target)
        finally:
            await browser.close()


async def _take(page: Page, target: Path) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(error.stack or str(error)))
    await page.goto(_ORIGIN, wait_until="networkidle")
    await page.wait_for_selector("[data-drawn]", state="attached")
    if problems:
        raise NotDrawn("\n".join(problems))
    await page.screenshot(path=target, full_page=True)


async def _answer(shot: str, route: Route) -> None:
    path = route.request.url.removeprefix(_ORIGIN)
    if path == "/":
        await route.fulfill(body=_PAGE, content_type="text/html")
    elif path == "/shot.json":
        await route.fulfill(body=shot, content_type="application/json")
    elif file := _file(path):
        await route.fulfill(path=file, content_type=mimetypes.guess_type(file.name)[0])
    else:
        await route.abort()


def _file(path: str) -> Path | None:
    for prefix, place in _FILES.items():
        if path.startswith(prefix):
            return FOLDER / (place + path.removeprefix(prefix))
    return None


async def _npm(*arguments: str) -> None:
    npm = await asyncio.create_subprocess_exec("npm", *arguments, cwd=FOLDER)
    if await npm.wait():
        raise NotDrawn(f"npm {' '.join(arguments)} failed in {FOLDER}")
