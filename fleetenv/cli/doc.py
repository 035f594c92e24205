"""Explain a module: what it does, its arguments, an example. Without a name: the modules there are.

Examples:
  fleetenv doc
  fleetenv doc conda_env
  fleetenv doc -s copy            a task to copy into a playbook, as 'ansible-doc -s'
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping

from fleetenv.modules import registry
from fleetenv.modules.arguments import Argument, arguments_of, describe, members_of
from fleetenv.modules.base import Module
from fleetenv.modules.documentation import documentation

WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("module", metavar="MODULE", nargs="*", help="modules to explain; none: list all")
    parser.add_argument("-l", "--list", action="store_true", help="list the modules")
    parser.add_argument("-s", "--snippet", action="store_true", help="print a task with all arguments")
    parser.add_argument("-j", "--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    modules = {name: registry.load(name) for name in options.module}
    if options.list or not modules:
        every = {name: registry.load(name) for name in sorted(registry.MODULES)}
        summaries = {name: documentation(module).summary for name, module in every.items()}
        print(json.dumps(summaries, indent=2) if options.json else _listing(summaries))
    elif options.json:
        print(json.dumps({name: _as_data(module) for name, module in modules.items()}, indent=2))
    else:
        page = _snippet if options.snippet else _page
        print("\n\n".join(page(registry.canonical(name), module) for name, module in modules.items()))
    return 0


def _listing(summaries: Mapping[str, str]) -> str:
    width = max(map(len, summaries)) + 2
    return "\n".join(f"{name:<{width}}{text}" for name, text in summaries.items())


def _page(name: str, module: type[Module]) -> str:
    said = documentation(module)
    parts = [f"{name.upper()}\n\n{_indented(said.text)}", f"CHECK MODE\n\n{_indented(said.check_mode)}"]
    if known := arguments_of(module):
        each_one = (_argument(module, each, said.arguments.get(each.name, "")) for each in known.values())
        parts.append("ARGUMENTS  (= must be given)\n\n" + "\n\n".join(each_one))
    if said.example:
        parts.append(f"EXAMPLE\n\n{textwrap.indent(said.example, '    ')}")
    return "\n\n".join(parts)


def _argument(module: type[Module], argument: Argument, meaning: str) -> str:
    also = [other for other, name in module.synonyms.items() if name == argument.name]
    names = ", ".join([argument.name, *also])
    facts = f"{describe(argument.annotation)}{_default(argument)}"
    return f"{'=' if argument.required else '-'} {names}  ({facts})\n{_indented(meaning)}"


def _default(argument: Argument) -> str:
    default = argument.default
    if argument.required or not isinstance(default, str | bool | int | float | tuple) or default in ((), ""):
        return ""
    shown = {True: "yes", False: "no"}[default] if isinstance(default, bool) else default
    return f"; default: {', '.join(map(str, shown)) if isinstance(shown, tuple) else shown}"


def _snippet(name: str, module: type[Module]) -> str:
    lines = [f"- name: {documentation(module).summary}", f"  {name}:"]
    for each in arguments_of(module).values():
        comment = f"{'(required) ' if each.required else ''}{describe(each.annotation)}{_default(each)}"
        lines.append(f"    {f'{each.name}:':<24}# {comment}")
    return "\n".join(lines)


def _as_data(module: type[Module]) -> dict[str, object]:
    said = documentation(module)
    arguments = {
        each.name: {
            "type": describe(each.annotation),
            "required": each.required,
            "default": each.default if isinstance(each.default, str | bool | int | float | tuple) else None,
            "description": said.arguments.get(each.name, ""),
            "choices": [choice for member in members_of(each.annotation) for choice in getattr(member, "__args__", ())]
            if describe(each.annotation).startswith("one of")
            else None,
        }
        for each in arguments_of(module).values()
    }
    return {"summary": said.summary, "description": said.text, "arguments": arguments, "example": said.example}


def _indented(text: str) -> str:
    paragraphs = text.split("\n\n")
    fill = textwrap.TextWrapper(WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n\n".join(fill.fill(" ".join(each.split())) for each in paragraphs if each.strip())
