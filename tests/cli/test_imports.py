"""Every command imports only what it uses: what needs no network answers at once."""

import json
import subprocess
import sys
from itertools import pairwise

import pytest

#: Packages that take a tenth of a second or more to import.
HEAVY = (
    *("iterstrat", "jinja2", "matplotlib", "nbformat", "numba", "optuna", "pandas", "papermill", "pyarrow"),
    *("pytorch_lightning", "pytorch_tabnet", "scipy", "sklearn", "skops", "tensorboard", "timm", "torch"),
    *("torch_optimizer", "torchvision", "umap"),
)
OLD = "simple-nn-old-cv"
TABLES = {"pandas", "pyarrow"}
NETWORK = TABLES | {"jinja2", "scipy", "torch"}
#: What transformers are fitted with.
FITTING = NETWORK | {"sklearn"}

#: What a user has typed before pressing the tabulator, and the names that the shell offers.
COMPLETIONS = {
    "moa tr": ["train"],
    "moa train simple-nn": [OLD, "simple-nn-new-cv"],
    "moa blend apply b": ["best-lb", "best-cv"],
    "moa predict --blend two-heads-": ["two-heads-v2"],
    "moa train --profile d": ["demo"],
    "moa ablate um": ["umap"],
}
TRAIN = f"train {OLD} --data DATA --weights WEIGHTS --profile demo --device cpu"
#: What each command may import; DATA, WEIGHTS and OUT stand for folders. Commands that fail end before the work begins.
#: One interpreter runs the commands of a group in turn. Each may import what those before it may: none hides a mistake
#: of a later one.
IMPORTS = [
    {
        **{f"complete: {typed}": set() for typed in COMPLETIONS},
        "--help": set(),  # any help text imports the modules of all commands
        "train --help": set(),
        "models": set(),
        "ablate --list": set(),
        "train nope": set(),
        "score --no-baselines": set(),
        "data check DATA": TABLES,
        "data synthesize OUT/data --rows 300 --test-rows 50": TABLES,
        "blend apply nope": TABLES,
        "score --predictions nope.csv --data DATA": TABLES | {"scipy"},
        f"predict {OLD} --data DATA --weights WEIGHTS --out OUT/predictions --device cpu": NETWORK,
        f"predict --features DATA/test_features.csv --blend {OLD} --weights WEIGHTS --out OUT/plates": NETWORK,
        f"score {OLD} --data DATA --weights WEIGHTS": NETWORK,
        TRAIN: FITTING,
        "report --data WEIGHTS --weights WEIGHTS": FITTING | {"matplotlib"},
    },
    {"blend apply best-lb --data DATA --predictions OUT/predictions --out OUT": TABLES},
    {"train all --device nope": {"torch"}},
]
PROBE = f"""
import contextlib, io, json, os, sys
from moa.cli import main
for arguments, variables in json.load(sys.stdin):
    sys.argv, environment = ["moa", *arguments], dict(os.environ)
    os.environ.update(variables)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as errors:
        with contextlib.suppress(SystemExit):
            main()
    os.environ.clear()
    os.environ.update(environment)
    imported = sorted({set(HEAVY)} & {{name.split(".")[0] for name in sys.modules}})
    print(json.dumps([output.getvalue(), errors.getvalue(), imported]))
"""


def run(commands):
    """What one interpreter prints for each of some commands, and the heavy packages that it has imported by then."""
    lines = [
        ([], {"_MOA_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))})
        if (typed := command.removeprefix("complete: ")) != command
        else (command.split(), {})
        for command in commands
    ]
    done = subprocess.run([sys.executable, "-c", PROBE], input=json.dumps(lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(lines) and not [errors for _, errors, _ in found if "Traceback" in errors], found
    return [(output, set(imported)) for output, _, imported in found]


@pytest.fixture(scope="module")
def found(data_dir, weights_of, tmp_path_factory):
    """What each command prints and imports."""
    folders = {"DATA": data_dir, "WEIGHTS": weights_of(OLD), "OUT": tmp_path_factory.mktemp("out")}
    results = {}
    for commands in IMPORTS:
        words = list(commands)
        for name, folder in folders.items():
            words = [each.replace(name, str(folder)) for each in words]
        results |= zip(commands, run(words), strict=True)
    return results


def test_each_command_imports_what_it_uses(found):
    allowed = {command: packages for commands in IMPORTS for command, packages in commands.items()}
    surplus = {command: imported - allowed[command] for command, (_, imported) in found.items()}
    assert {command: packages for command, packages in surplus.items() if packages} == {}
    assert "torch" in found[TRAIN][1] and "pandas" not in found["score --no-baselines"][1], "the probe sees it"


def test_no_command_hides_what_a_later_one_imports():
    for commands in IMPORTS:
        assert all(earlier <= later for earlier, later in pairwise(commands.values()))


@pytest.mark.parametrize("typed", COMPLETIONS)
def test_the_shell_completes_names(typed, found):
    assert found[f"complete: {typed}"][0].splitlines() == COMPLETIONS[typed]
