"""Connections to hosts, and the one remote shell that is spoken over them.

settings = Settings.from_variables("gpu01", {"ansible_host": "10.0.0.11", "ansible_user": "ops"})
async with await connect(settings) as connection:
    (answer,) = await connection.talk([Run("uname -r")])
"""

from fleetenv.shell.become import Become
from fleetenv.shell.connection import Connect, Connection
from fleetenv.shell.direct import connect
from fleetenv.shell.fleet import Visit, visit
from fleetenv.shell.keys import KeyRing
from fleetenv.shell.settings import Defaults, Settings

__all__ = ["Become", "Connect", "Connection", "Defaults", "KeyRing", "Settings", "Visit", "connect", "visit"]
