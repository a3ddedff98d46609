"""File descriptors. This file owns how many this process may hold: every connection is one."""

import resource


def usable_descriptors() -> int:
    """Raise the soft limit to the hard one, and give it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
