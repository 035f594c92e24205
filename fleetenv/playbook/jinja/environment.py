"""The Jinja environment: what compiles a text, and how the result reads variables."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, cast

from jinja2 import nodes, pass_context
from jinja2.environment import Template, TemplateModule
from jinja2.lexer import TokenStream
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.parser import Parser
from jinja2.runtime import Context, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from fleetenv.errors import InputError, nearest
from fleetenv.playbook.jinja import filters, lookups, tests
from fleetenv.playbook.jinja.undefined import Undefined
from fleetenv.playbook.reading import Missing, Reading, plain

_WRITTEN = frozenset({str, int, float, bool})  # in a text they are what they are when printed


class Names(ChainMap[str, Any]):
    """What names mean in a template: its own assignments, then the variables, then Jinja's globals."""

    def __init__(self, reading: Reading | None, *maps: MutableMapping[str, Any]) -> None:
        super().__init__(*maps)
        self.reading = reading

    def __missing__(self, key: str) -> Any:
        if self.reading is None:
            raise KeyError(key)
        return self.reading.variable(key)


class TemplateContext(Context):
    """Jinja's context, which reads variables only when they are named."""

    parent: Names  # type: ignore[assignment]  # Jinja only looks names up in it

    def resolve_or_missing(self, key: str) -> Any:
        """Read a name: an assignment of the template, a variable, a global."""
        if key in self.vars:
            return self.vars[key]
        try:
            return self.parent[key]
        except KeyError:
            return self.environment.globals.get(key, missing)

    def get_all(self) -> Names:  # type: ignore[override]  # a dict would read every variable
        """Return all names for an included template, unread."""
        return Names(self.parent.reading, self.vars, *self.parent.maps)


class PlaybookTemplate(Template):
    """A compiled text."""

    def new_context(
        self,
        vars: Mapping[str, Any] | None = None,  # noqa: A002
        shared: bool = False,
        locals: Mapping[str, Any] | None = None,  # noqa: A002
    ) -> Context:
        """Make a context without copying any variables."""
        outer = vars if isinstance(vars, Names) else Names(None, dict(vars or {}))
        own = {key: value for key, value in (locals or {}).items() if value is not missing}
        names = Names(outer.reading, own, *outer.maps)
        return TemplateContext(self.environment, cast(dict[str, Any], names), self.name, self.blocks)

    def result(self, reading: Reading) -> object:
        """Render it to whatever it gives: one expression's own value, or text."""
        context = TemplateContext(self.environment, cast(dict[str, Any], Names(reading)), self.name, self.blocks)
        return self.environment.concat(self.root_render_func(context))


class _CodeGenerator(NativeCodeGenerator):
    def _output_child_to_const(self, node: nodes.Expr, frame: Any, finalize: Any) -> Any:
        if not isinstance(node, nodes.TemplateData | nodes.Const):
            raise nodes.Impossible  # a filter or test may look at the clock or a file: each time anew
        return super()._output_child_to_const(node, frame, finalize)

    def _output_const_repr(self, group: Iterable[Any]) -> str:
        constants = [each for each in group if each is not None]
        if len(constants) == 1:
            return repr(constants[0])  # a lone constant keeps its type
        return repr("".join(map(str, constants)) if constants else None)


