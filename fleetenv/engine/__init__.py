"""The walk of a host through its tasks, and many walks side by side."""

from fleetenv.engine.fleet import Fleet
from fleetenv.engine.options import Options

__all__ = ["Fleet", "Options"]
