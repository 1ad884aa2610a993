"""The options of the main jobs; each is an option of ``moa train``, ``moa ablate`` or ``moa predict``."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from moa.importing.options import ImportOptions, Level
from moa.options import Flag, Options

if TYPE_CHECKING:
    from moa.learners.runtime import Runtime
    from moa.training.executors import UnitExecutor
    from moa.weights.selection import Selection

#: Headings of groups of options in the help.
CNN = "CNN training (no other model takes these)"
LABORATORY = "With --features FILE of a laboratory (GCT, GCTX, profiles, AnnData)"


def _seeds(value: Any) -> Any:
    from moa.weights.selection import parse_seeds

    return value if value is None else parse_seeds(value)


def _settings(value: Any) -> Any:
    from moa.models.settings import parse_settings

    return parse_settings(value) if isinstance(value, list | tuple) else value


def _groups(value: Any) -> Any:
    return (tuple(value.split(",")) if value else None) if isinstance(value, str) else value


def _parts(value: Any) -> Any:
    value = int(value) if isinstance(value, str) and value.isdecimal() else value
    if value in (None, "each") or (isinstance(value, int) and value >= 2):
        return value
    raise ValueError("expected a number of at least 2, or each")


class DeviceOptions(Options):
    """On which device of this machine work runs."""

    device: str = Field("auto", description="auto, cpu or cuda.")

    @cached_property
    def runtime(self) -> Runtime:
        """Device, precision and more of this process, checked.

        Raises:
            UserError: a value is not valid, or does not fit the devices of this machine.
        """
        from moa.learners.runtime import Runtime, device_here

        own = [name for name in Runtime.model_fields if name != "device" and name in type(self).model_fields]
        device = device_here(self.device, getattr(self, "on", None))
        return Runtime.of(device, **{name: getattr(self, name) for name in own})


class MachineOptions(Options):
    """On which machines work runs."""

    on: str | None = Field(
        None,
        description="Where to run: local or local:8 (worker processes of this machine), the address of a Dask "
        "scheduler (tcp://HOST:8786), or a YAML file that describes a cluster.  [default: this process and its "
        "threads]",
    )


class RunOptions(DeviceOptions, MachineOptions):
    """Where work runs."""

    def executor(self) -> AbstractContextManager[UnitExecutor]:
        """What runs units, for the length of a block."""
        from moa.training.machines import open_executor

        return open_executor(self.on, self.device)


class UnitOptions(RunOptions):
    """Which units of a model are trained, and where."""

    seeds: Annotated[Annotated[int, Field(ge=1)] | tuple[int, ...] | None, BeforeValidator(_seeds), Flag(typed=str)] = (
        Field(None, description="Train only the first N seeds, or only those listed: 3,4 (one alone: 3,).")
    )
    folds: int | None = Field(None, ge=1, description="Train only the first N folds.")

    @property
    def selection(self) -> Selection:
        """The units."""
        from moa.weights.selection import Selection

        return Selection(self.seeds, self.folds)


class TrainOptions(UnitOptions):
    """What is trained, and how."""

    settings: Annotated[
        dict[str, Any], BeforeValidator(_settings), Flag("--set", typed=list[str], shows_default=False)
    ] = Field(
        {},
        description="Change a setting: learner.hidden=1024, or seeds=[0,1]; can be repeated. It is written into the "
        "manifest, and predictions use it.",
    )
    fold: int | None = Field(None, ge=0, description="Train only this fold, for array jobs.")
    stage: str | None = Field(None, description="Train only this stage.")
    units: Annotated[tuple[str, ...], Flag("--unit")] = Field(
        (), description="Only these units: STAGE:seed=3:fold=1, or fewer parts for more units; can be repeated."
    )
    groups: Annotated[tuple[str, ...] | None, BeforeValidator(_groups), Flag(typed=str)] = Field(
        None,
        description="Train on these feature groups alone, such as genes, for plates that lack the others.  "
        "[default: all]",
    )
    hold_out: str | None = Field(
        None,
        description="What folds hold out: compound; columns, such as compound,week; or rows, each model's own folds.  "
        "[default: rows for the competition, else compound]",
    )
    parts: Annotated[int | Literal["each"] | None, BeforeValidator(_parts), Flag(typed=str)] = Field(
        None,
        description="With --hold-out: the number of parts that compounds are spread over, anew for each seed; or "
        "each.  [default: as the model]",
    )
    devices: Annotated[str | int | None, Flag(panel=CNN, typed=str)] = Field(
        None,
        description="Train each fold on several devices: their number (2), numbers of GPUs (0,1), or auto for all; "
        "with --device cpu, processes. The batch size is that of each device, so the total grows.  [default: 1]",
    )
    strategy: Annotated[str | None, Flag(panel=CNN)] = Field(
        None, description="Lightning strategy for several devices: ddp or auto.  [default: auto]"
    )
    precision: Annotated[str | None, Flag(panel=CNN)] = Field(
        None,
        description="32-true, 16-mixed, bf16-mixed, or auto: on a GPU bf16 if supported, else 16; on the CPU 32.  "
        "[default: auto]",
    )
    compile: Annotated[bool | None, Flag("--compile", panel=CNN)] = Field(
        None, description="torch.compile the network; takes minutes at first."
    )
    channels_last: Annotated[bool | None, Flag("--channels-last", panel=CNN)] = Field(
        None, description="Use channels-last memory; may be faster on a GPU."
    )
    tensorboard: Annotated[Path | None, Flag(panel=CNN)] = Field(
        None, description="Folder for TensorBoard logs; one subfolder per model, seed and fold."
    )

    @property
    def selection(self) -> Selection:
        """The units.

        Raises:
            UserError: a unit cannot be read, or options contradict each other.
        """
        from moa.weights.selection import Selection

        return Selection.of(self.seeds, self.folds, self.fold, self.stage, self.units)


class PlateOptions(RunOptions):
    """How new plates are predicted."""

    top: int = Field(10, ge=1, description="With --features: number of mechanisms to rank per sample.")
    rows_at_a_time: int = Field(  # few enough that a file of one plate's thousands of rows keeps several cores busy
        2048, ge=1, description="With --features: rows in each part; smaller parts need less memory."
    )
    mapping: Annotated[Path | None, Flag(panel=LABORATORY)] = Field(
        None,
        description="A mapping.yaml, or settings alone, as for `moa data import`.  [default: that of the weights]",
    )
    fill_missing: Annotated[float | None, Flag(panel=LABORATORY)] = Field(
        None,
        description="Value of features that the file lacks, such as 0.  [default: such files are refused]",
    )
    wells: Annotated[tuple[Path, ...], Flag(panel=LABORATORY)] = Field(
        (), description="Plate map to join, as by `moa data import`; can be repeated."
    )
    level: Annotated[Level | None, Flag(panel=LABORATORY)] = Field(
        None,
        description="What the file holds, as for `moa data import`.  [default: recognised by its values]",
    )
    format: Literal["csv", "parquet", "gct", "obs"] | None = Field(
        None,
        description="With --features: csv or parquet; gct: csv, and GCT 1.3 for Morpheus; obs: csv, and columns for "
        "AnnData.  [default: csv or parquet, as the features file]",
    )
    raw: Annotated[bool, Flag("--raw")] = Field(
        False,
        description="Probabilities as the model gives them; outside of the competition they are calibrated otherwise.",
    )
    precision: str | None = Field(
        None,
        description="bf16-mixed: perceptrons and CNNs predict faster, with two or three correct digits, where the "
        "processor has AVX512-BF16, AMX or Arm's BF16; elsewhere float32 is used.  [default: as trained]",
    )

    @property
    def of_laboratory(self) -> bool:
        """Whether an option is given that applies to a laboratory's own files alone."""
        return self.fill_missing is not None or bool(self.importing.model_fields_set)

    @property
    def importing(self) -> ImportOptions:
        """How a laboratory's own file is read."""
        given = {"wells": self.wells, "level": self.level, "mapping": self.mapping}
        return ImportOptions(**{name: value for name, value in given.items() if value})
