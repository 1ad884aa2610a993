"""Every command imports only what it uses: what needs no network answers at once."""

import os
import subprocess
import sys

import pytest

#: Packages that take a tenth of a second or more to import.
HEAVY = (
    *("iterstrat", "jinja2", "matplotlib", "nbformat", "numba", "optuna", "pandas", "papermill", "pyarrow"),
    *("pytorch_lightning", "pytorch_tabnet", "scipy", "seaborn", "sklearn", "skops", "tensorboard", "timm", "torch"),
    *("torch_optimizer", "torchvision", "umap"),
)
OLD = "simple-nn-old-cv"
TABLES = {"pandas", "pyarrow"}
NETWORK = TABLES | {"jinja2", "scipy", "sklearn", "skops", "torch"}

#: What each command may import; DATA, WEIGHTS and OUT stand for folders. Commands that fail end before the work begins.
IMPORTS = {
    "models": set(),
    "ablate --list": set(),
    "data check DATA": TABLES,
    "data synthesize OUT/data --rows 300 --test-rows 50": TABLES,
    "train nope": set(),
    f"train {OLD} --data DATA --weights WEIGHTS --profile demo --device cpu": NETWORK,
    f"predict {OLD} --data DATA --weights WEIGHTS --out OUT/predictions --device cpu": NETWORK,
    f"predict --features DATA/test_features.csv --blend {OLD} --weights WEIGHTS --out OUT/plates --device cpu": NETWORK,
    "train all --device nope": {"torch"},
    "blend apply nope": TABLES,
    "blend apply best-lb --data DATA --predictions OUT/predictions --out OUT": TABLES,
    "score --no-baselines": set(),
    "score --predictions nope.csv --data DATA": TABLES | {"scipy"},
    f"score {OLD} --data DATA --weights WEIGHTS": NETWORK,
    "report --data /nowhere --weights WEIGHTS": NETWORK | {"matplotlib", "seaborn"},
}

PROBE = f"""
import atexit, sys
sys.argv[0] = "moa"
atexit.register(lambda: print("imported:", *sorted({set(HEAVY)} & {{name.split(".")[0] for name in sys.modules}})))
from moa.cli import main
main()
"""


def run(*arguments, **environment):
    """What a command prints, and the heavy packages that it imports."""
    command = [sys.executable, "-c", PROBE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | environment)
    assert "Traceback" not in done.stderr, done.stderr
    *lines, last = done.stdout.splitlines()
    return lines, set(last.removeprefix("imported:").split())


@pytest.fixture(scope="module")
def folders(data_dir, weights_of, tmp_path_factory):
    return {"DATA": data_dir, "WEIGHTS": weights_of(OLD), "OUT": tmp_path_factory.mktemp("out")}


def test_each_command_imports_what_it_uses(folders):
    found = {}
    for command in IMPORTS:
        words = command
        for name, folder in folders.items():
            words = words.replace(name, str(folder))
        _, found[command] = run(*words.split())
    assert {command: names - IMPORTS[command] for command, names in found.items() if names - IMPORTS[command]} == {}
    assert "torch" in found[f"train {OLD} --data DATA --weights WEIGHTS --profile demo --device cpu"], (
        "the probe sees it"
    )


def test_help_imports_nothing_heavy():
    """The modules of all commands are imported for any help text, so one command shows it for all."""
    assert run("--help")[1] == set()
    assert run("train", "--help")[1] == set()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("moa tr", ["train"]),
        ("moa train simple-nn", [OLD, "simple-nn-new-cv"]),
        ("moa blend apply b", ["best-lb", "best-cv"]),
        ("moa predict --blend two-heads-", ["two-heads-v2"]),
        ("moa train --profile d", ["demo"]),
        ("moa ablate um", ["umap"]),
    ],
)
def test_the_shell_completes_names_at_once(typed, expected):
    place = str(typed.count(" "))
    lines, packages = run(_MOA_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place)
    assert lines == expected and packages == set()
