"""The exit codes of the command line, and how a command reports an error.

Exit codes: 0 success · 1 failure · 2 invalid arguments or settings · 3 the database is corrupt or from a newer release
· 130 interrupted by Ctrl-C.
"""

import sys

FAILED, WRONG, CORRUPT = 1, 2, 3
INTERRUPTED = 130


def complain(error: object, code: int) -> int:
    """Print an error to standard error, and return the exit code."""
    sys.stderr.write(f"polyfloat-news: {error}\n")
    return code
