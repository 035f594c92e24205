"""What is rendered once for many hosts is right for each of them: whatever it read, by whatever way, was the same."""

from __future__ import annotations

from tests.engine.conftest import Project

HOSTS = [f"n{number:02}" for number in range(12)]
INVENTORY = "\n".join(
    [
        "all:",
        '  vars: {ansible_connection: local, greeting: "{{ word }} {{ inventory_hostname }}", word: hello}',
        "  hosts:",
        *(f"    {host}: {{number: {number}, sizes: [{number}, 7]}}" for number, host in enumerate(HOSTS)),
        "  children:",
        "    loud: {vars: {word: HELLO}, hosts: {n03: , n07: }}",
        "",
    ]
)


def written(project: Project, name: str) -> dict[str, str]:
    return {host: (project.folder / f"{host}.{name}").read_text() for host in HOSTS}


def test_variables_that_differ_deep_inside_others(project: Project) -> None:
    project.write("hosts.yml", INVENTORY)
    project.write(
        "templates/note.j2", "{% for each in sizes %}{{ each }},{% endfor %}{{ greeting }} {{ template_host }}"
    )
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          vars: {mine: "{{ out }}/{{ inventory_hostname }}"}
          tasks:
            - copy: {content: "{{ greeting }}", dest: "{{ mine }}.greeting"}
            - template: {src: note.j2, dest: "{{ mine }}.note"}
            - copy: {content: "{{ item }}", dest: "{{ mine }}.size{{ index }}"}
              loop: "{{ sizes }}"
              loop_control: {index_var: index, label: "{{ item }} of {{ inventory_hostname }}"}
            - copy: {content: loud, dest: "{{ mine }}.loud"}
              when: word is upper
        """
    )
    assert done.status == 0, done.stderr
    words = {host: "HELLO" if host in ("n03", "n07") else "hello" for host in HOSTS}
    assert written(project, "greeting") == {host: f"{words[host]} {host}" for host in HOSTS}
    assert written(project, "note") == {
        host: f"{number},7,{words[host]} {host} {host}" for number, host in enumerate(HOSTS)
    }
    assert written(project, "size0") == {host: str(number) for number, host in enumerate(HOSTS)}
    assert set(written(project, "size1").values()) == {"7"}
    assert sorted(path.name for path in project.folder.glob("*.loud")) == ["n03.loud", "n07.loud"]
    assert [each["item"] for each in project.report["n05"]["tasks"][2:4]] == ["5 of n05", "7 of n05"]


def test_what_hosts_find_out_in_the_run(project: Project) -> None:
    project.write("hosts.yml", INVENTORY)
    done = project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          vars: {mine: "{{ out }}/{{ inventory_hostname }}"}
          tasks:
            - set_fact: {kind: "{{ 'even' if number is divisibleby 2 else 'odd' }}"}
            - shell: echo {{ number // 4 }}
              register: said
              changed_when: false
            - copy: {content: "{{ kind }} {{ said.stdout }} {{ later | default('-') }}", dest: "{{ mine }}.one"}
            - set_fact: {later: now}
              when: said.stdout == "1"
            - copy: {content: "{{ kind }} {{ said.stdout }} {{ later | default('-') }}", dest: "{{ mine }}.two"}
            - copy: {content: "{{ hostvars['n11'].kind }} {{ vars['kind'] }}", dest: "{{ mine }}.three"}
        """
    )
    assert done.status == 0, done.stderr
    kinds = {host: "odd" if number % 2 else "even" for number, host in enumerate(HOSTS)}
    assert written(project, "one") == {host: f"{kinds[host]} {number // 4} -" for number, host in enumerate(HOSTS)}
    assert written(project, "two") == {
        host: f"{kinds[host]} {number // 4} {'now' if number // 4 == 1 else '-'}" for number, host in enumerate(HOSTS)
    }
    assert written(project, "three") == {host: f"odd {kinds[host]}" for host in HOSTS}


def test_names_that_tell_what_is_known_when_the_task_is_done(project: Project) -> None:
    project.write("hosts.yml", INVENTORY)
    project.apply(
        playbook="""
        - hosts: all
          gather_facts: false
          tasks:
            - {name: "{{ greeting }}", debug: {msg: hi}}
            - set_fact: {step: first}
            - {name: begin, debug: {msg: hi}, changed_when: true, notify: go}
            - meta: flush_handlers
            - set_fact: {step: "{{ number // 4 }}"}
            - {name: "{{ nobody_defines_it }}", debug: {msg: hi}, changed_when: true, notify: go}
          handlers:
            - {name: "go {{ step }}", listen: go, debug: {msg: hi}}
        """
    )
    words = {host: "HELLO" if host in ("n03", "n07") else "hello" for host in HOSTS}
    assert {host: [each["task"] for each in project.report[host]["tasks"]] for host in HOSTS} == {
        host: [
            f"{words[host]} {host}", "set_fact", "begin", "go first",
            "set_fact", "{{ nobody_defines_it }}", f"go {number // 4}",
        ]
        for number, host in enumerate(HOSTS)
    }  # fmt: skip
