"""Inventories of many kinds, on which fleetenv and ansible-inventory must agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent


@dataclass(frozen=True)
class Example:
    """Files by path (those that begin with '#!' are programs), and what `-i` names, relative to them."""

    files: dict[str, str]
    sources: tuple[str, ...]
    host: str  # one that --host is asked for

    def write(self, folder: Path) -> list[str]:
        """Write the files below a folder; return the `-i` arguments."""
        write_files(folder, self.files)
        return [f"-i{source if ',' in source else folder / source}" for source in self.sources]


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).removeprefix("\n"), encoding="utf-8")
        if path.read_bytes().startswith(b"#!"):
            path.chmod(0o755)


EXAMPLES = {
    "a plain list of hosts": Example(
        {
            "hosts": """
                # the lab
                gpu01
                gpu02 ansible_host=10.0.0.2
                ; the bastion
                bastion.lab.example:2222 ansible_user=ops
            """
        },
        ("hosts",),
        "bastion.lab.example",
    ),
    "INI with groups, children, vars and ranges": Example(
        {
            "lab.ini": """
                login ansible_host=192.0.2.1

                [gpu:children]
                rtx4090   # declared below, and in the other order
                a100

                [a100]
                gpu[01:04] rack=r1
                gpu[05:09:2].lab.example:2200 rack=r2

                [rtx4090]
                rtx-[a:c] rack="r 3"
                gpu02

                [gpu:vars]
                ansible_user = ops
                cuda = 12.4
                comment = not # a comment
                count = 8 # a comment, since Python would take it as one

                [a100:vars]
                cuda="11.8"

                [empty]
                [no_hosts:children]
                empty
            """
        },
        ("lab.ini",),
        "gpu02",
    ),
    "INI values of every type": Example(
        {
            "types": """
                [all]
                h a=1 b=1.5 c=True d=true e=None f=[1,'two',[3]] g="{'k': {'n': 1}}" h='"quoted"' i=0o17 j=007 k=
                i a='two words' b="it's" c=a\\ b d=1_000 e=1e3 f=(1,2) g={1} h=... i=b'bytes' j=1+2j k=-5 l='#' # so
                j a==b b=a=b c="[1, 2" d=' 3' e='a''b' f=10.0.0.1 g=12:30 h='{{ x }}' i='["{{ x }}", 2]'
                [all:vars]
                v1=[1, {"a": "b"}]
                v2 =   spaced   out
                v3="quoted"
                v4='{{ ansible_host }}'
                v5=
                v6={"unclosed": 1
                v7=/path/to # x
                v8="a" "b"
            """
        },
        ("types",),
        "i",
    ),
    "YAML with everything": Example(
        {
            "lab.yml": """
                all:
                  hosts:
                    login:
                      ansible_host: 192.0.2.1
                  vars:
                    ntp: &ntp [a.example, b.example]
                    again: *ntp
                    enabled: yes
                    day: 2024-02-29
                    moment: 2024-02-29 12:30:00
                    octal: 0644
                    text: |
                      two
                      lines
                    raw: !unsafe "{{ not a template }}"
                    words: "grün ☃ 漢"
                  children:
                    gpu:
                      children:
                        a100:
                          hosts:
                            gpu[01:03]: {rack: r1, nested: {a: {b: [1, 2]}}}
                            gpu04.lab.example:2200:
                        rtx:
                          hosts: rtx01
                      vars: {cuda: "12.4", driver: 550.54}
                    cpu:
                      hosts:
                    storage: {}
                other:
                  hosts:
                    gpu02: {rack: r9}
            """
        },
        ("lab.yml",),
        "gpu02",
    ),
    "YAML without an extension": Example(
        {"hosts": "---\n# groups\ngpu:\n  hosts:\n    gpu01:\n    gpu02: {a: 1}\n"}, ("hosts",), "gpu01"
    ),
    "YAML merge keys and JSON": Example(
        {
            "a.yml": """
                gpu:
                  hosts:
                    gpu01: &base {user: ops, port: 22, tags: [x]}
                    gpu02: {<<: *base, port: 2222}
            """,
            "b.json": '{"cpu": {"hosts": {"cpu01": {"a": null, "b": [true, 1.5]}}, "children": {"big": null}}}',
        },
        ("a.yml", "b.json"),
        "gpu02",
    ),
    "group_vars and host_vars beside a file": Example(
        {
            "hosts": "[a100]\ngpu01 who=inventory\ngpu02\n[gpu:children]\na100\n[a100:vars]\nwho=group\nonly_ini=1\n",
            "group_vars/all.yml": "who: all file\nlevel: all\nshared: {a: 1}\n",
            "group_vars/gpu/10-first.yml": "level: gpu\nfirst: 1\nboth: first\n",
            "group_vars/gpu/20-second": "both: second\n",
            "group_vars/gpu/deeper/more.yaml": "deeper: true\n",
            "group_vars/gpu/not.txt": "never: read\n",
            "group_vars/gpu/.hidden.yml": "never: read\n",
            "group_vars/gpu/backup.yml~": "never: read\n",
            "group_vars/gpu.yml": "never: the folder wins\n",
            "group_vars/a100.json": '{"level": "a100", "shared": {"b": 2}}',
            "group_vars/ungrouped.yml": "never: nobody is\n",
            "host_vars/gpu01.yml": "who: host file\n",
            "host_vars/gpu02": "# nothing in it\n",
        },
        ("hosts",),
        "gpu01",
    ),
    "a folder of sources": Example(
        {
            "lab/10-hosts.ini": "[a100]\ngpu01\n[rtx]\nrtx01\n",
            "lab/20-groups.yml": "gpu: {children: {a100: , rtx: }, vars: {from: yaml}}\n",
            "lab/30-more": "[a100]\ngpu02 from=ini\n",
            "lab/nested/hosts.yml": "cpu: {hosts: {cpu01: }}\n",
            "lab/README.md": "[not an inventory\n",
            "lab/ansible.cfg": "[defaults]\n",
            "lab/old.ini.bak": "[no]\nno\n",
            "lab/.git/config": "[core]\nno = 1\n",
            "lab/group_vars/gpu.yml": "gv: 1\n",
            "lab/nested/group_vars/cpu.yml": "never: only those of the named folder count\n",
            "lab/host_vars/rtx01/vars.yml": "hv: 1\n",
        },
        ("lab",),
        "rtx01",
    ),
    "several sources, later ones override": Example(
        {
            "one/hosts": "[gpu]\ngpu01 a=1 b=1\n[gpu:vars]\nc=1\nd=1\n",
            "one/group_vars/gpu.yml": "e: 1\nf: 1\n",
            "one/host_vars/gpu01.yml": "g: 1\nh: 1\n",
            "two/hosts.yml": "gpu: {hosts: {gpu01: {b: 2}, gpu02: }, vars: {d: 2}}\n",
            "two/group_vars/gpu.yml": "f: 2\n",
            "two/group_vars/all.yml": "e: 2\n",
            "two/host_vars/gpu01.yml": "h: 2\n",
        },
        ("one/hosts", "two/hosts.yml", "gpu03,gpu04:2200,[2001:db8::1]:22,"),
        "gpu01",
    ),
    "depth, priority and names decide between groups": Example(
        {
            "hosts.yml": """
                zeta: {hosts: {h: }, vars: {v: zeta, p: zeta}}
                alpha: {hosts: {h: }, vars: {v: alpha, p: alpha, ansible_group_priority: 10}}
                beta: {children: {deep: {hosts: {h: }, vars: {w: deep, ansible_group_priority: -5}}}, vars: {w: beta}}
                gamma: {children: {deep: }, vars: {w: gamma, ansible_group_priority: "7"}}
                omega: {children: {gamma: }}
            """,
            "group_vars/zeta.yml": "v: zeta file\n",
            "group_vars/beta.yml": "w: beta file\nx: beta file\n",
            "group_vars/gamma.yml": "x: gamma file\nansible_group_priority: 100\n",
        },
        ("hosts.yml",),
        "h",
    ),
    "a host in 'ungrouped' and elsewhere": Example(
        {"hosts": "a\nb\n[ungrouped]\nc\n[gpu]\nb\n[all]\nd\n[all:vars]\nx=1\n[ungrouped:vars]\ny=2\n"},
        ("hosts",),
        "b",
    ),
    "a group and a host of one name": Example(
        {"hosts.yml": "bastion: {hosts: {bastion: {ansible_host: 192.0.2.9}, other: }}\n"}, ("hosts.yml",), "bastion"
    ),
    "names with dashes, dots and capitals": Example(
        {"hosts": "[rack-1.Room_2]\nGPU-01.lab\n2001:db8::5\nfe80::[1:3]\n10.0.0.[1:2]\n[2]\nn_1\n"}, ("hosts",), "n_1"
    ),
    "a program with _meta": Example(
        {
            "inventory.sh": """\
                #!/bin/sh
                [ "$1" = --list ] || exit 9
                cat <<'END'
                {"gpu": {"hosts": ["gpu01", "gpu02"], "vars": {"cuda": "12.4", "t": "{{ x }}"}, "children": ["a100"]},
                 "a100": ["gpu03"],
                 "quiet": {"children": []},
                 "_meta": {"hostvars": {"gpu01": {"a": 1, "u": {"__ansible_unsafe": "{{ y }}"}}, "unlisted": {"b": 2}}}}
                END
            """,
            "group_vars/gpu.yml": "gv: 1\n",
        },
        ("inventory.sh",),
        "gpu01",
    ),
    "a program without _meta": Example(
        {
            "inventory.sh": """\
                #!/bin/sh
                case $1 in
                --list) echo '{"gpu": {"hosts": ["gpu01", "gpu02", "gpu03"]}, "lonely": {"role": "login"}}' ;;
                --host) [ "$2" = gpu03 ] || printf '{"asked_for": "%s"}' "$2" ;;
                esac
            """
        },
        ("inventory.sh",),
        "gpu02",
    ),
    "an INI file that is executable by accident": Example({"hosts": "[gpu]\ngpu01 a=1\n"}, ("hosts",), "gpu01"),
    "localhost as a host of its own": Example(
        {"hosts": "localhost ansible_connection=ssh\n[gpu]\ngpu01\n"}, ("hosts",), "localhost"
    ),
    "Ansible's own names are not shown": Example(
        {"hosts": "gpu01 groups=1 inventory_dir=2 ansible_version=3 hostvars=4 kept=5\n"}, ("hosts",), "gpu01"
    ),
}
