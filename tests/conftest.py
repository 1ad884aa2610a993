"""Shared by all tests: one thread, a small synthetic data set, and models trained on it when a test asks for them."""

import gc
import os
import shutil
import signal
import sys

# Several test processes run side by side, one thread each. Set before numpy and torch are imported, which read it then.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from moa import parallel
from moa.environment import FINAL, available_cores
from moa.models import registry
from support import ROOT, TESTS, forked

# The checker of notebooks would build the grammars of addresses, which no notebook is checked for: seconds per process.
sys.modules["rfc3987_syntax"] = None

# The package's processes and Dask's workers are forked from the same one as the tests', whichever need it first.
parallel._LIBRARIES = forked.PRELOADED
os.environ["DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD"] = "forkserver"

# The processes that tests start import this checkout too, wherever they run and whatever else is installed.
_PATHS = [str(FINAL), str(TESTS), str(ROOT), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _PATHS))

#: Files of tests that take long. Processes take them first, in this order: short ones even out the end of a run. The
#: second file does not wait for the models that the first one trains.
LONG = [
    "integration/test_notebooks",
    "integration/test_pages_run",
    "integration/test_resume",
    "integration/test_real_training",
    "integration/test_cluster",
    "integration/test_plates",
    "integration/test_classifier",
    "integration/test_leakage",
    "integration/test_bench",
    "integration/test_kaggle_package",
    "integration/test_prediction",
    "integration/test_any_assay",
    "unit/features/test_umap",
    "cli/test_stopping",
    "integration/test_wheel",
    "unit/training/test_executors_in_processes",
    "unit/learners/deepinsight/test_resume",
    "integration/test_assay_notebook",
    "integration/test_training",
    "integration/test_plate_page",
    "unit/models/test_naive_features",
    "cli/test_commands",
    "integration/test_laboratory",
    "integration/test_report",
    "cli/test_imports",
]


def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores: some tests wait for processes that they start."""
    return available_cores() + 1


def pytest_collection_modifyitems(items):
    places = {str(TESTS / f"{name}.py"): place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(str(item.path), len(LONG)))


def pytest_collection_finish():
    forked.processes()  # before one of Dask's workers is the first that is forked
    # A search for garbage goes through all that the test files have imported, hundreds of times: a twentieth of the
    # tests' time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


# Made-up inputs are the same in every run, and none fails because the machine is busy.
settings.register_profile(
    "moa", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("moa")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all processes of a run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(shared_folder):
    """Keep the tests' parsed files out of the user's cache."""
    os.environ["MOA_CACHE"] = str(shared_folder / "cache")


@pytest.fixture(scope="session")
def synthetic(shared_folder):
    """Put a small synthetic data set into a folder: a copy, made once in a run of the tests for each size and seed."""
    from filelock import FileLock

    from moa.data.synthetic import synthesize

    def put(folder, **asked):
        made = shared_folder / "synthetic" / "-".join(f"{name}={value}" for name, value in asked.items())
        made.parent.mkdir(exist_ok=True)
        with FileLock(f"{made}.lock"):
            synthesize(made, **asked)  # does nothing where it is done
        return shutil.copytree(made, folder)

    return put


@pytest.fixture
def heeded():
    """Processes that are started heed Ctrl-C, also where the tests themselves run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module", autouse=True)
def own_models_stay_in_their_file():
    """Forget the models of files of one's own that a test file has read: others list the package's."""
    yield
    registry._own.clear()


@pytest.fixture(scope="session")
def demo(shared_folder, tmp_path_factory):
    from support.demo import Demo
    from support.kept import kept_folder

    return Demo(kept_folder(shared_folder), tmp_path_factory.mktemp("views"))


@pytest.fixture(scope="session")
def data_dir(demo):
    """Folder of a synthetic data set of the competition's schema."""
    return demo.data()


@pytest.fixture(scope="session")
def larger_demo(shared_folder, tmp_path_factory):
    """A larger data set, and models trained on it."""
    from support.demo import MORE_ROWS, Demo
    from support.kept import kept_folder

    return Demo(kept_folder(shared_folder) / "larger", tmp_path_factory.mktemp("larger"), MORE_ROWS)


@pytest.fixture(scope="session")
def larger_dataset(larger_demo):
    from moa.data.dataset import load_dataset

    return load_dataset(larger_demo.data(), drugs=True)


@pytest.fixture(scope="session")
def dataset(data_dir):
    from moa.data.dataset import load_dataset

    return load_dataset(data_dir, drugs=True)


@pytest.fixture(scope="session")
def weights_of(demo):
    """A function: names of models to a weights folder that holds these, trained at demo size."""
    return demo.weights


@pytest.fixture(scope="session")
def all_weights(weights_of):
    """Weights of every model, but for one that differs from another in a setting."""
    from support.demo import TRAINED

    return weights_of(*TRAINED)


@pytest.fixture(scope="session")
def moa_command():
    """Run ``moa`` as a user does, in a separate process; returns the finished process."""
    from support.demo import moa

    return moa


@pytest.fixture
def in_process(monkeypatch, capsys):
    """Runs command lines in this process."""
    from support.in_process import InProcess

    return InProcess(monkeypatch, capsys)


@pytest.fixture
def moa_here(in_process):
    """Run ``moa`` in this process; returns its status and its output."""
    from moa.cli import main

    return lambda *arguments, check=True: in_process.run(main, "moa", *arguments, check=check)
