"""How a CNN's training is run: devices, precision, logs. None of it is part of what is trained.

So none of it stands in a manifest, and a fold begun one way may be gone on with in another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from torch import nn

from moa.errors import UserError


def _devices(value: Any) -> Any:
    """The command line's "2", "0,1" and "auto" as a number, places and a word."""
    if isinstance(value, str) and value != "auto":
        places = [int(part) for part in value.split(",")]
        value = places if "," in value else places[0]
    if isinstance(value, (list, tuple)):
        if len(set(value)) != len(value) or min(value, default=-1) < 0:
            raise ValueError("give each device once, counted from 0")
        return tuple(value)
    return value


class Runtime(BaseModel):
    """How training is run; none of it is part of what is trained, so none of it marks the weights as different.

    Attributes:
        precision: "auto" is bf16-mixed on a CUDA chip that has it, else 16-mixed; 32-true on the CPU.
        devices: how many, or which GPUs by their places, or "auto" for all there are; 1 is the one device of the
            fold. On the CPU, a number of processes. The batch size is that of each device.
        strategy: Lightning's; "auto" is "ddp" for several devices, which starts the program again for each further
            one. Others of Lightning's split the network over devices or end in another process, and are not here.
        channels_last: keep images and weights with the channels innermost; may pay on tensor cores.
        compile: ``torch.compile`` the network; costs minutes at the start.
        tensorboard: folder for TensorBoard logs, or True for the unit's scratch folder, which is emptied in the end.
        predict_batch: rows a batch where nothing is learned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = "auto"
    devices: Annotated[Literal["auto"] | Annotated[int, Field(ge=1)] | tuple[int, ...], BeforeValidator(_devices)] = 1
    strategy: Literal["auto", "ddp"] = "auto"
    channels_last: bool = False
    compile: bool = False
    tensorboard: Path | bool = False
    predict_batch: int = Field(128, ge=1)

    @classmethod
    def of(cls, options: dict[str, Any]) -> Runtime:
        """From the options of a command line.

        Raises:
            UserError: a value that cannot be, named by its option.
        """
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            option = str(error.errors()[0]["loc"][0])
            choices = {
                "devices": "a number of devices, places of GPUs such as 0,1, or auto",
                "strategy": "auto or ddp",
                "precision": "auto, 32-true, 16-mixed or bf16-mixed",
            }
            wanted = choices.get(option, error.errors()[0]["msg"])
            raise UserError(f"--{option.replace('_', '-')} {options[option]}: expected {wanted}") from None

    def check(self, device: torch.device) -> None:
        """Hold the settings against what there is.

        Raises:
            UserError: they do not fit the device.
        """
        if device.type != "cuda":
            if self.precision == "16-mixed":
                raise UserError("--precision 16-mixed needs a GPU; on the CPU give bf16-mixed or 32-true")
            if isinstance(self.devices, tuple):
                places = ",".join(map(str, self.devices))
                raise UserError(f"--devices {places} names GPUs, but training runs on the CPU; give a number")
            return
        if self.devices == "auto":
            return
        there = torch.cuda.device_count()
        wanted = max(self.devices) + 1 if isinstance(self.devices, tuple) else self.devices
        if wanted > there:
            raise UserError(f"--devices: {wanted} are asked for, {there} visible; give {there} or fewer, or auto")

    def lightning(self, device: torch.device) -> dict[str, Any]:
        """Arguments of Lightning's trainer."""
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
            "precision": self.precision_on(device),
        }

    def precision_on(self, device: torch.device) -> str:
        """Lightning's name of the precision used on a device."""
        if self.precision != "auto":
            return self.precision
        if device.type != "cuda":
            return "32-true"
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"

    def autocast(self, device: torch.device) -> torch.autocast:
        """The same precision outside Lightning."""
        precision = self.precision_on(device)
        dtype = torch.float16 if precision == "16-mixed" else torch.bfloat16
        return torch.autocast(device.type, dtype, enabled=precision != "32-true")

    def place(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Move a network to a device, in the memory format wanted."""
        return network.to(device, memory_format=torch.channels_last if self.channels_last else torch.preserve_format)