class PlaybookEnvironment(SandboxedEnvironment):
    """Jinja with Ansible's behaviour.

    Args:
        escape: take backslashes in the strings of `{{ }}` as they are (values in YAML), rather than as escapes
            (conditions and template files), as Ansible does.
        options: what a template file's `#jinja2:` line says.
    """

    template_class = PlaybookTemplate
    context_class = TemplateContext
    code_generator_class = _CodeGenerator

    def __init__(self, *, escape: bool, **options: Any) -> None:
        super().__init__(
            undefined=Undefined,
            autoescape=False,
            finalize=None if escape else _used,
            optimized=False,  # compiled once, evaluated many times: nothing may be worked out when compiling
            extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"],
            **{"trim_blocks": True, **options},
        )
        self._escape = escape
        self.filters = _table(self.filters, filters.FILTERS, filters.ACCEPT_UNDEFINED, filters.FLEETING)
        self.tests = _table(self.tests, tests.TESTS, tests.ACCEPT_UNDEFINED, tests.FLEETING)
        self.globals.pop("lipsum", None)
        self.globals.update(lookups.GLOBALS)

    concat = staticmethod(lambda parts: _concat(parts))  # type: ignore[assignment]  # any value, not only text

    def expression(self, source: str) -> PlaybookTemplate:
        """Compile a bare expression, as in `when:`."""
        parser = Parser(self, source, state="variable")
        parsed = parser.parse_expression()
        if not parser.stream.eos:
            parser.fail(f"unexpected '{parser.stream.current.value}'")
        body = nodes.Template([nodes.Output([parsed], lineno=1)], lineno=1)
        body.set_environment(self)
        self._check(body)
        return cast(PlaybookTemplate, self.from_string(body))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        self._check(parsed)
        return parsed

    def _check(self, parsed: nodes.Template) -> None:
        """Refuse what is not there before anything runs."""
        for node in parsed.find_all((nodes.Filter, nodes.Test)):
            name = cast(str, getattr(node, "name", ""))
            table, word = (self.filters, "filter") if isinstance(node, nodes.Filter) else (self.tests, "test")
            if name not in table:
                refused = filters.REFUSED.get(name.rpartition(".")[2]) if word == "filter" else None
                if refused:
                    raise InputError(f"the filter '{name}' is not supported", hint=refused)
                raise InputError(f"there is no {word} '{name}'", hint=nearest(name, table))
        for call in parsed.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in {"lookup", "query", "q"} and call.args:
                first = call.args[0]
                if isinstance(first, nodes.Const) and isinstance(first.value, str):
                    lookups.find(first.value)

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        tokens = self.lexer.tokeniter(source, name, filename, state)
        return TokenStream(
            self.lexer.wrap(_literal(tokens) if self._escape else tokens, name, filename), name, filename
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read `obj.attribute`: an attribute that templates may read, else an item."""
        try:
            value = getattr(obj, attribute)
        except AttributeError:
            pass
        else:
            formatting = self.wrap_str_format(value)
            if formatting is not None:
                return formatting
            if self.is_safe_attribute(obj, attribute, value):
                return value
        try:
            return obj[attribute]
        except (TypeError, LookupError):
            return self.undefined(obj=obj, name=attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Keep what views are made of to ourselves; keys of these names stay readable."""
        return attr not in {"raw", "reading", "cause", "raise_it"} and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or method; it gets values without views, except a macro."""
        if isinstance(obj, Macro):
            return super().call(context, obj, *args, **kwargs)
        undefined = _first_undefined(args, kwargs)
        if undefined is not None:
            return undefined
        return super().call(
            context, obj, *_plain_all(args), **{key: plain(each, strict=False) for key, each in kwargs.items()}
        )


def _used(value: Any) -> Any:
    """Let what is undefined raise where it is written, so that the error knows the line."""
    if isinstance(value, Missing):
        value.raise_it()
    return value


def _literal(tokens: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """Take backslashes literally in strings inside `{{ }}`."""
    inside = False
    for line, kind, text in tokens:
        if kind in {"variable_begin", "variable_end"}:
            inside = kind == "variable_begin"
        yield line, kind, text.replace("\\", "\\\\") if inside and kind == "string" else text


def _concat(parts: Iterable[Any]) -> object:
    """One value stays what it is; several become text, in which None is nothing."""
    parts = list(parts)
    kinds = set(map(type, parts))
    if len(parts) > 1 and kinds <= _WRITTEN:
        return "".join(map(str, parts))
    if TemplateModule in kinds:
        parts = [*_flat(parts)]
    values = [each for each in parts if each is not None]
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    return "".join([each if type(each) is str else _text(each) for each in values])


def _flat(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, TemplateModule):
            yield from _flat(part._body_stream)
        else:
            yield part


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(plain(value))


def _first_undefined(args: Iterable[Any], kwargs: Mapping[str, Any]) -> Undefined | None:
    for each in (*args, *kwargs.values()):
        if isinstance(each, Undefined):
            return each
    return None


def _undefined_within(value: object) -> Undefined | None:
    """Find what is undefined inside a value."""
    if isinstance(value, Undefined):
        return value
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return next((found for each in inner if (found := _undefined_within(each)) is not None), None)


def _plain_all(args: Iterable[Any]) -> list[Any]:
    return [plain(each, strict=False) for each in args]


def _table(
    of_jinja: Mapping[str, Any],
    ours: Mapping[str, Callable[..., Any]],
    accept_undefined: frozenset[str],
    fleeting: frozenset[str],
) -> dict[str, Any]:
    """Wrap filters or tests so that they get plain values, and pass on what is undefined."""
    table: dict[str, Callable[..., Any]] = {}
    for name, function in {**of_jinja, **ours}.items():
        wrapped = _wrapped(function, accept=name in accept_undefined)
        if name in fleeting:
            wrapped = _noting(wrapped)
        for prefix in ("", "ansible.builtin.", "ansible.legacy."):
            table[prefix + name] = wrapped
    return table


def _noting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a filter or test, which gets no context, note that what it gives may soon be otherwise."""

    @pass_context
    def noting(context: TemplateContext, *args: Any, **kwargs: Any) -> Any:
        if context.parent.reading is not None:
            context.parent.reading.renderer.fleeting += 1
        return function(*args, **kwargs)

    return noting


def _wrapped(function: Callable[..., Any], *, accept: bool) -> Callable[..., Any]:
    passed = getattr(function, "jinja_pass_arg", None)
    first = 1 if passed is not None else 0

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not accept:
            undefined = _first_undefined(args[first:], kwargs)
            if undefined is not None:
                return undefined
        values = _plain_all(args[first:])
        options = {key: plain(each, strict=False) for key, each in kwargs.items()}
        try:
            result = function(*args[:first], *values, **options)
            return list(result) if isinstance(result, Iterator) else result
        except Exception:
            hidden = _undefined_within([*values, *options.values()])
            if hidden is None:
                raise
            hidden.raise_it()  # what is undefined is the fault, not what the filter made of it

    if passed is not None:
        wrapper.jinja_pass_arg = passed  # type: ignore[attr-defined]  # how Jinja marks a function
    return wrapper
