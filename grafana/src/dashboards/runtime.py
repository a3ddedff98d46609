"""The dashboard of capacity and runtime: how far from the limits, and what the process is doing."""

from grafana_foundation_sdk.models import dashboard as model

from grafana.src.dashboards.frame import new_dashboard, with_rows
from grafana.src.panels import RATE, lines, quantile, quantiles, query, rates, stack, words


def runtime() -> model.Dashboard:
    share = "news_connections{%} / on (job, instance) news_connections_limit{%}"
    memory = "process_resident_memory_bytes{%} / on (job, instance) (news_connections{%} > 0)"
    reuse = (
        f'sum(rate(news_sends_total{{%, result="written"}}{RATE})) / sum(rate(news_frames_encoded_total{{%}}{RATE}))'
    )
    by_operation = quantile(0.99, "news_db_operation_duration_seconds", "operation")
    by_route = quantile(0.99, "news_http_request_duration_seconds", "route")
    return with_rows(
        new_dashboard("runtime", "Capacity and runtime", "How far from the limits, and what the process is doing."),
        {
            "Capacity": [
                lines(
                    "Connections against the limit",
                    "Alerts at 80% and 95%.",
                    "percentunit",
                    query(share, "{{instance}}"),
                    limit=0.95,
                ),
                lines(
                    "Memory per connection",
                    "Resident memory by open connections.",
                    "bytes",
                    query(memory, "{{instance}}"),
                ),
                lines(
                    "File descriptors",
                    "Open by allowed.",
                    "percentunit",
                    query("process_open_fds{%} / process_max_fds{%}", "{{instance}}"),
                    limit=0.8,
                ),
                lines(
                    "Egress",
                    "Bytes written for items.",
                    "Bps",
                    query(f"sum by (instance) (rate(news_sent_wire_bytes_total{{%}}{RATE}))", "{{instance}}"),
                ),
                lines(
                    "Sends per encoded frame",
                    "How often one frame is used again; encoded once for all.",
                    "short",
                    query(reuse, "reuse"),
                ),
                stack(
                    "Rate limits hit",
                    "Refusals, by rate limit.",
                    "cps",
                    rates("news_rate_limited_total", "scope"),
                ),
                stack(
                    "Limits hit",
                    "Refused requests and disconnected clients, by limit.",
                    "cps",
                    rates("news_limit_hits_total", "limit"),
                    query(f"sum(rate(news_bad_proxy_headers_total{{%}}{RATE}))", "bad proxy headers"),
                    width=24,
                ),
            ],
            "Process": [
                words(
                    "Versions",
                    "What runs where.",
                    query("news_build_info{%}", "{{instance}}: {{version}} {{revision}} (Python {{python}})"),
                ),
                lines(
                    "CPU",
                    "Cores in use; 1 is the ceiling of one event loop.",
                    "short",
                    query(f"rate(process_cpu_seconds_total{{%}}{RATE})", "{{instance}}"),
                    limit=0.9,
                ),
                lines("Memory", "Resident memory.", "bytes", query("process_resident_memory_bytes{%}", "{{instance}}")),
                quantiles(
                    "Event loop lag", "How late a timer of 100 ms is woken.", "news_event_loop_lag_seconds", limit=0.1
                ),
                stack(
                    "Garbage collections", "By generation.", "cps", rates("python_gc_collections_total", "generation")
                ),
                lines("asyncio tasks", "Tasks alive.", "short", query("news_event_loop_tasks{%}", "{{instance}}")),
                stack("Log lines", "Warnings and above.", "cps", rates("news_log_messages_total", "level")),
                lines(
                    "Ready",
                    "1 while new connections are welcome.",
                    "short",
                    query("news_ready{%}", "{{instance}}"),
                    width=12,
                ),
                lines(
                    "Clock",
                    "This server's clock against that of Prometheus; alert at 5 s.",
                    "s",
                    query("news_time_seconds{%} - timestamp(news_time_seconds{%})", "{{instance}}"),
                    floor=False,
                    width=12,
                ),
                lines(
                    "Cost of metrics",
                    "Time to collect.",
                    "s",
                    query("news_scrape_duration_seconds{%}", "collect {{instance}}"),
                    query("scrape_duration_seconds{%}", "scrape {{instance}}"),
                    width=12,
                ),
                lines(
                    "Gauges not read",
                    "Readings that failed at scrape.",
                    "cps",
                    query(f"sum by (instance) (rate(news_scrape_errors_total{{%}}{RATE}))", "{{instance}}"),
                    width=12,
                ),
            ],
            "Accounting": [
                lines(
                    "Connections",
                    "opened - closed - open; 0, or something leaks.",
                    "short",
                    query("instance:news_connections_unaccounted:sum{%}", "{{instance}}"),
                    floor=False,
                ),
                lines(
                    "Decisions",
                    "items x live slots - decisions; 0, or somebody was not asked.",
                    "short",
                    query("instance:news_decisions_unaccounted:sum{%}", "{{instance}}"),
                    floor=False,
                ),
                lines(
                    "Sends",
                    "matched - sends; 0, or somebody did not get what matched.",
                    "short",
                    query("instance:news_sends_unaccounted:sum{%}", "{{instance}}"),
                    floor=False,
                ),
            ],
            "Database": [
                lines(
                    "p99 by operation",
                    "With the wait for the thread and the disk.",
                    "s",
                    query(by_operation, "{{operation}}"),
                ),
                stack("Operations", "By kind.", "ops", rates("news_db_operation_duration_seconds_count", "operation")),
                stack(
                    "Errors",
                    "By kind, and items that cannot be read back.",
                    "cps",
                    rates("news_db_errors_total", "kind"),
                    query(f"sum(rate(news_log_rows_skipped_total{{%}}{RATE}))", "rows skipped"),
                ),
                lines(
                    "Waiting",
                    "Operations at or before the threads.",
                    "short",
                    query("sum by (instance) (news_db_pending_operations{%})", "{{instance}}"),
                ),
                lines(
                    "Files",
                    "Main file and write-ahead log.",
                    "bytes",
                    query("sum by (file) (news_db_size_bytes{%})", "{{file}}"),
                ),
                lines(
                    "History",
                    "Items stored.",
                    "short",
                    query("sum by (instance) (news_history_items{%})", "{{instance}}"),
                ),
                lines(
                    "Head",
                    "Sequence number of the newest item.",
                    "short",
                    query("max by (instance) (news_history_head_sequence{%})", "{{instance}}"),
                ),
                lines(
                    "Reach of history",
                    "Age of the oldest item.",
                    "s",
                    query("news_time_seconds{%} - (news_history_oldest_timestamp_seconds{%} > 0)", "{{instance}}"),
                ),
                lines(
                    "Disk takes items",
                    "1 while items can be stored; 0 on a full disk, or after one that did not keep what was written.",
                    "short",
                    query("min by (instance) (news_storage_writable{%})", "{{instance}}"),
                ),
            ],
            "HTTP": [
                stack("Requests", "By class of status.", "reqps", rates("news_http_requests_total", "code"), width=12),
                lines("p99 by route", "From request to answer.", "s", query(by_route, "{{route}}"), width=12),
            ],
        },
    )
