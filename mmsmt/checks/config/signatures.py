"""Which arguments a registered class takes, those it passes on to its bases included."""

import ast
import inspect
import textwrap
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from torch import nn


@dataclass
class _Keywords:
    """What a constructor does with its `**kwargs`.

    Args:
        forwarded: They reach the next constructor of the inheritance.
        opaque: They go anywhere else, so that any name may be right.
        names: Names that the constructor itself takes out of them.
        given: Keywords that the constructor passes on by itself.
        positions: Number of positional arguments that it passes on by itself.
        after: The class after which the next constructor is looked for, where it is named.
    """

    forwarded: bool = False
    opaque: bool = False
    names: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    positions: int = 0
    after: str = ''


class Accepted(NamedTuple):
    """Names that may stand beside `type` in a config.

    Args:
        names: Those that are known.
        more: Others may be right too, because keywords are handed to something else than the
            constructor of a base class.
    """

    names: frozenset[str]
    more: bool


@cache
def accepted_arguments(target: Any) -> Accepted:
    """Which arguments a class or function of a registry takes."""
    if inspect.isclass(target):
        names, more = _of_constructors(target.__mro__)
    else:
        names, rest = _parameters(target)
        more = bool(rest)
    return Accepted(frozenset(names), more)


def _parameters(function: Any) -> tuple[list[str], str]:
    """Names that can be given, and that of the `**` argument, empty where there is none."""
    parameters = inspect.signature(function).parameters.values()
    rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), '')
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p.name for p in parameters if p.kind not in kinds], rest


def _of_constructors(classes: tuple[type, ...]) -> tuple[list[str], bool]:
    """Names in order, from the first class that has a constructor of its own on."""
    while classes and '__init__' not in vars(classes[0]):
        classes = classes[1:]
    if not classes or classes[0] in (object, nn.Module):
        return [], False
    init = inspect.unwrap(vars(classes[0])['__init__'])
    try:
        names, rest = _parameters(init)
    except ValueError:  # written in C
        return [], True
    names = names[1:]  # self
    if not rest:
        return names, False
    keywords = _follow(init, rest)
    more = keywords.opaque
    if keywords.forwarded:
        named = [i for i, c in enumerate(classes) if c.__name__ == keywords.after]
        inherited, below = _of_constructors(classes[(named or [0])[0] + 1 :])
        names += [n for n in inherited[keywords.positions :] if n not in keywords.given]
        more |= below
    return list(dict.fromkeys([*names, *keywords.names])), more


def _follow(init: Any, name: str) -> _Keywords:
    """Read in the source where `**name` goes; anywhere, where there is none."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return _Keywords(opaque=True)
    found, seen = _Keywords(), set()
    for node in ast.walk(tree):
        use = _use(node, name)
        if use is None:
            continue
        seen.add(id(use))
        if isinstance(node, ast.Call) and _is_next_constructor(node.func):
            found.forwarded = True
            found.after = next((a.id for a in node.func.value.args[:1]), '')  # type: ignore[attr-defined]
            found.given |= {k.arg for k in node.keywords if k.arg}
            found.positions = sum(not isinstance(a, ast.Starred) for a in node.args)
        else:
            found.names.add(_constant(node))
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
    # Keywords that nobody looks at are accepted too.
    found.opaque = not uses or any(id(use) not in seen for use in uses)
    return found


def _use(node: ast.AST, name: str) -> ast.Name | None:
    """The mention of `name` that a node explains: passed on to a base, or one entry of it."""

    def is_name(value: ast.AST | None) -> bool:
        return isinstance(value, ast.Name) and value.id == name

    inner: Any = None
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and is_name(node.func.value):
            methods = ('pop', 'get', 'setdefault')
            inner = node.func.value if node.func.attr in methods and _constant(node) else None
        elif _is_next_constructor(node.func):
            inner = next((k.value for k in node.keywords if k.arg is None and is_name(k.value)), 0)
    elif isinstance(node, ast.Subscript) and is_name(node.value) and _constant(node):
        inner = node.value
    elif isinstance(node, ast.Compare) and is_name(node.comparators[0]) and _constant(node):
        inner = node.comparators[0]
    return inner or None


def _constant(node: ast.AST) -> str:
    """`x` of `kwargs.pop('x')`, `kwargs['x']` and `'x' in kwargs`, else nothing."""
    part: Any = None
    if isinstance(node, ast.Call):
        part = node.args[0] if node.args else None
    elif isinstance(node, ast.Subscript):
        part = node.slice
    elif isinstance(node, ast.Compare):
        part = node.left
    value = getattr(part, 'value', None)
    return value if isinstance(part, ast.Constant) and isinstance(value, str) else ''


def _is_next_constructor(function: ast.AST) -> bool:
    """Whether it is `super().__init__` or `super(Class, self).__init__`."""
    return (
        isinstance(function, ast.Attribute)
        and function.attr == '__init__'
        and isinstance(function.value, ast.Call)
        and isinstance(function.value.func, ast.Name)
        and function.value.func.id == 'super'
    )
