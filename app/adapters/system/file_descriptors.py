"""The limit on open file descriptors. It bounds the number of connections, because each needs a descriptor."""

import resource


def usable_descriptors() -> int:
    """Raise the process's soft limit on open file descriptors to the hard limit, and return that limit."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
