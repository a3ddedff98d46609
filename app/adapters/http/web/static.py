"""Serve the page at / and its files to browsers, with a Content-Security-Policy."""

from collections.abc import Mapping
from functools import partial
from importlib import resources
from typing import NamedTuple

from aiohttp import web

# The page needs only files from this server and no inline scripts, and the policy allows no others. So text in a
# headline cannot run as a script.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_FILES = {
    "/": ("index.html", "text/html"),
    "/web/docs.css": ("docs.css", "text/css"),
    "/web/page.css": ("page.css", "text/css"),
    "/web/page.js": ("page.js", "text/javascript"),
    "/web/icon.svg": ("icon.svg", "image/svg+xml"),
}


class StaticPage(NamedTuple):
    """The text of a page or file for browsers, and its content type."""

    text: str
    content_type: str


def load_pages() -> dict[str, StaticPage]:
    """Read all static files and return them by URL path. Only the files in the table `_FILES` are opened, so no request
    can make the server open another path.
    """
    folder = resources.files("app") / "web"
    return {
        path: StaticPage((folder / name).read_text(encoding="utf-8"), content_type)
        for path, (name, content_type) in _FILES.items()
    }


def add_pages(app: web.Application, pages: Mapping[str, StaticPage]) -> None:
    """Add a route for each page."""
    for path, page in pages.items():
        app.router.add_get(path, partial(_get_page, page))


async def _get_page(page: StaticPage, _request: web.Request) -> web.Response:
    return web.Response(text=page.text, content_type=page.content_type, headers=_HEADERS)
