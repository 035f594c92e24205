"""Five directories and five templates, for pyinfra."""

from pyinfra import host
from pyinfra.operations import files

for name in ("conf", "data", "logs", "run", "tmp"):
    files.directory(name=f"Folder {name}", path=f"/srv/app/{name}", mode="755")

for name in ("api", "db", "queue", "web", "worker"):
    files.template(
        name=f"Settings of {name}",
        src="templates/settings.j2",
        dest=f"/srv/app/conf/{name}.conf",
        mode="644",
        jinja_env_kwargs={"trim_blocks": True},  # as in ansible
        item=name,
        inventory_hostname=host.name,
    )
