"""The page at / and its files. This file owns what a browser is given, and under which policy."""

from importlib import resources

from aiohttp import web

# Everything comes from this server, nothing is inline: what stands in a headline can never become script.
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
    "/web/page.css": ("page.css", "text/css"),
    "/web/page.js": ("page.js", "text/javascript"),
}


async def get_page(request: web.Request) -> web.Response:
    """Give one of the few files there are; no path from outside is ever opened."""
    name, content_type = _FILES[request.match_info.route.resource.canonical]  # type: ignore[union-attr]
    text = (resources.files("app") / "web" / name).read_text(encoding="utf-8")
    return web.Response(text=text, content_type=content_type, headers=_HEADERS)


def add_pages(app: web.Application) -> None:
    """Add the routes of the page and its files."""
    for path in _FILES:
        app.router.add_get(path, get_page)
