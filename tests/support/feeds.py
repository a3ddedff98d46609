"""A web server whose feeds a test sets, and a small feed."""

from collections.abc import Callable

from aiohttp import web
from aiohttp.test_utils import TestServer

RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Example Markets</title>
<item><title>Newer &amp; better</title><link>https://e.com/2</link><description>&lt;p&gt;Two&lt;/p&gt;</description>
<pubDate>Tue, 02 Jan 2024 10:00:00 GMT</pubDate></item>
<item><title>Older</title><link>https://e.com/1</link><pubDate>Mon, 01 Jan 2024 10:00:00 GMT</pubDate></item>
</channel></rss>"""

Serve = Callable[[web.Request], web.StreamResponse]


class FeedServer:
    """A web server whose responses a test sets."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Serve = lambda _request: web.Response(text=RSS)
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self.server = TestServer(app)

    def url(self, name: str = "feed.xml") -> str:
        return str(self.server.make_url(f"/{name}"))

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return self.answer(request)


def rss(*items: str, head: str = "") -> str:
    """Return a feed with these items, each of which is the inside of an <item>."""
    inside = "".join(f"<item>{item}</item>" for item in items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Wire</title>{head}{inside}</channel></rss>'
