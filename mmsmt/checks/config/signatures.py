"""Argument names of registered classes, including those passed on to base classes."""

import inspect
import re
from functools import cache
from typing import Any

from torch import nn


@cache
def accepted_arguments(target: Any) -> tuple[frozenset[str], bool]:
    """Return the argument names of a registered class or function.

    Returns:
        The known names, and whether other names may be valid because `**kwargs` are passed
        elsewhere.
    """
    if not inspect.isclass(target):
        names, rest = _parameters(target)
        return frozenset(names), bool(rest)
    found: set[str] = set()
    more = False
    for cls in target.__mro__:
        if cls in (object, nn.Module):
            break
        if '__init__' not in vars(cls):
            continue
        init = inspect.unwrap(vars(cls)['__init__'])
        try:
            names, rest = _parameters(init)
        except ValueError:  # written in C
            return frozenset(found), True
        found.update(names[1:])  # without self
        more = bool(rest) and _follow(init, rest, cls.__name__, found)
        if more or not rest:
            break
    return frozenset(found), more


def _parameters(function: Any) -> tuple[list[str], str]:
    """Return the names of the arguments, and of the `**` argument, empty if there is none."""
    parameters = inspect.signature(function).parameters.values()
    rest = next((p.name for p in parameters if p.kind is p.VAR_KEYWORD), '')
    return [p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)], rest


def _follow(init: Any, rest: str, cls: str, found: set[str]) -> bool:
    """Add the names that `init` takes out of `**rest`; return whether the rest goes elsewhere."""
    try:
        source = re.sub(
            rf'\*\*{rest}\b', '', inspect.getsource(init), count=1
        )  # remove the signature's
    except (OSError, TypeError):
        return True
    taken = rf'\b{rest}(?:\.(?:pop|get|setdefault)\(\s*|\[)[\'"](\w+)[\'"]'
    found.update(re.findall(taken, source))
    source = re.sub(rf'{taken}|[\'"]\w+[\'"] (?:not )?in {rest}\b', '', source)
    base = rf'super\((?:{cls}, self)?\)\.__init__\((?:[^()]|\([^()]*\))*\*\*{rest}\b'
    source, forwarded = re.subn(base, '', source)
    return not forwarded or bool(re.search(rf'\b{rest}\b', source))
