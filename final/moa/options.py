"""Options of a job as one checked object: the one place of their defaults, explanations and checks.

The command line makes its options of the fields (``moa.cli.expansion``), and messages name a field as it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from moa.errors import UserError
from moa.words import shown


@dataclass(frozen=True)
class Flag:
    """How the command line shows a field, where its name and type do not say it; stands in the field's ``Annotated``.

    Attributes:
        name: of the option, such as "--format"; None: the field's. For a bool it leaves the form ``--no-...`` out.
        panel: heading of the group of options in the help.
        metavar: what stands for the value in the help.
        typed: type of the value as it is typed; None: the field's.
        hidden: the command line has no such option.
        shows_default: print the default in the help.
    """

    name: str | None = None
    panel: str | None = None
    metavar: str | None = None
    typed: Any = None
    hidden: bool = False
    shows_default: bool = True


def flag(field: FieldInfo) -> Flag:
    """How the command line shows a field."""
    return next((each for each in field.metadata if isinstance(each, Flag)), Flag())


def option_name(name: str, field: FieldInfo) -> str:
    """The name of a field on the command line, such as "--level"; the field's own where the command line has none."""
    shown = flag(field)
    return name if shown.hidden else shown.name or f"--{name.replace('_', '-')}"


class Options(BaseModel):
    """Base of all options.

    Raises:
        UserError: a value cannot be used; one line names the option and says what is expected.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: Any, handler: ModelWrapValidatorHandler[Options]) -> Options:
        try:
            return handler(values)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if name not in cls.model_fields:
            raise UserError(f"{cls.__name__} has no {name}; it has {', '.join(cls.model_fields)}")
        raise UserError(f"{option_name(name, cls.model_fields[name])} {_typed(problem['input'])}: {_expected(problem)}")


def _expected(problem: ErrorDetails) -> str:
    """What is expected in place of a value that was refused."""
    context = problem.get("ctx", {})
    if problem["type"] == "literal_error":
        return f"expected one of {context['expected'].replace(' or ', ', ')}".replace("'", "")
    if "ge" in context or "le" in context:
        return f"expected at least {context['ge']}" if "ge" in context else f"expected at most {context['le']}"
    return problem["msg"].removeprefix("Value error, ")


def _typed(value: Any) -> str:
    """A value as it is typed on the command line."""
    listed = isinstance(value, Iterable) and not isinstance(value, str)
    return shown(",".join(map(str, value)) if listed else value, 100)
