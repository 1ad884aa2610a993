"""Run a command line in the test's own process, where torch is loaded already: it saves seconds a run."""

import sys
from typing import NamedTuple


class Finished(NamedTuple):
    """What ``subprocess.run`` returns of a process."""

    returncode: int
    stdout: str
    stderr: str


class InProcess:
    """Runs functions that read ``sys.argv``, print, and end with ``SystemExit``."""

    def __init__(self, monkeypatch, capsys):
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, function, name, *arguments, check=True) -> Finished:
        """Call ``function`` with a command line; ``check`` as in ``support.demo.moa``."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [str(name), *map(str, arguments)])
            patch.setattr(sys, "path", list(sys.path))
            self._capsys.readouterr()
            try:
                function()
                status = 0
            except SystemExit as ended:
                status = ended.code or 0
            done = Finished(status, *self._capsys.readouterr())
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done
