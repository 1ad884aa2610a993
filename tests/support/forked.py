"""Processes forked from one that has imported everything: each begins seconds sooner than a new interpreter."""

import multiprocessing
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

#: What commands and notebooks import.
PRELOADED = (
    *("support.demo", "support.forked", "umap", "torch._dynamo"),
    *("moa.learners.perceptron.training", "moa.learners.two_heads.training", "moa.learners.tabnet.training"),
    *("ipykernel.kernelapp", "matplotlib_inline.backend_inline", "moa.kaggle.session", "moa.notebook"),
)


def processes():
    """A context of ``multiprocessing``. The process that forks is started by the first test that asks for one."""
    if "distributed" in sys.modules:
        from distributed.utils import get_mp_context

        get_mp_context()  # sets what Dask's workers import, once: what is set last counts
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


@contextmanager
def kernels():
    """Fork the kernels of the notebooks that are executed meanwhile."""
    with mock.patch("jupyter_client.provisioning.local_provisioner.launch_kernel", _Kernel):
        yield


class _Kernel:
    """The process of a kernel: as much of ``subprocess.Popen`` as Jupyter uses."""

    stdin = stdout = stderr = None

    def __init__(self, command, env, cwd=None, **_):
        (connection,) = (word for word in command if word.endswith(".json"))
        self._process = processes().Process(target=_run_kernel, args=(connection, env, str(cwd or Path.cwd())))
        self._process.start()
        self.pid = self._process.pid
        while self.poll() is None and os.getpgid(self.pid) != self.pid:  # Jupyter kills the whole group
            time.sleep(0.001)

    def poll(self):
        return self._process.exitcode

    def wait(self):
        self._process.join()
        return self.poll()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


def _run_kernel(connection, environment, folder):
    os.setsid()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked where the package forked first
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["ipykernel_launcher", "-f", connection]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
