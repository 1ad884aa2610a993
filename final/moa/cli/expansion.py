"""Options of a command from the fields of its option objects."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from types import GenericAlias, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic.fields import FieldInfo

from moa.options import Options, flag

Parameter = inspect.Parameter
#: The parameter in which typer hands over what was typed.
_CONTEXT = "typed_context"


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the fields of its option objects as parameters, which typer takes for options.

    A parameter whose type is an ``Options`` or a dataclass gives way to its fields, and the command receives the
    object that is made of their values. Fields of an ``Options`` bring their default, help and limits; those of a
    dataclass are annotated as typer has it. An option that was not typed is unset in its ``Options``, unlike one that
    was typed with its default value.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[Parameter] = []
    made: dict[str, tuple[type, list[str]]] = {}
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        own = list(_parameters(kind)) if isinstance(kind, type) else []
        if own:
            made[parameter.name] = kind, [each.name for each in own]
        parameters += own or [parameter.replace(annotation=kind, kind=Parameter.KEYWORD_ONLY)]
    parameters.sort(key=lambda each: each.default is not Parameter.empty)
    # Typer fills one parameter of this type alone, so that a command's own serves here too.
    own_context = next((name for name, kind in hints.items() if kind is typer.Context), None)
    if own_context is None:
        parameters.append(Parameter(_CONTEXT, Parameter.KEYWORD_ONLY, annotation=typer.Context))

    @wraps(command)
    def run(**values: Any) -> None:
        context = values[own_context] if own_context else values.pop(_CONTEXT)
        for name, (kind, names) in made.items():
            stated = {each: values.pop(each) for each in names}
            if issubclass(kind, Options):
                stated = {each: value for each, value in stated.items() if _is_stated(context, each)}
            values[name] = kind(**{each: value for each, value in stated.items() if value is not None})
        command(**values)

    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions may have one
    return run


def _is_stated(context: typer.Context, name: str) -> bool:
    """Whether an option was typed, or given by a variable of the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _parameters(kind: type) -> Iterator[Parameter]:
    """The parameters that stand for an option object; none for any other type."""
    if is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        for each in fields(kind):
            yield Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
    elif issubclass(kind, Options):
        for name, field in kind.model_fields.items():
            if not flag(field).hidden:
                yield _option(name, field)


def _option(name: str, field: FieldInfo) -> Parameter:
    shown = flag(field)
    limits = {name: getattr(each, name) for each in field.metadata for name in ("ge", "le") if hasattr(each, name)}
    option = typer.Option(
        *([shown.name] if shown.name else []),
        help=field.description,
        metavar=shown.metavar,
        min=limits.get("ge"),
        max=limits.get("le"),
        rich_help_panel=shown.panel,
        show_default=shown.shows_default,
    )
    default = Parameter.empty if field.is_required() else field.get_default()
    typed = shown.typed or _typed(field.annotation)
    default = list(default) or None if isinstance(default, tuple) else default or None if shown.typed else default
    typed = typed | None if default is None else typed
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[typed, option])


def _typed(kind: Any) -> Any:
    """The type that typer reads for a field: one word, or a list of them; choices are checked by the field."""
    if get_origin(kind) in (Union, UnionType):
        (kind,) = [part for part in get_args(kind) if part is not type(None)]
    if get_origin(kind) is tuple:
        return GenericAlias(list, (_typed(get_args(kind)[0]),))
    return str if get_origin(kind) is Literal else kind
