"""The REST API: what publishers, readers and subscribers get, and what bad input gets."""

import asyncio
import json
import time
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.items import raw
from tests.support.server import RunningServer, running
from tests.support.time_limits import scaled, soon

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}


async def post(server: RunningServer, path: str, body: bytes | str, headers: dict[str, str] = JSON) -> tuple[int, Any]:
    async with server.http.post(server.url + path, data=body, headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_accepted_item_is_found_by_id(server: RunningServer) -> None:
    async with server.http.post(f"{server.url}/api/v1/news", json=raw(1, impact_score=33, tickers=["BTC"])) as answer:
        receipt = await answer.json()

    item = await server.get(f"/api/v1/news/{receipt['id']}")

    assert (answer.status, receipt["seq"], receipt["duplicate"]) == (202, 1, False)
    assert (item["id"], item["seq"], item["impact_score"], item["tickers"]) == (receipt["id"], 1, 33.0, ["BTC"])


async def test_republishing_returns_the_first_seq(server: RunningServer) -> None:
    [first] = await server.publish(raw(1))
    [again] = await server.publish(raw(1, title="Other words", url="http://www.example.com/1/?utm_source=x#top"))

    assert again == first | {"duplicate": True}
    assert (await server.get("/api/v1/stats"))["total_news_items"] == 1


async def test_missing_fields_are_computed_and_given_ones_kept(server: RunningServer) -> None:
    bare = {
        "source": "nitter",
        "content": "<p>BREAKING: Fed cuts rates, $BTC jumps, Jerome Powell says &amp; more</p><script>x()</script>",
        "url": "https://x.com/a/1",
        "published_at": 1.0,
    }
    [receipt] = await server.publish(bare)
    item = await server.get(f"/api/v1/news/{receipt['id']}")

    assert item["content"] == "BREAKING: Fed cuts rates, $BTC jumps, Jerome Powell says & more"
    assert item["title"] == item["content"]
    assert "BTC" in item["tickers"]
    assert item["people"] == ["Jerome Powell"]
    assert item["category"] == "economics"
    assert item["impact_score"] > 0
    assert "fed" in item["tags"]


async def test_near_duplicate_is_flagged_and_delivered(server: RunningServer) -> None:
    text = "The Federal Reserve cut its benchmark rate by fifty basis points on Tuesday in a surprise move."
    one, other = await server.publish(
        raw(1, title="Fed cuts", content=text), raw(2, title="Fed cuts", content=text + " AP")
    )

    item = await server.get(f"/api/v1/news/{other['id']}")

    assert other["duplicate"] is False
    assert (item["is_duplicate"], item["duplicate_of"]) == (True, one["id"])


async def test_batch_is_all_or_nothing(server: RunningServer) -> None:
    body = b'{"source":"rss","content":"x","url":"https://e.com/1","published_at":1}\n{"source":"fax"}\nnot json\n'

    status, problem = await post(server, "/api/v1/news", body, NDJSON)

    assert (status, problem["code"]) == (400, "invalid_parameter")
    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/1/source", "/1/content", "/1/url", "/1/published_at", "/2"}
    assert (await server.get("/api/v1/stats"))["total_news_items"] == 0


VALID = b'{"source":"rss","content":"x","url":"https://e.com/1","published_at":1}'
BAD_BODIES: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"", JSON, 400, "invalid_json"),
    (b"{", JSON, 400, "invalid_json"),
    (b"[" * 10_000, JSON, 400, "invalid_json"),
    (b"[]", JSON, 400, "invalid_parameter"),
    (b'{"a":1,"a":1}', JSON, 400, "invalid_json"),
    (b"{}", JSON, 400, "invalid_parameter"),
    (b"\xff\xfe", JSON, 400, "invalid_json"),
    (VALID.replace(b"1}", b"NaN}"), JSON, 400, "invalid_json"),
    (VALID.replace(b'"x"', b'"' + b"x" * 20_000 + b'"'), JSON, 400, "invalid_parameter"),
    (b"x" * (256 * 1024 + 1), JSON, 413, "payload_too_large"),
    (VALID, {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    (VALID, {"Content-Type": "application/xml"}, 415, "unsupported_media_type"),
    (VALID, {"Content-Type": ""}, 415, "unsupported_media_type"),
    (VALID, {**JSON, "Content-Encoding": "gzip"}, 400, "invalid_parameter"),
    (VALID.replace(b"https://e.com/1", b"https://a b/c"), JSON, 400, "invalid_parameter"),
    (VALID.replace(b"https://e.com/1", b"https://u:p@e.com/1"), JSON, 400, "invalid_parameter"),
    (b"\n\n", NDJSON, 400, "invalid_parameter"),
    (b"\n".join([VALID] * 101), NDJSON, 413, "payload_too_large"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), BAD_BODIES)
async def test_invalid_body_is_a_counted_problem(
    server: RunningServer, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    got, problem = await post(server, "/api/v1/news", body, headers)

    assert (got, problem["status"], problem["code"]) == (status, status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == "/api/v1/news"
    assert (await server.get("/api/v1/stats"))["total_news_items"] == 0
    reason = "too_large" if status == 413 else "invalid"
    assert await server.metric("news_items_rejected_total", reason=reason) == 1


async def test_chunked_body_is_limited(server: RunningServer) -> None:
    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 10_000

    async with server.http.post(f"{server.url}/api/v1/news", data=endless(), headers=JSON) as answer:
        assert answer.status == 413


@pytest.fixture
async def library(server: RunningServer) -> RunningServer:
    await server.publish(
        raw(1, published_at=100.0, category="crypto", impact_score=90, tickers=["BTC"], content="alpha"),
        raw(2, published_at=300.0, category="sports", impact_score=20, people=["Jerome Powell"]),
        raw(3, published_at=200.0, category="crypto", impact_score=50, source="nitter", source_account="@whale"),
    )
    return server


QUERIES = [
    ("", [2, 3, 1]),
    ("limit=1", [2]),
    ("limit=1&offset=1", [3]),
    ("category=Crypto", [3, 1]),
    ("min_impact=50", [3, 1]),
    ("min_score=60", [1]),
    ("source=nitter", [3]),
    ("ticker=btc", [1]),
    ("ticker=$BTC", [1]),
    ("person=powell", [2]),
    ("start_time=150&end_time=250", [3]),
    ("after_seq=1", [3, 2]),
    ("before_seq=2", [1]),
    ("category=politics", []),
    ("_=cachebuster", [2, 3, 1]),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
async def test_queries_return_what_they_select(library: RunningServer, query: str, expected: list[int]) -> None:
    page = await library.get(f"/api/v1/news?{query}")

    assert [item["seq"] for item in page["items"]] == expected
    assert set(page) == {"items", "total", "limit", "offset", "next"}


@pytest.mark.parametrize("start", ["/api/v1/news?limit=2", "/api/v1/news?limit=2&after_seq=0&category=crypto"])
async def test_next_links_return_everything_once(library: RunningServer, start: str) -> None:
    await library.publish(*(raw(number, category="crypto", published_at=50.0 + number) for number in range(10, 15)))
    seqs, link = [], start
    while link:
        page = await library.get(link)
        seqs += [item["seq"] for item in page["items"]]
        link = page["next"]

    assert len(seqs) == len(set(seqs)) == (8 if "category" not in start else 7)


async def test_user_view_applies_the_users_filter(library: RunningServer) -> None:
    await library.subscribe("u", impact_threshold=0, keywords=["alpha"])

    page = await library.get("/api/v1/news?user_id=u")
    everything = await library.get("/api/v1/news?user_id=nobody&limit=2")

    assert [item["seq"] for item in page["items"]] == [1]
    assert page["total"] == 1
    assert everything["total"] == 3


BAD_QUERIES = [
    ("limit=0", {"limit"}),
    ("limit=501", {"limit"}),
    ("limit=ten&offset=-1", {"limit", "offset"}),
    ("category=weather&source=fax", {"category", "source"}),
    ("min_impact=101", {"min_impact"}),
    ("min_impact=nan", {"min_impact"}),
    ("start_time=inf", {"start_time"}),
    ("after_seq=1.5", {"after_seq"}),
    ("before_seq=99999999999999999999", {"before_seq"}),
    ("ticker=", {"ticker"}),
    ("person=%00", {"person"}),
    ("user_id=a%20b", {"user_id"}),
    ("limit=%D9%A3", {"limit"}),
    ("limit=1_0&offset=%2B5", {"limit", "offset"}),
    ("limit=5&limit=6", {"limit"}),
]


@pytest.mark.parametrize(("query", "names"), BAD_QUERIES)
async def test_every_wrong_parameter_is_reported(server: RunningServer, query: str, names: set[str]) -> None:
    async with server.http.get(f"{server.url}/api/v1/news?{query}") as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["code"]) == (400, "invalid_parameter")
    assert {error["pointer"] for error in problem["errors"]} == names
    assert all(error["detail"].startswith("must ") for error in problem["errors"])


async def test_subscription_create_read_update_delete(server: RunningServer) -> None:
    body = b'{"user_id":"a.b:c@d-e_1","nitter_accounts":["@x"],"keywords":["fed"],"alert_channels":["terminal","mail"]}'
    created, first = await post(server, "/api/v1/subscriptions", body)
    stored = await server.get("/api/v1/subscriptions/a.b:c@d-e_1")
    updated, second = await post(server, "/api/v1/subscriptions", b'{"user_id":"a.b:c@d-e_1","impact_threshold":5}')
    again = await server.get("/api/v1/subscriptions/a.b:c@d-e_1")
    async with server.http.delete(f"{server.url}/api/v1/subscriptions/a.b:c@d-e_1") as answer:
        deleted = await answer.json()

    assert (created, first["status"], updated, second["status"]) == (201, "created", 200, "updated")
    assert second["created_at"] == first["created_at"]
    assert stored["nitter_accounts"] == ["@x"]
    assert (stored["impact_threshold"], stored["alert_channels"]) == (70, ["terminal", "mail"])
    assert (again["keywords"], again["impact_threshold"], again["alert_channels"]) == ([], 5, ["terminal", "mail"])
    assert deleted == {"status": "deleted", "user_id": "a.b:c@d-e_1"}
    for method in ("GET", "DELETE"):
        async with server.http.request(method, f"{server.url}/api/v1/subscriptions/a.b:c@d-e_1") as answer:
            assert answer.status == 404


BAD_SUBSCRIPTIONS: list[tuple[bytes, int, str, set[str]]] = [
    (b"{", 400, "invalid_json", {""}),
    (b"{}", 422, "invalid_filter", {"/user_id"}),
    (b"[]", 422, "invalid_filter", {""}),
    (b'{"user_id":"a b"}', 422, "invalid_filter", {"/user_id"}),
    (b'{"user_id":"a\\n"}', 422, "invalid_filter", {"/user_id"}),
    (b'{"user_id":5,"keywords":["x"]}', 422, "invalid_filter", {"/user_id", "/keywords/0"}),
    (b'{"user_id":"u","impact_threshold":101}', 422, "invalid_filter", {"/impact_threshold"}),
    (b'{"user_id":"u","alert_channels":[""]}', 422, "invalid_filter", {"/alert_channels/0"}),
    (b'{"user_id":"u","categories":["x"]}', 422, "invalid_filter", {"/categories/0"}),
]


@pytest.mark.parametrize(("body", "status", "code", "pointers"), BAD_SUBSCRIPTIONS)
async def test_invalid_subscription_is_refused_and_not_stored(
    server: RunningServer, body: bytes, status: int, code: str, pointers: set[str]
) -> None:
    got, problem = await post(server, "/api/v1/subscriptions", body)

    assert (got, problem["code"]) == (status, code)
    assert {error["pointer"] for error in problem.get("errors", [])} == pointers
    assert (await server.http.get(f"{server.url}/api/v1/subscriptions/u")).status == 404


@pytest.mark.parametrize("query", ["limit=300", "limit=300&after_seq=0", "limit=300&user_id=u"])
async def test_pages_are_bounded_by_bytes(query: str) -> None:
    async with running(limits={"history.max_page_bytes": 50_000}) as server:
        await post(server, "/api/v1/subscriptions", b'{"user_id":"u","impact_threshold":0}')
        await server.publish(*(raw(number, content=f"{number} " + "x" * 400) for number in range(250)))
        seqs: list[int] = []
        sizes = []
        path: str | None = f"/api/v1/news?{query}"
        while path is not None:
            async with server.http.get(server.url + path) as answer:
                sizes.append(len(await answer.read()))
                page = await answer.json()
            assert page["total"] >= len(page["items"]) >= 1
            seqs += [item["seq"] for item in page["items"]]
            path = page["next"]

    assert sorted(seqs) == list(range(1, 251))
    assert len(sizes) > 3
    assert max(sizes) < 60_000


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip", "gzip"), ("deflate", "deflate"), ("identity", None)])
async def test_large_answers_are_compressed(server: RunningServer, accepted: str, encoding: str | None) -> None:
    await server.publish(*(raw(number) for number in range(50)))

    headers = {"Accept-Encoding": accepted}
    async with server.http.get(f"{server.url}/api/v1/news", headers=headers) as large:
        assert large.headers.get("Content-Encoding") == encoding
        assert large.headers["Vary"] == "Accept-Encoding"
        assert (await large.json())["total"] == 50
    async with server.http.get(f"{server.url}/api/v1/stats", headers=headers) as small:
        assert "Content-Encoding" not in small.headers


async def test_published_tickers_are_normalized(server: RunningServer) -> None:
    await server.publish(raw(1, tickers=["$btc", " BTC ", "#eth", "brk.b", "$"]))

    [item] = (await server.get("/api/v1/news?ticker=%24BTC"))["items"]

    assert item["tickers"] == ["BTC", "ETH", "BRK.B"]


async def test_preview_reports_what_a_filter_matches(server: RunningServer) -> None:
    await server.publish(*(raw(number, impact_score=number * 10, published_at=time.time()) for number in range(1, 6)))

    status, preview = await post(server, "/api/v1/subscriptions/preview", b'{"impact_threshold":35,"hours":2}')
    bad, problem = await post(server, "/api/v1/subscriptions/preview", b'{"impact_threshold":350,"hours":0}')

    assert status == 200
    assert (preview["scanned"], preview["matched"], preview["per_hour"]) == (5, 2, 1.0)
    assert preview["rejected"] == {"impact": 3, "category": 0, "source": 0, "keyword": 0}
    assert len(preview["samples"]) == 2
    assert bad == 422
    assert {error["pointer"] for error in problem["errors"]} == {"/impact_threshold", "/hours"}


@pytest.mark.parametrize(
    ("path", "name", "hint"),
    [
        ("news?categry=crypto", "categry", 'did you mean "category"?'),
        ("news?q=btc", "q", "must be one of limit, offset"),
        ("stats?verbose=1", "verbose", "must be absent"),
        ("news/x?user_id=u", "user_id", "must be absent"),
        ("news/x/explain?user_id=u&%20=1", " ", "must be one of user_id"),
        ("connections?stat=open", "stat", 'did you mean "state"?'),
    ],
)
async def test_unknown_query_parameters_are_refused(server: RunningServer, path: str, name: str, hint: str) -> None:
    async with server.http.get(f"{server.url}/api/v1/{path}") as answer:
        problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (400, "invalid_parameter")
    assert problem["errors"][0]["pointer"] == name
    assert hint in problem["errors"][0]["detail"]


@pytest.mark.parametrize("path", ["/?q=1", "/livez?q=1", "/metrics?q=1", "/health?q=1", "/docs?q=1"])
async def test_pages_and_probes_ignore_unknown_parameters(server: RunningServer, path: str) -> None:
    async with server.http.get(server.url + path) as answer:
        assert answer.status == 200


async def test_malformed_http_gets_400_without_details(server: RunningServer, caplog: pytest.LogCaptureFixture) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for garbage in (b"BLAH\r\n\r\n", b"GET /%zz\xff HTTP/1.1\r\n\r\n", b"\x16\x03\x01 HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        assert b" 400 " in await soon(reader.readline())
        writer.close()

    assert await server.metric("news_http_requests_total", route="/metrics", method="GET", code="2xx") >= 0
    assert [record for record in caplog.records if record.levelname == "CRITICAL"] == []


HEAD = b"POST /api/v1/news HTTP/1.1\r\nHost: [::]\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
BEFORE_ROUTING: list[tuple[bytes, int, str, str]] = [
    (b"BLAH\r\n\r\n", 400, "invalid_parameter", "must be valid HTTP"),
    (b"GET / HTTP/1.1\r\nHost: [::]\r\nContent-Length: x\r\n\r\n", 400, "invalid_parameter", "must be valid HTTP"),
    (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, "invalid_parameter", "URL"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431, "invalid_parameter", "header"),
    *(
        (HEAD + b"Content-Encoding: %s\r\n\r\n{}" % encoding, 415, "unsupported_media_type", "must be gzip or deflate")
        for encoding in (b"br", b"zstd", b"compress", b"gzip, gzip", b"x")
    ),
]


@pytest.mark.parametrize(("sent", "status", "code", "part"), BEFORE_ROUTING)
async def test_refusals_before_routing_are_problems(
    server: RunningServer, sent: bytes, status: int, code: str, part: str
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    head = (await soon(reader.readuntil(b"\r\n\r\n"))).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r")[0])
    problem = json.loads(await soon(reader.readexactly(length)))
    writer.close()

    assert "content-type: application/problem+json" in head
    assert "\r\nserver:" not in head
    assert (problem["status"], problem["code"]) == (status, code)
    assert part in problem["detail"]


@pytest.mark.parametrize("path", ["/", "/docs", "/livez", "/metrics", "/api/v1/stats", "/api/v1/news", "/nowhere"])
async def test_responses_name_no_software_and_are_not_stored(server: RunningServer, path: str) -> None:
    async with server.http.get(server.url + path) as answer:
        assert "Server" not in answer.headers
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", ["/api/v1/news", "/api/v1/stats", "/livez", "/api/v1/news/x/explain"])
async def test_slash_at_the_end_changes_nothing(server: RunningServer, path: str) -> None:
    async with server.http.get(f"{server.url}{path}?user_id=u&_=1") as plain:
        expected = plain.status, (await plain.json(content_type=None)).keys()
    async with server.http.get(f"{server.url}{path}/?user_id=u&_=1", allow_redirects=False) as slashed:
        assert (slashed.status, (await slashed.json(content_type=None)).keys()) == expected

    route = path.replace("/x/", "/{id}/")
    code = f"{expected[0] // 100}xx"
    assert await server.metric("news_http_requests_total", route=route, method="GET", code=code) >= 2


async def test_requests_are_counted_by_route_template(server: RunningServer) -> None:
    for path in ("/api/v1/news/a", "/api/v1/news/b", "/nowhere/<script>"):
        await server.http.get(server.url + path)

    assert await server.metric("news_http_requests_total", route="/api/v1/news/{id}", method="GET", code="4xx") == 2
    assert await server.metric("news_http_requests_total", route="unknown", method="other", code="4xx") == 1
    assert await server.metric("news_http_request_duration_seconds_count", route="/api/v1/news/{id}") == 2


async def test_all_kinds_of_mistakes_are_reported_together(server: RunningServer) -> None:
    body = b'{"user_id":"u","categories":["zz"],"impact_threshold":"x","keywords":["*"],"exclude":{"tickers":["$"]}}'

    _, problem = await post(server, "/api/v1/subscriptions", body)

    pointers = {error["pointer"] for error in problem["errors"]}
    assert pointers == {"/categories/0", "/impact_threshold", "/keywords/0", "/exclude/tickers/0"}


async def test_unknown_key_of_exclude_is_a_warning(server: RunningServer) -> None:
    _, stored = await post(server, "/api/v1/subscriptions", b'{"user_id":"u","exclude":{"keyword":["ipo"]},"a/b":1}')

    assert {warning["pointer"] for warning in stored["warnings"]} == {"/exclude/keyword", "/a~1b"}


async def test_one_of_many_first_subscriptions_is_first(server: RunningServer) -> None:
    async with asyncio.TaskGroup() as tasks:
        posts = [tasks.create_task(post(server, "/api/v1/subscriptions", b'{"user_id":"u"}')) for _ in range(5)]

    assert sorted(answer.result()[0] for answer in posts) == [200, 200, 200, 200, 201]


async def test_urls_with_different_invalid_utf8_are_different(server: RunningServer) -> None:
    one, other = await server.publish(raw(1, url="https://e.com/?id=%CF%F0"), raw(2, url="https://e.com/?id=%D0%F1"))

    assert one["id"] != other["id"]


async def test_health_readiness_and_liveness(server: RunningServer) -> None:
    health = await server.get("/health")

    assert (health["status"], health["database"], health["nitter_instances"]) == ("healthy", "connected", {})
    assert (await server.get("/readyz"))["status"] == "ready"
    assert (await server.get("/livez"))["status"] == "alive"


async def test_statistics_have_the_originals_keys(server: RunningServer) -> None:
    await server.publish(raw(1, impact_score=10), raw(2, impact_score=20))

    stats = await server.get("/api/v1/stats")

    assert (stats["total_news_items"], stats["average_impact"], stats["active_connections"]) == (2, 15.0, 0)
    assert stats["nitter_instances"] == {"total": 0, "healthy": 0, "unhealthy": 0}
    assert stats["rss_feeds"] == {"total": 0, "active": 0}
    assert {"items_last_24h", "uptime_seconds", "version"} <= set(stats)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("PATCH", "/api/v1/news", 405)])
async def test_unknown_paths_and_methods_are_problems(
    server: RunningServer, method: str, path: str, status: int
) -> None:
    async with server.http.request(method, server.url + path) as answer:
        problem = await answer.json(content_type="application/problem+json")

    assert (answer.status, problem["status"]) == (status, status)


async def test_unknown_item_is_not_found(server: RunningServer) -> None:
    assert (await server.http.get(f"{server.url}/api/v1/news/rss_none")).status == 404


async def test_page_links_everything_without_inline_scripts(server: RunningServer) -> None:
    async with server.http.get(server.url) as answer:
        text = await answer.text()

    assert "/ws/news" in text
    assert "/metrics" in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for path in ("/web/page.css", "/web/page.js"):
        assert (await server.http.get(server.url + path)).status == 200


async def test_other_origins_need_cors_configuration() -> None:
    async with running(cors_origins=("https://desk.example",)) as server:
        for origin, allowed in (("https://desk.example", True), ("https://evil.example", False)):
            async with server.http.get(f"{server.url}/api/v1/stats", headers={"Origin": origin}) as answer:
                assert ("Access-Control-Allow-Origin" in answer.headers) is allowed
        preflight = {
            "Origin": "https://desk.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        async with server.http.options(f"{server.url}/api/v1/news", headers=preflight) as answer:
            assert answer.status == 200
            assert answer.headers["Access-Control-Allow-Origin"] == "https://desk.example"


async def test_metrics_exist_from_start_in_both_formats(server: RunningServer) -> None:
    assert await server.metric("news_filter_decisions_total", outcome="matched") == 0
    assert await server.metric("news_delivery_latency_seconds_count") == 0
    async with server.http.get(
        f"{server.url}/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}
    ) as answer:
        text = await answer.text()
    assert answer.content_type == "application/openmetrics-text"
    assert text.endswith("# EOF\n")


async def test_unexpected_error_is_500_without_details(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("app.flows.news.history.History.page", broken)

    async with server.http.get(f"{server.url}/api/v1/news") as answer:
        text = await answer.text()

    assert answer.status == 500
    assert "Internal server error" in text
    assert "secret detail" not in text


async def test_health_reports_an_unresponsive_database(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_arguments: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("app.adapters.sqlite.news_log.SqliteNewsLog.by_id", broken)

    for path, key, value in (("/health", "status", "unhealthy"), ("/readyz", "status", "not ready")):
        async with server.http.get(server.url + path) as answer:
            assert answer.status == 503
            assert (await answer.json())[key] == value


async def test_redirect_or_surrogate_in_path_is_harmless(server: RunningServer) -> None:
    async with server.http.get(f"{server.url}/%ED%A0%80/nowhere") as answer:
        assert answer.status == 404


async def test_body_that_does_not_arrive_times_out() -> None:
    async def stalled() -> Any:
        yield b"{"
        await asyncio.sleep(scaled(30))

    async with running(limits={"requests.body_timeout_s": 0.1}) as server:
        async with server.http.post(f"{server.url}/api/v1/news", data=stalled(), headers=JSON) as answer:
            problem = await answer.json(content_type=None)

    assert (answer.status, problem["code"]) == (408, "request_timeout")


async def test_operators_see_open_and_closed_connections(server: RunningServer) -> None:
    async with connect(f"{server.ws_url}?user_id=a") as staying, connect(f"{server.ws_url}?user_id=b") as going:
        await server.publish(raw(1))
        await staying.recv()
        await going.recv()
        await going.close()
        open_now = await server.get("/api/v1/connections")
        gone = await server.get("/api/v1/connections?state=closed")
        nobody = await server.get("/api/v1/connections?user_id=c&limit=1")
    async with server.http.get(f"{server.url}/api/v1/connections?state=odd") as bad:
        assert bad.status == 400

    [here], [there] = open_now["connections"], gone["connections"]
    assert (here["user_id"], here["items"], here["reason"], here["closed_at"]) == ("a", 1, None, None)
    assert (there["user_id"], there["items"], there["reason"]) == ("b", 1, "client")
    assert there["closed_at"] > 1e9
    assert nobody == {"connections": [], "total": 0}


@pytest.mark.parametrize("query", ["", "&after_seq=2", "&before_seq=40", "&user_id=u", "&user_id=u&after_seq=2"])
async def test_pages_are_those_of_the_first_moment(server: RunningServer, query: str) -> None:
    await server.subscribe("u", impact_threshold=0)
    await server.publish(*(raw(number, published_at=1_000.0 + number % 3) for number in range(1, 24)))
    whole = (await server.get(f"/api/v1/news?limit=100{query}"))["items"]
    path: str | None = f"/api/v1/news?limit=5{query}"
    seqs: list[int] = []
    totals = set()
    number = 100
    while path is not None:
        page = await server.get(path)
        seqs += [item["seq"] for item in page["items"]]
        totals.add(page["total"])
        path = page["next"]
        await server.publish(raw(number, published_at=1_000.0 + number % 3))
        number += 1

    assert seqs == [item["seq"] for item in whole]
    assert totals == {len(whole)}
