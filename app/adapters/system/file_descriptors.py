"""File descriptors: how many connections this process can hold, as each needs one."""

import resource


def usable_descriptors() -> int:
    """Raise the soft limit to the hard one, and return it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
