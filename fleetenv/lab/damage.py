"""What happens to hosts by hand, done on purpose: the demo's damage, and that of the tests.

Each function does one such thing to a host and returns it as a sentence. Prefixes and paths are absolute on the host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fleetenv.errors import TaskFailed
from fleetenv.lab.fleet import Host
from fleetenv.remote import sh


def edit_module(host: Host, prefix: str, module: str) -> str:
    """Edit the code of a package where it is installed, as people do to 'just try something'.

    The edited file is a new one, as most editors make it: the package cache, to which the old one is hard-linked, stays
    as it was. `edit_module_in_place` is the worse case.
    """
    path = _source(host, prefix, module)
    _run(host, sh("sed", "-i", "1i # just trying something", path))
    return f"{host.name}: {path} was edited by hand"


def edit_module_in_place(host: Host, prefix: str, module: str) -> str:
    """Edit the code of a package so that all hard links to it change, too: the package cache, other environments."""
    path = _source(host, prefix, module)
    _run(host, f"echo '# just trying something' >>{sh(path)}")
    return f"{host.name}: {path} was edited in place, and so in the package cache"


def remove_module(host: Host, prefix: str, module: str) -> str:
    """Remove a package's file."""
    path = _source(host, prefix, module)
    _run(host, sh("rm", path))
    return f"{host.name}: {path} was removed"


def edit_condarc(host: Host, path: str) -> str:
    """Put another channel first, as answers found on the web say."""
    add_above_the_first = "/^channels:/{n;h;s/- .*/- some-channel/;G}"
    _run(host, f"{sh('sed', '-i', add_above_the_first, path)} && grep -q some-channel {sh(path)}")
    return f"{host.name}: a channel was added to {path}"


def pip_install(host: Host, prefix: str, requirement: str, index: str) -> str:
    """Install a package with pip into an environment that conda made, over conda's own if it has the same name.

    Args:
        host: the host.
        prefix: the environment's folder.
        requirement: what to install, as pip takes it.
        index: the pip index's URL, which must be reachable from the host.
    """
    words = [f"{prefix}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    place = urlsplit(index)
    trusted = ["--trusted-host", place.hostname] if place.scheme == "http" and place.hostname else []
    _run(host, "PIP_ROOT_USER_ACTION=ignore " + sh(*words, *trusted, "--index-url", index, requirement))
    return f"{host.name}: '{requirement}' was installed with pip into {prefix}"


def _source(host: Host, prefix: str, module: str) -> str:
    """Return a module's file on the host; nothing of it is run."""
    find = "import importlib.util, sys; print(importlib.util.find_spec(sys.argv[1]).origin)"
    return _run(host, sh(f"{prefix}/bin/python", "-c", find, module)).strip()


def _run(host: Host, script: str) -> str:
    done = host.run(script)
    if done.status != 0:
        raise TaskFailed(f"{host.name}: {script}: {done.error_text.strip()}")
    return done.text
