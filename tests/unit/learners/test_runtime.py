"""How networks are run: options of the command line, precision, and what the machine must have."""

from pathlib import Path

import pytest
import torch

from moa.errors import UserError
from moa.learners import runtime as module
from moa.learners.runtime import Runtime, multiplies_bfloat16, pick_device

CUDA = Runtime(device="cuda")


def test_precision_follows_the_gpu(monkeypatch):
    assert Runtime().lightning_precision == "32-true"
    for has_it, expected in ((True, "bf16-mixed"), (False, "16-mixed")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, has_it=has_it: has_it)
        assert CUDA.lightning_precision == expected
    assert Runtime(precision="16-mixed").lightning_precision == "16-mixed"


def test_runtime_reads_the_options_of_the_command_line():
    assert Runtime.of("cpu", devices="2").devices == 2
    assert Runtime(devices="0,3").devices == (0, 3)
    chosen = Runtime.of("cpu", devices="auto", tensorboard=Path("logs"), compile=None)
    assert chosen.tensorboard == Path("logs") and chosen.compile is False
    assert Runtime(devices=2).lightning()["strategy"] == "ddp" and Runtime().lightning()["strategy"] == "auto"
    for option, value in [("devices", "0"), ("devices", "1,1"), ("devices", "x"), ("strategy", "dp"), ("precision", 8)]:
        with pytest.raises(UserError, match=f"--{option} {value}: expected"):
            Runtime.of("cpu", **{option: value})


def test_runtime_is_compared_with_the_devices_of_the_machine(monkeypatch):
    Runtime(devices=4).check()
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        Runtime.of("cpu", precision="16-mixed")
    with pytest.raises(UserError, match="--devices 0,1 names GPUs"):
        Runtime.of("cpu", devices="0,1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for devices in (2, (0, 1), "auto"):
        CUDA.replace(devices=devices).check()
        assert CUDA.replace(devices=devices, precision="16-mixed").lightning()["strategy"] == "ddp"
    for devices in (3, (0, 2)):
        with pytest.raises(UserError, match="3 are asked for, 2 visible"):
            CUDA.replace(devices=devices).check()


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Runtime.of("auto").device == "cpu"
    with pytest.raises(UserError, match="--device tpu: unknown"):
        Runtime.of("tpu")
    with pytest.raises(UserError, match="--device cuda: no CUDA device is visible"):
        Runtime.of("cuda")


def test_bfloat16_only_where_the_processor_gains(monkeypatch, capsys):
    for there in (True, False):
        monkeypatch.setattr(module, "multiplies_bfloat16", lambda there=there: there)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert Runtime.of("auto", precision="bf16-mixed").precision == ("bf16-mixed" if there else "32-true")
        assert ("this processor has no bfloat16" in capsys.readouterr().err) == (not there)
        assert Runtime.of("cpu", precision="bf16-emulated").precision == "bf16-mixed", "who insists gets it"
        assert Runtime.of("cpu", precision="32-true").precision == "32-true"
        assert not capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_arch_list", list)
    assert Runtime.of("cuda", precision="bf16-mixed").precision == "bf16-mixed", "a GPU is another matter"


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="needs Linux's description of the processor")
def test_the_processor_is_asked(monkeypatch):
    flags = set(Path("/proc/cpuinfo").read_text().split())
    assert multiplies_bfloat16() == bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, "amx_bf16": False}, raising=False)
    assert not multiplies_bfloat16()


def test_a_torch_that_cannot_ask_the_processor(monkeypatch, tmp_path):
    described = tmp_path / "cpuinfo"
    monkeypatch.setattr("moa.learners.runtime._CPUINFO", described)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert not multiplies_bfloat16(), "a system without such a file"
    for flags, there in (("fpu avx512f avx512_bf16", True), ("fpu avx512f amx_tile", False)):
        described.write_text(f"processor : 0\nflags : {flags}\n")
        assert multiplies_bfloat16() == there


@pytest.mark.parametrize(
    ("capability", "builds", "refused"),
    [
        ((6, 0), ["sm_70", "sm_75", "sm_90", "sm_120"], True),
        ((7, 5), ["sm_70", "sm_75", "sm_90", "sm_120"], False),
        ((12, 1), ["sm_75", "sm_120", "compute_120"], False),
        ((6, 0), ["sm_60", "sm_70"], False),
        ((6, 0), [], False),
    ],
)
@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:0"])
def test_a_gpu_too_old_for_torch_is_refused(monkeypatch, capability, builds, refused, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Tesla P100-PCIE-16GB")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: builds)
    if refused:
        with pytest.raises(UserError, match=r"P100.* is 6\.0, and the installed torch needs 7\.0 .*T4 x2"):
            pick_device(name)
    else:
        assert pick_device(name).type == "cuda"
