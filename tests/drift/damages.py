"""Every kind of damage that is done to live hosts, and the finding that it must lead to: data, read by test_damage.py.

A script runs on its host with these variables: `root` (the host's own folder), `prefix` (its Miniconda), `legacy` (the
generation of an environment that fleetenv built and the playbook no longer names), `index` (a pip index).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fleetenv.lab.nvidia_smi import A100, Fault, Gpus

ONE = replace(A100, count=1)


@dataclass(frozen=True)
class Damage:
    """What is done, and what must be found: exactly that, with this code, subject and severity."""

    host: str
    code: str
    subject: str  # `{root}` and `{prefix}` are the host's
    severity: Literal["error", "warning", "note"]
    text: str  # a part of what is told
    advice: str  # a part of what mends it
    script: str = ""
    gpus: Gpus | None = None
    waived: bool = False

    @property
    def title(self) -> str:
        return f"{self.host} {self.code} {self.subject}"


_PROGRAM = '{"argv": ["/nowhere/bin/python"], "display_name": "Old"}'

DAMAGES = (
    # First, because it takes a package of the virtualenv that is damaged below
    Damage("gpu01", "base-pip", "{prefix}", "warning", "fleet-metrics 0.2", "-m pip uninstall fleet-metrics",
           """
        for each in $root/venvs/plots/lib/python3*/site-packages/fleet_metrics*; do
          cp -r $each $prefix/lib/python3*/site-packages/
        done"""),
    # Against the playbook
    Damage(
        "gpu01", "drift", "Environment (nlp_train)", "warning", "fleet_text", "-l gpu01 -t envs",
        "sed -i '1i # just trying something' $prefix/envs/nlp_train/lib/python3*/site-packages/fleet_text/__init__.py",
    ),
    Damage("gpu01", "drift", "Environment (cv_detect)", "warning", "is not there", "-t envs",
           "rm $prefix/envs/cv_detect"),
    Damage(
        "gpu01", "drift", "Settings of conda", "warning", "content differs", "fleetenv apply ",
        "echo 'ssl_verify: false' >>$prefix/.condarc",
    ),
    Damage(
        "gpu01", "drift", "Layer", "warning", "packages.fleet-metrics", "fleetenv apply ",
        "rm -r $root/venvs/plots/lib/python3*/site-packages/fleet_metrics-*",
    ),
    Damage("gpu01", "drift", "Kernel", "warning", "is not there", "-l gpu01", "rm -r $root/kernels/plots"),
    Damage("gpu04", "drift", "Greet", "warning", "content differs", "-l gpu04", "echo go away >$root/motd"),
    Damage("gpu04", "drift", "Folder (data)", "warning", "is not there", "-l gpu04", "rmdir $root/data"),
    Damage("gpu04", "drift", "Folder (scratch)", "warning", "mode: wanted 0755, found 0777", "-l gpu04",
           "chmod 777 $root/scratch"),
    Damage("gpu04", "drift", "Token", "warning", "how is not told", "-l gpu04", "echo stolen >$root/token"),
    Damage(
        "gpu03", "failed", "Driver", "error", "470.82.01", "then: fleetenv apply ",
        gpus=replace(ONE, driver="470.82.01", cuda="11.4"),
    ),
    Damage("gone", "unreachable", "connection", "error", "refused", "fleetenv ping gone -i "),
    # GPUs
    Damage("gpu04", "gpu-ecc-uncorrected", "GPU 0", "error", "uncorrected ECC errors", "nvidia-smi -r",
           gpus=replace(ONE, ecc_uncorrected=3, remap_pending=True, thermal_slowdown=True, driver="560.35.03")),
    Damage("gpu04", "gpu-remapping-pending", "GPU 0", "warning", "to remap", "drain it"),
    Damage("gpu04", "gpu-slowdown", "GPU 0", "warning", "slow", "fans"),
    Damage("gpu04", "outlier", "gpus: driver", "note", "560.35.03", "let a task"),
    Damage("gpu05", "gpu-mismatch", "driver", "error", "does not fit", "reboot",
           gpus=replace(ONE, fault=Fault.MISMATCH, library="570.86.10")),
    # What nobody manages
    Damage(
        "gpu01", "extra-environment", "old_env", "warning", "no task", "conda env remove -p {prefix}/envs/old_env",
        "cp -a $legacy $prefix/envs/old_env; rm $prefix/envs/old_env/conda-meta/fleetenv",
    ),
    Damage(
        "gpu01", "extra-environment", "ana_paper", "warning", "no task", "ana_paper -o envs/ana_paper.yml",
        "cp -a $legacy $prefix/envs/ana_paper; rm $prefix/envs/ana_paper/conda-meta/fleetenv", waived=True,
    ),
    Damage("gpu01", "files-missing", "old_env", "warning", "fleet_tensor/__init__.py",
           "conda install -p {prefix}/envs/old_env --force-reinstall fleet-tensor",
           "rm $prefix/envs/old_env/lib/python3*/site-packages/fleet_tensor/__init__.py"),
    Damage("gpu01", "unreadable-records", "old_env", "warning", "conda-meta/python-", "--force-reinstall python",
           "for each in $prefix/envs/old_env/conda-meta/python-*.json; do echo '{' >$each; done"),
    Damage("gpu01", "dangling-environment", "vision", "warning", "is a link to ", "rm {prefix}/envs/vision",
           "ln -s $root/nowhere $prefix/envs/vision"),
    Damage(
        "gpu01", "environment-elsewhere", "{root}/seg", "note", "packages", "conda env remove -p {root}/seg",
        "cp -a $legacy $root/seg; rm $root/seg/conda-meta/fleetenv; echo $root/seg >>~/.conda/environments.txt",
    ),
    Damage("gpu01", "other-environment", "legacy", "note", "0001-", "fleetenv clean gpu01 -"),
    Damage("gpu01", "pip-over-conda", "legacy: fleet-tensor", "warning", "by fleet_tensor 1.5 (pip)",
           "fleetenv verify gpu01", "$legacy/bin/python -m pip install -q --index-url $index fleet-tensor==1.5"),
    Damage("gpu01", "files-changed", "legacy", "warning", "LICENSE", "--env legacy",
           "for each in $legacy/lib/python3*/LICENSE.txt; do echo more >>$each; done"),
    Damage("gpu01", "files-added", "legacy", "warning", "notes.txt", "--env legacy", "echo hello >$legacy/notes.txt"),
    Damage("gpu01", "wrong-owner", "legacy", "warning", "belongs to ", "sudo chown -R -h root {prefix}/envs/legacy/",
           "chown 12345 $legacy/notes.txt"),
    Damage("gpu01", "base-packages", "{prefix}", "warning", "numpy", "conda remove -p {prefix} numpy", r"""
        cd $prefix/conda-meta
        echo '{"name": "numpy", "version": "1.26.4", "build": "0", "url": "https://c/noarch/numpy-1.26.4-0.conda"}' \
            >numpy-1.26.4-0.json
        printf '%s\n' '==> 2026-11-21 10:00:00 <==' '# cmd: /opt/miniconda3/bin/conda install numpy' \
            '+c/noarch::numpy-1.26.4-0' "# update specs: ['numpy']" >>history"""),
    Damage("gpu01", "world-writable", "{prefix}/bin", "warning", "everybody", "sudo chmod o-w {prefix}/bin",
           "chmod o+w $prefix/bin"),
    Damage("gpu01", "leftover", "{prefix}/envs/.fleetenv/nlp_train/0009-feedbeef", "warning", "unfinished",
           "fleetenv clean gpu01 -", "mkdir $prefix/envs/.fleetenv/nlp_train/0009-feedbeef"),
    Damage("gpu01", "leftover", "{prefix}/envs/.fleetenv/lock.held", "warning", "eve@ctl", "fleetenv clean gpu01", r"""
        holder='{"who": "eve@ctl", "what": "building", "host": "gpu01", "process": 1, "since": 1.0, "token": "t"'
        boot=$(cat /proc/sys/kernel/random/boot_id)
        echo "$holder, \"boot\": \"$boot\"}" >$prefix/envs/.fleetenv/lock.held"""),
    Damage("gpu01", "orphan-virtualenv", "{root}/venvs/old", "warning", "/nowhere/bin", "rm -r {root}/venvs/old", """
        mkdir -p $root/venvs/old/bin; ln -s /nowhere/bin/python $root/venvs/old/bin/python
        echo 'home = /nowhere/bin' >$root/venvs/old/pyvenv.cfg"""),
    Damage("gpu01", "stale-kernel", "{root}/kernels/old", "warning", "/nowhere/bin/python", "rm -r {root}/kernels/old",
           f"mkdir -p $root/kernels/old; echo '{_PROGRAM}' >$root/kernels/old/kernel.json"),
    # A user's own affair
    Damage("gpu01", "condarc-conflict", "{root}/home/.condarc", "note", "channel_priority is flexible here",
           "--remove-key channel_priority", "echo 'channel_priority: flexible' >~/.condarc"),
    Damage("gpu01", "condarc-unreadable", "{root}/home/.conda/.condarc", "note", "YAML", "conda config --file",
           "echo 'channels: [' >~/.conda/.condarc"),
    Damage("gpu01", "stale-kernel", "{root}/home/.local/share/jupyter/kernels/mine", "note", "/nowhere", "rm -r", f"""
        mkdir -p ~/.local/share/jupyter/kernels/mine
        echo '{_PROGRAM}' >~/.local/share/jupyter/kernels/mine/kernel.json"""),
    Damage("gpu01", "other-miniconda", "{root}/home/miniconda3", "note", "conda 24.1.0", "fleetenv adopt gpu01 ", """
        mkdir -p ~/miniconda3/bin ~/miniconda3/conda-meta
        cd ~/miniconda3
        touch bin/conda bin/python conda-meta/history
        echo '{"name": "conda", "version": "24.1.0", "build": "0"}' >conda-meta/conda-24.1.0-0.json
        echo '{"name": "python", "version": "3.11.9", "build": "0"}' >conda-meta/python-3.11.9-0.json"""),
    # Disks
    Damage("gpu04", "disk-full", "{prefix}", "error", "0.0 of 0.0 GiB are free", "on gpu04: du -xh -d2 {prefix} |", """
        mkdir $prefix; mount -t tmpfs -o size=1m fleetenv-test $prefix; mkdir $prefix/pkgs
        ! head -c 2000000 /dev/zero >$prefix/job.log"""),
    Damage("gpu04", "disk-filling", "{prefix}/pkgs", "warning", "1 of 50 inodes are free", "du -x --inodes -d2", """
        mount -t tmpfs -o size=1m,nr_inodes=50 fleetenv-test $prefix/pkgs
        cd $prefix/pkgs; touch $(seq 48)"""),
    # What cannot be looked into
    Damage("gpu03", "unfinished-miniconda", "{prefix}", "error", "there is no conda-meta/history", "-b -u -p {prefix}",
           "mkdir -p $prefix/bin $prefix/conda-meta; touch $prefix/bin/conda"),
    Damage("gpu05", "not-surveyed", "census", "warning", "not understood", "fleetenv envs gpu05 -i ",
           """printf '#!/bin/sh\\necho "{}"\\n' >$root/bin/python3; chmod 755 $root/bin/python3"""),
    Damage("gpu01", "waiver-expired", "leftover *lock.held", "note", "ended on 2020-01-31: once",
           "take it out of drift_ignore"),
)  # fmt: skip
