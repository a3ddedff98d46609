"""What `make observability` writes down. Where OBSERVABILITY_NOTES names a file, tests add what they found to it."""

import json
import os
from pathlib import Path


def note(section: str, what: str, found: str) -> None:
    """Add one finding; without a report to write, forget it."""
    path = os.environ.get("OBSERVABILITY_NOTES")
    if path:
        with Path(path).open("a", encoding="utf-8") as notes:
            notes.write(json.dumps([section, what, found]) + "\n")
