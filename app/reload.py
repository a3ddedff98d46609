"""Read the settings and feeds.toml again while the server runs, when it is sent SIGHUP.

What can be changed without a restart takes effect: the feeds. If something cannot be read or is not valid, all of the
old configuration stays in effect.
"""

import asyncio
from collections.abc import Callable

import structlog

from app.adapters.sources.rss.config import InvalidFeedsFile
from app.adapters.sources.rss.poller import RssPoller
from app.config import Settings
from app.options import OPTIONS, InvalidSetting, variable
from app.wiring import read_files

_IN_EFFECT = ("config", "feeds")

_log = structlog.get_logger("reload")


class Reloader:
    """Reads the configuration again whenever it is requested. `read` returns the settings that a start would have now;
    it blocks, and raises InvalidSetting. `settings` are those of the start.
    """

    def __init__(self, settings: Settings, read: Callable[[], Settings]) -> None:
        self._settings = settings
        self._read = read
        self._requests = asyncio.Event()

    def request(self) -> None:
        """Make `run` read the configuration again. Requests that arrive before it has done so count as one."""
        self._requests.set()

    async def run(self, poller: RssPoller) -> None:
        """Read the configuration at every request, and have `poller` poll its feeds, until cancelled."""
        while True:
            await self._requests.wait()
            self._requests.clear()
            try:
                settings = await asyncio.to_thread(self._read)
                files = await asyncio.to_thread(read_files, settings)
            except (InvalidSetting, InvalidFeedsFile) as error:
                _log.error("reload_failed", detail=str(error))
                continue
            poller.replace(files.feeds)
            waiting = [name for name in OPTIONS if name not in _IN_EFFECT and self._has_changed(settings, name)]
            if waiting:
                _log.warning("restart_needed", settings=[variable(name) for name in waiting])
            _log.info("reloaded", feeds=len(files.feeds))

    def _has_changed(self, settings: Settings, name: str) -> bool:
        return bool(getattr(settings, name) != getattr(self._settings, name))
