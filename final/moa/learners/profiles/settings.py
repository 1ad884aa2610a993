"""Settings of the profile learners."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class ProfileSettings(BaseModel):
    """Which members predict from treatments' profiles, and which of their settings are compared.

    Attributes:
        members: what predicts; of two the evidence is blended.
        shrinkages: λ of the sphering.
        penalties: C of the regression.
        neighbours: numbers of neighbours; None: all treatments vote.
        temperatures: of the neighbours' votes, exp(cosine / temperature).
        weights: of the first member in the blend.
        inner_folds: parts of the compounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    members: tuple[Literal["regression", "neighbours"], ...] = Field(("regression", "neighbours"), min_length=1)
    shrinkages: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field((1.0, 0.3, 0.03), min_length=1)
    penalties: tuple[Positive, ...] = Field((3.0, 30.0, 300.0), min_length=1)
    neighbours: tuple[Annotated[int, Field(ge=1)] | None, ...] = Field((1, 5, 15, None), min_length=1)
    temperatures: tuple[Positive, ...] = Field((0.02, 0.05, 0.1, 0.2), min_length=1)
    weights: tuple[Share, ...] = Field((0.0, 0.25, 0.5, 0.75, 1.0), min_length=1)
    inner_folds: int = Field(5, ge=2)
