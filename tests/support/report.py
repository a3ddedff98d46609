"""Findings for `make observability`: if OBSERVABILITY_NOTES names a file, tests append theirs to it."""

import json
import os
from pathlib import Path


def note(section: str, what: str, found: str) -> None:
    """Add one finding, if there is a report to write."""
    path = os.environ.get("OBSERVABILITY_NOTES")
    if path:
        with Path(path).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([section, what, found]) + "\n")
