"""How units are run: device, precision, logs. None of it is a hyper-parameter.

So none of it is written to a manifest, and a unit that was begun under one runtime may be continued under another.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from moa.errors import UserError
from moa.progress import console

if TYPE_CHECKING:
    import torch
    from torch import nn


def _devices(value: Any) -> Any:
    """Parse the command line's "2", "0,1" and "auto" into a number, GPU numbers and a word."""
    if isinstance(value, str) and value != "auto":
        numbers = [int(part) for part in value.split(",")]
        value = numbers if "," in value else numbers[0]
    if isinstance(value, (list, tuple)):
        if len(set(value)) != len(value) or min(value, default=-1) < 0:
            raise ValueError("give each device once, counted from 0")
        return tuple(value)
    return value


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes the GPU where there is one.

    Raises:
        UserError: "cuda" was asked for and there is none, the name is unknown, or the installed torch has no
            instructions for the GPU. Such a GPU is not passed over: on the processor it would take days.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise UserError(f"--device {name}: unknown; choose auto, cpu or cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"--device {name}: no CUDA device is visible; use --device cpu")
    device = torch.device(name)
    if device.type == "cuda":
        _check_capability(device)
    return device


def _check_capability(device: torch.device) -> None:
    """Torch finds GPUs that it cannot use, and fails at the first operation: Kaggle's P100, for one."""
    import torch

    known = [int(number) for name in torch.cuda.get_arch_list() for number in re.findall(r"sm_(\d+)", name)]
    if not known:
        return
    major, minor = torch.cuda.get_device_capability(device)
    if 10 * major + minor < min(known):
        least = f"{min(known) // 10}.{min(known) % 10}"
        raise UserError(
            f"{torch.cuda.get_device_name(device)}: its compute capability is {major}.{minor}, and the installed torch "
            f"needs {least} or more; choose another GPU (on Kaggle: GPU T4 x2), or --device cpu"
        )


#: Values of ``Runtime.precision``.
PRECISIONS = ("auto", "32-true", "16-mixed", "bf16-mixed")
#: On the command line: bf16-mixed, whether or not the processor has instructions for it.
INSISTING = "bf16-emulated"
#: Linux's description of the processor.
_CPUINFO = Path("/proc/cpuinfo")


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 in hardware: AVX512-BF16 or AMX, or Arm's BF16.

    Without these instructions the products are imitated in float32, and take several times as long.
    """
    import torch

    if hasattr(torch.cpu, "get_capabilities"):
        known = {name for name, there in torch.cpu.get_capabilities().items() if there}
    else:  # an older torch; other systems than Linux count as without
        known = set(_CPUINFO.read_text(encoding="utf-8").split()) if _CPUINFO.exists() else set()
    return not known.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})


def device_here(device: str, on: str | None) -> str:
    """This machine's device for the option ``--device``; with ``--on`` it is about the cluster, which has its own."""
    return device if on is None or device == "cpu" else "auto"


class Runtime(BaseModel):
    """How units are trained and predicted.

    Attributes:
        device: "cpu", "cuda" or "cuda:N".
        precision: "auto" trains and predicts in float32 on a CPU; CNNs on a GPU use bf16-mixed where the GPU supports
            it, else 16-mixed. "bf16-mixed" also makes perceptrons predict with rounded factors.
        devices: CNN training: how many devices, or which GPUs by number, or "auto" for all; 1 is ``device``. On the
            CPU, a number of processes. The batch size is that of each device.
        strategy: CNN training on several devices: "ddp", which "auto" chooses, starts the program again for each
            further device. Lightning's other strategies split the network or end in another process, and are not
            supported.
        channels_last: CNNs: keep images and weights with the channels innermost; may pay on tensor cores.
        compile: CNN training: ``torch.compile`` the network; costs minutes at the start.
        tensorboard: CNN training: folder for TensorBoard logs, or True for the unit's scratch folder, which is removed
            when the unit is finished.
        predict_batch: CNNs: rows per batch where nothing is learned.
        pretrained: CNN training: folder of ImageNet weights; None: the folder that MOA_PRETRAINED names.
        scratch: folder of the unit for its checkpoints; None: the unit writes none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = "cpu"
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    devices: Annotated[Literal["auto"] | Annotated[int, Field(ge=1)] | tuple[int, ...], BeforeValidator(_devices)] = 1
    strategy: Literal["auto", "ddp"] = "auto"
    channels_last: bool = False
    compile: bool = False
    tensorboard: Path | bool = False
    predict_batch: Annotated[int, Field(ge=1)] = 128
    pretrained: Path | None = None
    scratch: Path | None = None

    @classmethod
    def of(cls, device: str = "auto", **options: Any) -> Runtime:
        """A checked runtime from the options of a command line; options that are None keep their default.

        bf16-mixed becomes float32 on a processor without the instructions, which would be slower, and this is said;
        "bf16-emulated" insists.

        Raises:
            UserError: a value is not valid, or does not fit the devices of this machine.
        """
        options = {name: value for name, value in options.items() if value is not None}
        values = {"device": str(pick_device(device)), **options}
        if values.get("precision") == INSISTING:
            values["precision"] = "bf16-mixed"
        elif values.get("precision") == "bf16-mixed" and values["device"] == "cpu" and not multiplies_bfloat16():
            values["precision"] = "32-true"
            console.print(
                "--precision bf16-mixed: this processor has no bfloat16 instructions (AVX512-BF16, AMX or Arm's BF16), "
                f"so float32 is used, which is faster here; {INSISTING} forces it",
                style="yellow",
                highlight=False,
                soft_wrap=True,
            )
        try:
            runtime = cls.model_validate(values)
        except ValidationError as error:
            option = str(error.errors()[0]["loc"][0])
            choices = {
                "devices": "a number of devices, GPU numbers such as 0,1, or auto",
                "strategy": "auto or ddp",
                "precision": f"auto, 32-true, 16-mixed, bf16-mixed or {INSISTING}",
            }
            wanted = choices.get(option, error.errors()[0]["msg"])
            raise UserError(f"--{option.replace('_', '-')} {options[option]}: expected {wanted}") from None
        runtime.check()
        return runtime

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        import torch

        return torch.device(self.device)

    def replace(self, **changes: Any) -> Runtime:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    def check(self) -> None:
        """Compare the settings with the devices of this machine.

        Raises:
            UserError: they do not fit.
        """
        import torch

        if self.torch_device.type != "cuda":
            if self.precision == "16-mixed":
                raise UserError("--precision 16-mixed needs a GPU; on the CPU give bf16-mixed or 32-true")
            if isinstance(self.devices, tuple):
                numbers = ",".join(map(str, self.devices))
                raise UserError(f"--devices {numbers} names GPUs, but training runs on the CPU; give a number")
            return
        if self.devices == "auto":
            return
        there = torch.cuda.device_count()
        wanted = max(self.devices) + 1 if isinstance(self.devices, tuple) else self.devices
        if wanted > there:
            raise UserError(f"--devices: {wanted} are asked for, {there} visible; give {there} or fewer, or auto")

    def lightning(self) -> dict[str, Any]:
        """Arguments of Lightning's trainer."""
        import torch

        device = self.torch_device
        cuda = device.type == "cuda"
        devices = list(self.devices) if isinstance(self.devices, tuple) else self.devices
        if devices == 1:
            devices = [device.index or 0] if cuda else 1
            several = False
        else:
            several = torch.cuda.device_count() > 1 if devices == "auto" and cuda else devices != "auto"
        return {
            "accelerator": "gpu" if cuda else "cpu",
            "devices": devices,
            "strategy": "ddp" if several and self.strategy == "auto" else self.strategy,
            "precision": self.lightning_precision,
        }

    @property
    def lightning_precision(self) -> str:
        """Lightning's name of the precision that a CNN uses."""
        import torch

        if self.precision != "auto":
            return self.precision
        if self.torch_device.type != "cuda":
            return "32-true"
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"

    def autocast(self) -> torch.autocast:
        """The same precision outside Lightning."""
        import torch

        precision = self.lightning_precision
        dtype = torch.float16 if precision == "16-mixed" else torch.bfloat16
        return torch.autocast(self.torch_device.type, dtype, enabled=precision != "32-true")

    def place(self, network: nn.Module, device: torch.device | None = None) -> nn.Module:
        """Move a network to the device (or to another one), in the memory format of ``channels_last``."""
        import torch

        memory = torch.channels_last if self.channels_last else torch.preserve_format
        # torch's annotations of this method leave ``memory_format`` out.
        return network.to(device or self.torch_device, memory_format=memory)  # type: ignore[call-overload]
