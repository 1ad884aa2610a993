"""Kills workers of a cluster while models are trained on it."""

import os
import signal
from collections import Counter
from contextlib import contextmanager
from threading import Thread

from moa.training.unit import UnitCallback
from moa.training.unit_progress import Watch


def kill_one(client):
    """Kill a worker process by its number; its nanny starts another."""
    numbers = client.run(os.getpid, on_error="ignore")
    os.kill(numbers[min(numbers)], signal.SIGKILL)


class Killing(Watch, UnitCallback):
    """Kills a worker in the middle of each stage; counts how often each unit began.

    Args:
        kill: called once a stage, in a thread of its own.
    """

    quiet = True

    def __init__(self, kill):
        self.kill, self.begun, self.killed = kill, Counter(), []

    @contextmanager
    def stage(self, model, stage, total, done):
        self.name = f"{model} {stage}"
        yield self

    def on_start(self, seed, fold):
        self.begun[self.name, seed, fold] += 1

    def on_epoch_end(self, seed, fold, epoch, epochs, row):
        if self.name not in self.killed:
            self.killed.append(self.name)
            Thread(target=self.kill).start()  # this thread receives the reports

    @property
    def again(self):
        """Number of units that were begun again."""
        return sum(self.begun.values()) - len(self.begun)
