"""Rules and alerts: valid, tested, and each with a section of the runbook."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.dashboards import GRAFANA, rules, tool
from tests.support.report import note

ROOT = Path(__file__).parents[2]
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
CASE_FILES = sorted((Path(__file__).parent / "alerts").glob("*.yml"))
CASES = "\n".join(path.read_text() for path in CASE_FILES)


def run(*command: str) -> str:
    finished = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=150)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.mark.prometheus
def test_rules_are_valid() -> None:
    run(tool("promtool"), "check", "rules", *(str(path) for path in sorted((GRAFANA / "rules").glob("*.yml"))))


@pytest.mark.prometheus
def test_prometheus_and_alertmanager_accept_their_configuration() -> None:
    run(tool("promtool"), "check", "config", "prometheus.yml")
    run(tool("amtool"), "check-config", "grafana/alertmanager.yml")
    for severity, receiver in (("critical", "pager"), ("warning", "tickets"), ("none", "deadman"), ("info", "nobody")):
        routed = run(
            tool("amtool"), "config", "routes", "test", "--config.file=grafana/alertmanager.yml", f"severity={severity}"
        )
        assert routed.strip() == receiver


@pytest.mark.prometheus
@pytest.mark.time_limit(180)
@pytest.mark.parametrize("cases", CASE_FILES, ids=lambda path: path.stem)
def test_alerts_fire_exactly_when_they_should(cases: Path) -> None:
    run(tool("promtool"), "test", "rules", str(cases))
    questions = cases.read_text().count("eval_time:")
    note("rules", f"promtool test rules, {cases.stem}", f"{questions} evaluations as expected")


@pytest.mark.parametrize("name", ALERTS)
def test_alerts_have_text_runbook_and_cases(name: str) -> None:
    alert = ALERTS[name]
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    mentions = re.findall(rf"alertname: {name}\b(.*?)(?=alertname:|$)", CASES, re.DOTALL)

    assert alert["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url", "dashboard"}
    assert alert["annotations"]["runbook_url"].endswith(f"#{name.lower()}")
    assert name in headings
    assert len(mentions) >= 3 or name == "NewsWatchdog"
    assert any("exp_labels" in mention for mention in mentions)
