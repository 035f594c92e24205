"""Times as they are kept, in seconds since 1970, and as they are told."""

from __future__ import annotations

from datetime import datetime


def local(seconds: float) -> datetime:
    """Return a kept time with the zone of this machine."""
    return datetime.fromtimestamp(seconds).astimezone()
