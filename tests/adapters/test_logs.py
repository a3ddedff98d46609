"""The format of log lines, and the limit on their number."""

import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from app.adapters.system.logs import BURST_LINES, LINES_PER_S, set_up_logging
from app.options import LogFormat, LogLevel
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counted(clock: FakeClock) -> Iterator[Counter[str]]:
    """Set up logging as the server does, count the lines, and restore the configuration afterwards."""
    before, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    lines: Counter[str] = Counter()
    set_up_logging(LogLevel.INFO, LogFormat.JSON, clock.monotonic, lambda severity: lines.update([severity]))
    yield lines
    structlog.configure(**before)
    logging.getLogger().handlers[:] = handlers


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_repeated_warnings_are_counted_but_rate_limited(
    counted: Counter[str], clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    log = structlog.get_logger("test")
    for number in range(500):
        log.warning("flooding", number=number)
        log.info("connection_opened", number=number)
        log.info("request_refused", number=number)
    log.error("something_else")
    clock.move(1 / LINES_PER_S)
    log.warning("flooding", number=500)

    lines = lines_of(capsys)
    assert Counter(line["event"] for line in lines) == {
        "flooding": BURST_LINES + 1,
        "connection_opened": 500,
        "request_refused": BURST_LINES,
        "something_else": 1,
    }
    assert counted == {"warning": 501, "info": 1_000, "error": 1}
    floods = [line for line in lines if line["event"] == "flooding"]
    assert [line.get("suppressed") for line in floods[-2:]] == [None, 500 - BURST_LINES]
    assert floods[-1]["number"] == 500


@pytest.mark.parametrize("form", LogFormat)
def test_library_logs_have_the_same_format(form: LogFormat) -> None:
    setting_up = f"set_up_logging(LogLevel.INFO, LogFormat({form.value!r}), time.monotonic)"
    program = f"""import logging, time
from app.adapters.system.logs import set_up_logging
from app.options import LogFormat, LogLevel
{setting_up}
logging.getLogger("asyncio").warning("took %s", "long")
"""
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr

    assert len(said.splitlines()) == 1
    if form is LogFormat.JSON:
        line = json.loads(said)
        assert (line["logger"], line["level"], line["event"]) == ("asyncio", "warning", "took long")
    else:
        assert "took long" in said
        assert "[asyncio]" in said


def test_hostile_value_stays_on_its_line(counted: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    value = 'x\n{"event": "forged"}\x1b[31m\u2028\ud800'
    structlog.get_logger("test").warning("odd", value=value)

    [line] = lines_of(capsys)
    assert (line["event"], line["value"], line["logger"], line["level"]) == ("odd", value, "test", "warning")
    assert counted == {"warning": 1}
