"""How networks are run: devices, precision and their checks."""

from pathlib import Path

import pytest
import torch

from moa.errors import UserError
from moa.learners.deepinsight.learner import Runtime
from support.tiny_cnn import CPU


def test_precision_follows_the_chip(monkeypatch):
    assert Runtime().precision_on(CPU) == "32-true"
    for has_it, expected in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert Runtime().precision_on(torch.device("cuda")) == expected
    assert Runtime(precision="16-mixed").precision_on(CPU) == "16-mixed"


def test_runtime_reads_the_options_of_the_command_line():
    assert Runtime.of({"devices": "2"}).devices == 2 and Runtime.of({"devices": "0,3"}).devices == (0, 3)
    assert Runtime.of({"devices": "auto", "tensorboard": Path("logs")}).tensorboard == Path("logs")
    assert Runtime(devices=2).lightning(CPU)["strategy"] == "ddp" and Runtime().lightning(CPU)["strategy"] == "auto"
    for option, value in [("devices", "0"), ("devices", "1,1"), ("devices", "x"), ("strategy", "dp"), ("precision", 8)]:
        with pytest.raises(UserError, match=f"--{option} {value}: expected"):
            Runtime.of({option: value})


def test_runtime_is_held_against_the_device(monkeypatch):
    Runtime(devices=4).check(CPU)
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        Runtime(precision="16-mixed").check(CPU)
    with pytest.raises(UserError, match="--devices 0,1 names GPUs"):
        Runtime(devices=(0, 1)).check(CPU)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices in (2, (0, 1), "auto"):
        Runtime(devices=devices).check(torch.device("cuda"))
        assert Runtime(devices=devices, precision="16-mixed").lightning(torch.device("cuda"))["strategy"] == "ddp"
    for devices in (3, (0, 2)):
        with pytest.raises(UserError, match="3 are asked for, 2 visible"):
            Runtime(devices=devices).check(torch.device("cuda"))
