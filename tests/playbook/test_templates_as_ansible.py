"""Every expression here means to us what it means to ansible-core, type for type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fleetenv.errors import Location
from fleetenv.playbook import Templates
from fleetenv.source import SourceText
from fleetenv.source_yaml import parse_yaml

VARIABLES = r"""
n: 3
f: 1.5
yes_text: "yes"
name: gpu-01
empty: ""
none: null
users: [{name: ann, groups: [a, b], uid: 2}, {name: bob, groups: [], uid: 1}, {name: Cy, groups: [c], uid: 3}]
mapping: {a: 1, b: {c: [1, 2], d: x}}
numbers: [3, 1, 2, 3]
words: [b, a, B, c]
nested: [1, [2, [3, [4, null]]], null]
lazy: "{{ n + 1 }}"
lazy_map: {text: "v{{ n }}", list: ["{{ n }}", "{{ name }}"], deep: {er: "{{ lazy }}"}}
own: {base: /opt, bin: "{{ own.base }}/bin"}
path: /a/b/c.tar.gz
url: "https://u:p@example.com:8443/x/y?q=1#f"
result: {rc: 0, failed: false, changed: true, stdout: "a\nb"}
results: {results: [{changed: false}, {changed: true}]}
multi: "one\ntwo\n"
undefined_inside: "{{ nowhere }}"
size: 1610612736
"""

EXPRESSIONS = r"""
n
n ~ 'x'
lazy
lazy_map
lazy_map.list
lazy_map.deep.er
own.bin
own
none
empty
f
[n, lazy]
{'k': lazy}
users | map(attribute='name') | list
users | map(attribute='name') | join(',')
users | selectattr('uid', '>', 1) | map(attribute='name')
users | rejectattr('groups') | list
users | selectattr('name', 'match', '^[A-Z]') | list
users | sort(attribute='uid') | map(attribute='uid') | list
users | groupby('groups') | list
users | items2dict(key_name='name', value_name='uid')
users | subelements('groups')
users | sum(attribute='uid')
users | length
users[0].groups + users[2]['groups']
users | map('combine', {'x': 1}) | list
users | zip(numbers) | list
users | rekey_on_member('name')
['a', 'b'] | map('extract', mapping) | list
'b' | extract(mapping, ['c', 0])
mapping | dict2items
mapping | dict2items(key_name='k', value_name='v')
mapping | combine({'b': {'e': 1}})
mapping | combine({'b': {'e': 1, 'c': [3]}}, recursive=true)
mapping | combine({'b': {'c': [2, 3]}}, recursive=true, list_merge='append')
mapping | combine({'b': {'c': [2, 3]}}, recursive=true, list_merge='prepend')
mapping | combine({'b': {'c': [2, 3]}}, recursive=true, list_merge='append_rp')
mapping | combine({'b': {'c': [2, 3]}}, recursive=true, list_merge='prepend_rp')
mapping | combine({'b': {'c': [2, 3]}}, recursive=true, list_merge='keep')
[{'a': 1}, {'b': 2}] | combine({'c': 3})
mapping.keys() | list
mapping.items() | list
mapping | to_json
mapping | to_nice_json
mapping | to_nice_json(indent=2)
mapping | to_yaml
mapping | to_nice_yaml
mapping | to_nice_yaml(indent=2)
users | to_nice_yaml(indent=2, width=1337)
'ü' | to_json
'ü' | to_json(ensure_ascii=false)
'text' | to_yaml
multi | to_yaml
'{"a": [1, "{{ n }}"]}' | from_json
'a: [1, x]' | from_yaml
'--- 1\n--- 2' | from_yaml_all | list
numbers | unique
words | unique
words | unique(case_sensitive=false)
words | sort
words | sort(case_sensitive=true)
numbers | union([9, 3]) | sort
numbers | intersect([3, 2]) | sort
numbers | difference([3]) | sort
numbers | symmetric_difference([3, 7]) | sort
[{'a': 1}, {'a': 2}] | difference([{'a': 1}])
[{'a': 1}] | union([{'a': 1}, {'b': 1}])
numbers | max
numbers | min
numbers | sum
numbers | reverse | list
numbers | first
numbers | last
numbers | batch(2) | list
numbers | product([1, 2]) | list
[1, 2, 3] | permutations(2) | list
[1, 2, 3] | combinations(2) | list
[1, 2] | zip_longest([1], fillvalue=0) | list
nested | flatten
nested | flatten(levels=1)
nested | flatten(skip_nulls=false)
yes_text | bool
'no' | bool
1 | bool
'TRUE' | bool
true | ternary('a', 'b')
none | ternary('a', 'b', 'c')
missing | default('d')
missing.deep.er | default('d')
undefined_inside | default('d')
empty | default('d', true)
none | default('d')
none | default('d', true)
missing is defined
undefined_inside is defined
undefined_inside is undefined
mapping.zzz is defined
mapping.b.c is defined
name is match('gpu')
name is match('01')
name is search('01')
name is regex('^GPU', ignorecase=true)
'1.10' is version('1.9', '>')
'1.10' is version('1.10.0', '<')
'2.0rc1' is version('2.0', '<', version_type='pep440')
'1.0.0-rc.1' is version('1.0.0', 'lt', version_type='semver')
'1.2.post1' is version('1.2', '>', version_type='pep440')
'1.2.dev1' is version('1.2a1', '<', version_type='pep440')
'1.2.3' is version('1.2.3', 'ge', strict=true)
'535.104.05' is version('535.54.03', '>=')
[1, 2] is subset([1, 2, 3])
[1, 2, 3] is superset([1])
[1, 2] is contains(2)
[true, true] is all
[false, true] is any
'yes' is truthy
'no' is truthy(convert_bool=true)
'' is falsy
result is succeeded
result is failed
result is changed
results is changed
result is skipped
result is not failed
path | basename
path | dirname
path | splitext
path | splitext | last
['/a', 'b', 'c'] | path_join
'/a/../b' | normpath
'/a/b' | relpath('/a')
'~root' | expanduser
['/a/b', '/a/c'] | commonpath
'/etc' is directory
'/etc/passwd' is file
'/nope' is exists
'/a' is abs
name | regex_replace('^(\w+)-(\d+)$', '\2-\1')
name | regex_replace('GPU', 'x', ignorecase=true)
name | regex_search('\d+')
name | regex_search('(\w+)-(\d+)', '\2', '\1')
name | regex_search('(?P<k>\w+)-', '\g<k>')
name | regex_search('zzz')
'a1b22' | regex_findall('\d+')
'a.b*c' | regex_escape
'a.b*c[' | regex_escape('posix_basic')
'a b' | quote
none | quote
"it's" | quote
'a,b' | split(',')
' a  b ' | split
'x y' | b64encode
'eCB5' | b64decode
'x' | hash
'x' | hash('sha256')
'x' | md5
'x' | sha1
'x' | checksum
'x' | to_uuid
'x' | to_uuid(namespace='11111111-2222-3333-4444-555555555555')
'hello' | comment
'two\nlines' | comment('c')
multi | comment('cblock')
'x' | comment('xml')
'x' | comment(decoration='! ')
'x' | comment('plain', prefix='####', postfix='####\n')
'x' | comment('plain', prefix_count=3, postfix_count=2)
'%Y' | strftime(0, utc=true)
('2020-01-02 03:04:05' | to_datetime).year
(('2020-01-02 00:00:00' | to_datetime) - ('2020-01-01 00:00:00' | to_datetime)).days
url | urlsplit('hostname')
url | urlsplit('port')
url | urlsplit
'a%20b+c' | urldecode
'a b&c' | urlencode
size | human_readable
size | human_readable(unit='M')
size | human_readable(isbits=true)
10 | human_readable
'1.5 GB' | human_to_bytes
'10M' | human_to_bytes
'10' | human_to_bytes(default_unit='K')
'1Mb' | human_to_bytes(isbits=true)
8 | log(2)
2 | pow(3)
9 | root
27 | root(3)
59 | random(seed='gpu-01')
numbers | shuffle(seed='x')
'3' | int + 1
'x' | int
'0x1f' | int(base=16)
'1.5' | float
1.25 | round(1)
'abc' | upper
'abc def' | title
'abc' | capitalize
'  x ' | trim
'abc' | replace('b', 'x')
'a\nb' | indent(2)
'abcdefghijkl' | truncate(6)
'abc' | list
mapping | dictsort
n | string
n | type_debug
name | type_debug
mapping | type_debug
numbers | type_debug
none | type_debug
lookup('vars', 'name')
lookup('vars', 'missing', default='d')
lookup('env', 'FLEETENV_NOT_SET')
lookup('pipe', 'echo hi')
lookup('lines', 'printf "a\nb\n"')
query('lines', 'printf "a\nb\n"')
lookup('items', [1, [2, 3]])
lookup('dict', {'a': 1})
q('dict', {'a': 1})
q('sequence', 'start=1 end=3')
q('sequence', '2-10/2:x%02d')
q('sequence', 'count=4 start=0 stride=2')
q('sequence', 'start=3 end=1 stride=-1 format=0x%02x')
q('together', [1, 2], [3])
q('nested', [1, 2], [3, 4])
q('indexed_items', ['a', 'b'])
q('subelements', users, 'groups')
q('list', 1, 2)
q('varnames', '^lazy')
lookup('file', '/etc/hostname') is string
q('fileglob', '/etc/host*') | sort
lookup('first_found', ['/nope', '/etc/hosts'])
range(3) | list
dict(a=1)
n if n > 2 else 'small'
n == 3 and name is defined
not n
'gpu' in name
n in numbers
'%s-%02d' | format('a', 3)
'%s' % n
'{}'.format(name)
name.split('-')[1]
name[0]
name[-2:]
numbers[1:]
users[0]['na' ~ 'me']
vars['name']
mapping['b']['c'][0]
(mapping | dict2items)[0].key
1 / 2
7 // 2
2 ** 8
-n
[1] + [2]
'a' 'b'
true
none is none
'a' is string
1 is number
mapping is mapping
numbers is sequence
now() is defined
undef() is undefined
omit is defined
mapping | ansible.builtin.to_json
"""

TEXTS = [
    "plain",
    "{{ n }}",
    " {{ n }}",
    "{{ n }}{{ n }}",
    "{{ n }}-{{ none }}",
    "{{ none }}",
    "{{ none }}{{ none }}",
    "{{ users }}",
    "users: {{ users }}",
    "{{ lazy_map }}!",
    "{% if n > 2 %}big{% else %}small{% endif %}",
    "{% for u in users %}{{ u.name }} {% endfor %}",
    "{% for u in users if u.uid > 1 %}{{ loop.index }}{{ u.name }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% set x = n + 1 %}{{ x }}",
    "{% set ns = namespace(t=0) %}{% for u in users %}{% set ns.t = ns.t + u.uid %}{% endfor %}{{ ns.t }}",
    "{% set l = [] %}{% for u in users %}{{ l.append(u.uid) }}{% endfor %}{{ l }}",
    "{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(n) }}",
    "{# comment #}x",
    "{# comment #}",
    "{% raw %}{{ n }}{% endraw %}",
    "{{ '{{' }} n }}",
    "{{ n }}\n",
    "{{ name }}\n",
    "a\n{{ name }}\n\n",
    "{% if true %}\nx\n{% endif %}\n",
    "{{ True }}",
    "{{ 'True' }}",
    "{{ '1' }}",
    "{{ '[1]' }}",
    "[{{ n }}]",
    "{{ 1 }}{{ 2 }}",
    "{{ 1 }}",
    "{{ 1.0 }}",
    "{{ -1 }}",
    "{{ [] }}",
    "{{ {} }}",
    "{{ (1, 2) }}",
    "{{ name | regex_replace('(\\w+)-(\\d+)', '\\2\\1') }}",
    '{{ name | regex_replace("\\d", "\\\\") }}',
    "{{ 'a\\nb' }}",
    "{% set x = 'a\\nb' %}{{ x }}",
    "{{ n | default(omit) }}",
]


@pytest.fixture(scope="module")
def ansible() -> Any:
    pytest.importorskip("ansible")
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar, trust_as_template
    from ansible.utils.display import Display

    init_plugin_loader()
    Display._warn = lambda *a, **k: None
    loader = DataLoader()
    loader.set_basedir(str(Path.cwd()))

    def trusted(value: Any) -> Any:
        if isinstance(value, str):
            return trust_as_template(str(value))
        if isinstance(value, dict):
            return {key: trusted(each) for key, each in value.items()}
        return [trusted(each) for each in value] if isinstance(value, list) else value

    variables = trusted(parse_yaml(VARIABLES, "v.yml"))
    variables["vars"] = dict(variables)
    variables["omit"] = None
    templar = Templar(loader, variables)

    def render(text: str) -> Any:
        return json.loads(json.dumps(templar.template(trust_as_template(text)), default=str))

    return render


VALUES = parse_yaml(VARIABLES, "v.yml")


def ours(text: str) -> Any:
    assert isinstance(VALUES, dict)
    value = Templates().render(SourceText(text, Location("t.yml", 1, 1)), VALUES)
    return json.loads(json.dumps(value, default=str))


@pytest.mark.parametrize("expression", [e for e in EXPRESSIONS.splitlines() if e])
def test_expression(ansible: Any, expression: str) -> None:
    text = "{{ " + expression + " }}"
    assert ours(text) == ansible(text)


@pytest.mark.parametrize("text", TEXTS)
def test_text(ansible: Any, text: str) -> None:
    theirs = ansible(text)
    assert ours(text) == theirs
    assert type(ours(text)) is type(theirs)
