"""Faults of fleetenv's own: logged with where they came about, and without what they say."""

from __future__ import annotations

import logging
import traceback

_log = logging.getLogger("fleetenv")


def internal_error(host: str, error: Exception) -> str:
    """Log an error that nobody meant to raise, and return what to tell of it.

    Its own text is in neither: it may quote a secret, of the task at hand or of one that was looked at ahead.
    """
    where = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    _log.error("internal error on host %s\n%s\n%s", host, where, type(error).__name__)
    return f"internal error of fleetenv, please report it: {type(error).__name__}; standard error tells where"
