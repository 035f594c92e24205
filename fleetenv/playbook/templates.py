"""Templates: what a task's values, conditions and template files give with a host's variables.

Jinja itself is imported when the first text that needs it is rendered; each text is compiled once.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from functools import cache
from keyword import kwlist
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fleetenv.errors import InputError, Location
from fleetenv.playbook.reading import OMIT, Extended, Missing, RawVariables, Reading, is_template, plain
from fleetenv.playbook.rendered import checked_value, ended, holds_template, located, shortened
from fleetenv.playbook.template_file import TemplateSource, about, line_of, read_template, stamp
from fleetenv.playbook.undefined import UndefinedVariable
from fleetenv.source import SourceMap, SourceText, Value

if TYPE_CHECKING:
    from fleetenv.playbook.jinja.environment import PlaybookEnvironment, PlaybookTemplate

_TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
_FALSE = frozenset({"n", "no", "off", "0", "false", "f"})
_NAMED = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_NO_NAMES = frozenset({*kwlist, "true", "false", "none", "self", "super", "caller", "loop"})


class Templates:
    """Renders values; the same object serves all hosts.

    A `scope` is a mapping of variables. Values in it may hold templates: they are rendered when they are read. A
    [`SourceText`][fleetenv.source.SourceText] may be a template, a plain `str` never is.
    """

    def __init__(self) -> None:
        self.fleeting = 0  # how often something was read that may soon be otherwise: a clock, a file, another host
        self._environments: dict[object, PlaybookEnvironment] = {}
        self._compiled: dict[tuple[str, str], PlaybookTemplate] = {}
        self._files: dict[tuple[object, ...], tuple[TemplateSource, PlaybookTemplate | None, Mapping[str, Value]]] = {}

    def render(self, value: Value, scope: Mapping[str, Value]) -> Value:
        """Render a value and all that is in it, keys too; what is `omit` is left out (None when it is all).

        Raises:
            UndefinedVariable: a variable is not there.
            InputError: a template is wrong.
        """
        if not holds_template(value):
            return value
        rendered = self._deep(value, Reading(scope, self))
        return None if rendered is OMIT else cast(Value, rendered)

    def variable(self, name: str, scope: Mapping[str, Value]) -> Value:
        """Return one variable, rendered.

        Raises:
            KeyError: there is no such variable.
        """
        raw = scope.raw(name) if isinstance(scope, RawVariables) else scope[name]
        return self.render(cast(Value, raw), scope)

    def evaluate(self, expression: Value, scope: Mapping[str, Value]) -> Value:
        """Evaluate a bare expression (`a.b == 1`); a value that is not source text is what it is."""
        if not isinstance(expression, SourceText):
            return expression
        return cast(Value, self._final(self._evaluate(expression, Reading(scope, self)), expression.location))

    def condition(self, expression: Value, scope: Mapping[str, Value]) -> bool:
        """Evaluate a condition, as in `when:`. As in Ansible it must come out as true or false, nothing else.

        Raises:
            UndefinedVariable: a variable is not there.
            InputError: the condition is wrong, or neither true nor false.
        """
        if isinstance(expression, list):
            return all(self.condition(each, scope) for each in expression)
        result: object = expression
        location = getattr(expression, "location", None)
        if isinstance(expression, SourceText):
            stripped = expression.strip()
            if stripped.startswith(("{{", "{%")) and stripped.endswith(("}}", "%}")):
                result = self._indirect(stripped, scope)
                result = self.render(expression, scope) if result is None else self.evaluate(result, scope)
            else:
                result = self.evaluate(expression, scope)
        if isinstance(result, bool):
            return result
        if expression is None or expression == "":
            raise InputError("the condition is empty", location=location, hint="leave it out, or write true")
        shown = f"'{result}'" if isinstance(result, str) else "nothing" if result is None else f"{result!r}"
        raise InputError(
            f"the condition '{expression}' gives {shown}, neither true nor false",
            location=location,
            hint="`| bool` makes yes or no of a text, `| length > 0` asks whether there is anything",
        )

    def _indirect(self, text: str, scope: Mapping[str, Value]) -> SourceText | None:
        """Return the condition that a variable of the user's holds, as in `when: "{{ is_gpu_host }}"`."""
        named = re.fullmatch(r"\{\{\s*(\w+)\s*\}\}", text)
        if named is None or named[1] not in scope:
            return None
        raw = scope.raw(named[1]) if isinstance(scope, RawVariables) else scope[named[1]]
        return raw if isinstance(raw, SourceText) and not is_template(raw) else None

    def flag(self, value: Value, scope: Mapping[str, Value]) -> bool:
        """Render a keyword that takes yes or no (`become`, `no_log`, ...); the words count, as in Ansible."""
        result = self.render(value, scope)
        if isinstance(result, bool):
            return result
        word = str(result).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise InputError(f"'{result}' is neither yes nor no", location=getattr(value, "location", None))

    def render_file(self, path: Path, scope: Mapping[str, Value], extra: Mapping[str, Value] | None = None) -> str:
        """Render a template file as Ansible's `template` does: `{% %}` lines vanish, the last newline stays.

        Raises:
            InputError: the file cannot be read or rendered; the location is the line in it.
        """
        return self.file(path, Reading(scope, self), extra or {})

    def look_up(self, name: str, terms: Value, scope: Mapping[str, Value], *, folder: str = "files") -> list[Value]:
        """Run a lookup, as `with_...` does: `terms` is what is written there, `folder` where first_found looks."""
        from fleetenv.playbook.jinja import lookups

        location = getattr(terms, "location", None) or Location("", 1, 1)
        if name == "first_found" and isinstance(terms, list):
            rendered = [each for term in terms for each in self._known(term, scope)]
        else:
            value = self.render(terms, scope)
            rendered = value if isinstance(value, list) else [value]
        reading = Reading(scope, self)
        options = {"folder": folder} if name == "first_found" else {}
        found = self._guard(lambda: lookups.look_up(name, rendered, reading, **options), reading, location)
        return cast(list[Value], self._final(found, location))

    def _known(self, value: Value, scope: Mapping[str, Value]) -> list[Value]:
        try:
            return [self.render(value, scope)]
        except UndefinedVariable:
            return []

    # What readings need

    def run(self, text: SourceText, reading: Reading) -> object:
        """Render one text, for a [`Reading`][]."""
        filled = _filled(text, reading)
        if filled is not None:
            return filled
        template = self._compiled.get(("value", text))
        if template is None:
            template = self._compile(text, text.location, lambda: self._environment(escape=True).from_string(text))
            self._compiled["value", text] = template
        result = self._guard(lambda: self._checked(template.result(reading)), reading, text.location)
        return ended(result, text)

    def missing(self, cause: UndefinedVariable) -> Missing:
        """Make the value that stands for something undefined, for a [`Reading`][]."""
        from fleetenv.playbook.jinja.undefined import Undefined

        return Undefined(cause=cause)

    def file(self, path: Path, reading: Reading, extra: Mapping[str, Value]) -> str:
        """Render a template file on behalf of a [`Reading`][]."""
        source, template, known = self._file(path, reading)
        if template is None:
            return source.body
        top = Location(str(path), 1, 1)
        now = datetime.datetime.now()
        inner = reading.within(Extended(reading.scope, {**known, "template_run_date": now, **extra}))
        result = self._guard(lambda: self._checked(template.result(inner)), inner, top, (template, source.skipped))
        final = self._final(ended(result, source.body), top)
        return "" if final is None else str(final)

    def _file(
        self, path: Path, reading: Reading
    ) -> tuple[TemplateSource, PlaybookTemplate | None, Mapping[str, Value]]:
        """Read and compile a template file, which may include others from where the task looks for files."""
        try:
            search = tuple(cast(list[str], plain(reading.variable("ansible_search_path"))))
        except KeyError:
            search = ()
        key = (path, stamp(path), search)
        if key not in self._files:
            source = read_template(path)
            folders = (str(path.parent), *(f"{each}{part}" for each in search for part in ("/templates", "")))
            needs_jinja = bool(source.settings) or is_template(source.body)
            template = self._compile_file(path, source, folders) if needs_jinja else None
            self._files[key] = (source, template, about(path))
        return self._files[key]

    def _environment(self, *, escape: bool, **options: Any) -> PlaybookEnvironment:
        from fleetenv.playbook.jinja.environment import PlaybookEnvironment

        key = (escape, *sorted(options.items()))
        if key not in self._environments:
            self._environments[key] = PlaybookEnvironment(escape=escape, **options)
        return self._environments[key]

    def _compile(self, text: str, location: Location, make: Callable[[], Any]) -> PlaybookTemplate:
        from jinja2 import TemplateSyntaxError

        try:
            return cast("PlaybookTemplate", make())
        except TemplateSyntaxError as error:
            raise InputError(f"not a valid template: {error.message}: {shortened(text)}", location=location) from error
        except InputError as error:
            raise _at(error, location) from error

    def _compile_file(self, path: Path, source: TemplateSource, folders: tuple[str, ...]) -> PlaybookTemplate:
        from jinja2 import TemplateSyntaxError
        from jinja2.loaders import FileSystemLoader

        environment = self._environment(escape=False, **source.settings).overlay(loader=FileSystemLoader(folders))
        try:
            code = environment.compile(source.body, filename=str(path))
            template = environment.template_class.from_code(environment, code, environment.make_globals(None))
        except TemplateSyntaxError as error:
            place = Location(str(path), error.lineno + source.skipped, 1)
            raise InputError(f"not a valid template: {error.message}", location=place) from error
        except InputError as error:
            raise _at(error, Location(str(path), 1, 1)) from error
        return cast("PlaybookTemplate", template)

    def _evaluate(self, expression: SourceText, reading: Reading) -> object:
        template = self._compiled.get(("expression", expression))
        if template is None:
            location = expression.location
            template = self._compile(
                expression, location, lambda: self._environment(escape=False).expression(expression)
            )
            self._compiled["expression", expression] = template
        return self._guard(lambda: self._checked(template.result(reading)), reading, expression.location)

    def _checked(self, result: object) -> object:
        if isinstance(result, Missing):
            result.raise_it()
        return result

    def _deep(self, value: object, reading: Reading) -> object:
        if isinstance(value, SourceText):
            if not is_template(value):
                return value
            return self._final(reading.text(value), value.location)
        if isinstance(value, Mapping):
            pairs = ((self._deep(key, reading), self._deep(item, reading)) for key, item in value.items())
            rendered = {key: item for key, item in pairs if item is not OMIT}
            return located(rendered, value) if isinstance(value, SourceMap) else rendered
        if isinstance(value, list | tuple):
            return [item for item in (self._deep(each, reading) for each in value) if item is not OMIT]
        return value

    def _final(self, result: object, location: Location) -> object:
        """Turn a result into a plain value, or say why it is none."""
        try:
            return checked_value(plain(result))
        except InputError as error:
            raise _at(error, location) from error
        except TypeError as error:
            raise InputError(f"the template does not give a value but {error}", location=location) from error

    def _guard(
        self,
        work: Callable[[], object],
        reading: Reading,
        location: Location,
        template: tuple[PlaybookTemplate, int] | None = None,
    ) -> object:
        """Do what may fail for the user's fault, in whatever way, and say so at its place."""
        try:
            return work()
        except (UndefinedVariable, InputError) as error:
            place = line_of(error, template) or location
            if isinstance(error, UndefinedVariable):
                raise error.placed(place, reading.scope) from error
            raise _at(error, place) from error
        except RecursionError:
            raise
        except _faults() as error:
            place = line_of(error, template) or location
            raise InputError(f"cannot render the template: {error}", location=place) from error


def _filled(text: SourceText, reading: Reading) -> str | None:
    """Give what Jinja would, whose import takes a fifth of a small run: of a line that only names variables with text.

    None: it is something else, or something is wrong, which Jinja finds as well.
    """
    pieces = _pieces(str(text))
    try:
        values = [reading.variable(each) if number % 2 else each for number, each in enumerate(pieces)]
    except (KeyError, InputError):
        return None
    texts = [each for each in values if type(each) is str]
    return "".join(texts) if texts and len(texts) == len(values) else None


@cache
def _pieces(text: str) -> list[str]:
    """Split a line into what is written and, every second one, a variable's name; nothing if there is more to it."""
    pieces = _NAMED.split(text)
    written, names = "".join(pieces[::2]), pieces[1::2]
    return [] if re.search(r"[{}\r\n]", written) or not _NO_NAMES.isdisjoint(names) else pieces


@cache
def _faults() -> tuple[type[Exception], ...]:
    """All that a wrong template can raise: it may do to any value what Python can."""
    from jinja2 import TemplateError

    of_python = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError, re.error)
    return (TemplateError, *of_python)


def _at(error: InputError, location: Location) -> InputError:
    if error.location is None:
        error.location = location
    return error
