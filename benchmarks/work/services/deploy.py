"""A server and its five services, for pyinfra: the same as site.yml.

What a playbook registers is a fact here, what it decides by `when` is an `if`, and handlers are operations that look at
whether others changed something.
"""

from io import StringIO

from pyinfra import host
from pyinfra.api import DeployError
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import files, server
from pyinfra.operations.util import any_changed

PORTS = {"api": 40001, "db": 40002, "queue": 40003, "web": 40004, "worker": 40005}
TRIM = {"trim_blocks": True}  # as in ansible

kernel = host.get_fact(Command, "uname -r")
cores = int(host.get_fact(Command, "nproc"))
page = int(host.get_fact(Command, "getconf PAGESIZE"))
highest = int(host.get_fact(Command, "cat /proc/sys/kernel/pid_max"))
workers = min(cores, 8)
if cores < 1:
    raise DeployError(f"{cores} cores are too few")
if not host.get_fact(File, "/etc/debian_version"):
    raise DeployError("this is for Debian")

files.directory(name="Folder of the server's settings", path="/srv/server", mode="755")
settings = files.template(
    name="Settings of the server",
    src="templates/server.j2",
    dest="/srv/server/server.conf",
    mode="644",
    jinja_env_kwargs=TRIM,
    inventory_hostname=host.name,
    release=kernel,
    workers=workers,
    services=list(PORTS),
)
files.put(name="Message of the day", src=StringIO("This host is managed.\n"), dest="/srv/server/motd", mode="644")
for service in PORTS:
    files.directory(name=f"Folder of {service}", path=f"/srv/{service}", mode="750")
for service in PORTS:
    files.put(
        name=f"Key of {service}", src=StringIO(f"key of {service}\n"), dest=f"/srv/server/{service}.key", mode="600"
    )
if page > 4096:
    server.shell(name="Large pages", commands=["touch /srv/server/large-pages"])

restarts = {}
for service, port in PORTS.items():
    if not host.get_fact(File, f"/srv/{service}/installed"):
        server.shell(name=f"Install {service}", commands=[f"touch /srv/{service}/installed"])
    for folder in ("conf", "data", "logs"):
        files.directory(name=f"Folder {folder} of {service}", path=f"/srv/{service}/{folder}", mode="755")
    changes = [
        files.template(
            name=f"Settings {item} of {service}",
            src="templates/service.j2",
            dest=f"/srv/{service}/conf/{item}.conf",
            mode="644",
            jinja_env_kwargs=TRIM,
            inventory_hostname=host.name,
            service=service,
            port=port,
            workers=workers,
            item=item,
        )
        for item in ("main", "limits")
    ]
    changes.append(
        files.put(
            name=f"Environment of {service}",
            src=StringIO(f"SERVICE={service}\nWORKERS={workers}\n"),
            dest=f"/srv/{service}/conf/environment",
            mode="640",
        )
    )
    restarts[service] = any_changed(*changes)
    files.link(name=f"Current settings of {service}", path=f"/srv/{service}/current", target="conf")
    owner = host.get_fact(Command, f"getent services {port}/tcp || true")
    if owner:
        raise DeployError(f"port {port} belongs to {owner}")
    if highest < 1024:
        server.shell(name=f"Many processes for {service}", commands=[f"touch /srv/{service}/many-processes"])

server.shell(name="Reload the server", commands=["touch /srv/server/reloaded"], _if=settings.did_change)
for service, changed in restarts.items():
    server.shell(name=f"Restart {service}", commands=[f"touch /srv/{service}/restarted"], _if=changed)
