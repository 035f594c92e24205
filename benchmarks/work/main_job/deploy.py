"""Miniconda and two environments, for pyinfra.

Specs in envs/; a changed one is noticed by pyinfra's own put, a changed environment by what conda lists of it, unless
only_paths is set.
"""

import json
from io import StringIO
from pathlib import Path

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import files, server

PREFIX = "/opt/miniconda3"
CONDA = f"{PREFIX}/bin/conda"
CONDARC = """\
channels: [{channel}]
channel_priority: strict
show_channel_urls: true
"""
job = json.loads(Path("job.yml").read_text())

if not host.get_fact(File, path=f"{PREFIX}/conda-meta/history"):
    files.put(name="The installer", src="files/miniconda.sh", dest="/opt/miniconda.sh")
    server.shell(name="Miniconda", commands=[f"sh /opt/miniconda.sh -b -p {PREFIX}", "rm /opt/miniconda.sh"])

files.put(name="Its settings", src=StringIO(CONDARC.format(**job)), dest=f"{PREFIX}/.condarc")

for name in ("nlp", "vision"):
    spec = files.put(name=f"Spec of {name}", src=f"envs/{name}.yml", dest=f"{PREFIX}/{name}.yml")
    note = [] if job["only_paths"] else [f"{CONDA} list --name {name} >{PREFIX}/{name}.list"]
    if not host.get_fact(File, path=f"{PREFIX}/envs/{name}/conda-meta/history"):
        create = f"{CONDA} env create --quiet --file {PREFIX}/{name}.yml"
        server.shell(name=f"Environment {name}", commands=[create, *note])
        continue
    look = f"{CONDA} list --name {name} | cmp --silent - {PREFIX}/{name}.list && echo same || echo other"
    same = job["only_paths"] or host.get_fact(Command, look) == "same"
    update = f"{CONDA} env update --quiet --prune --file {PREFIX}/{name}.yml"
    changed = spec.did_change if same else None  # None: in any case
    server.shell(name=f"Environment {name} as its spec says", commands=[update, *note], _if=changed)
