"""The kaggle client, version 1 or 2: it is found and run, and its refusals are explained.

It is run as a command and not imported: importing it asks for credentials, and ends the process where there are none.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress

from moa.errors import UserError

_SETTINGS = "https://www.kaggle.com/settings/api"
_POLL_SECONDS = 0.5


class KaggleClient:
    """The installed client.

    Args:
        instead: what to do without it, the end of messages such as "or download the files by hand"; may be empty.

    Raises:
        UserError: it is not installed.
    """

    def __init__(self, instead: str = ""):
        self._instead = instead
        # The client of the environment that runs this comes first, even if that environment is not activated.
        found = shutil.which("kaggle", path=f"{_folder()}{os.pathsep}{os.environ.get('PATH', '')}")
        if found is None:
            raise UserError(self._words("the kaggle client is not installed: pip install kaggle", ", "))
        self.path = found

    def run(self, *arguments: str, watch: Callable[[], None] | None = None) -> tuple[int, str]:
        """Run the client to its end, calling ``watch`` twice per second; it is ended where this command is stopped.

        Returns:
            its status, and what it printed: refusals of the server go to stdout or to stderr, depending on its version.
        """
        command = [self.path, *arguments]
        with tempfile.TemporaryFile() as messages:
            try:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=subprocess.STDOUT)
            except OSError as error:
                text = f"{self.path}: cannot be run ({error.strerror}); reinstall it"
                raise UserError(self._words(text, ", ")) from None
            try:
                while watch is not None and process.poll() is None:
                    watch()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_SECONDS)
                status = process.wait()
            finally:
                process.kill()  # does nothing to a client that has ended
                process.wait()
            messages.seek(0)
            return status, messages.read().decode("utf-8", errors="replace")

    def problem(self, said: str, refused: str) -> UserError:
        """The error that explains what a client that failed has ``said``.

        ``refused`` is the message where the server answers 403, which has a different reason for each request.
        """
        # Indented lines are frames of a traceback; their line numbers must not be mistaken for an HTTP status.
        lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(" ")]
        text = "\n".join(lines).lower()
        if re.search(r"\b403\b|forbidden", text):
            return UserError(refused)
        if re.search(r"failed to resolve|failed to establish|network is unreachable|connection refused", text):
            reached = "Kaggle cannot be reached: no connection to the internet, or a proxy is needed (HTTPS_PROXY)"
            return UserError(self._words(reached))
        if re.search(r"\b401\b|unauthori[sz]ed|kaggle\.json|credentials|authenticat|in configuration", text):
            return UserError(self._words(self._credentials()))
        message = f"the kaggle client failed ({lines[-1] if lines else 'no message'}); try again"
        return UserError(self._words(message, ", "))

    def _credentials(self) -> str:
        """What to do where Kaggle does not accept the credentials; clients before 2.0 know no tokens."""
        version = re.search(r"Kaggle (?:CLI|API) ([\d.]+)", self.run("--version")[1])
        number = version[1] if version else ""
        given = os.environ.get("KAGGLE_API_TOKEN")
        if number.split(".")[0] in ("0", "1"):
            wanted = " KAGGLE_API_TOKEN is set, but" if given else ""
            return (
                f"Kaggle did not accept your credentials:{wanted} this kaggle client ({number}) knows legacy keys "
                f"alone. Make one at {_SETTINGS} (Create Legacy API Key) and save it as ~/.kaggle/kaggle.json, or set "
                "KAGGLE_USERNAME and KAGGLE_KEY; tokens need the client 2 or newer, on Python 3.11 or newer"
            )
        refused = "the token in KAGGLE_API_TOKEN, which is wrong or has expired" if given else "your credentials"
        return (
            f"Kaggle did not accept {refused}: make a token at {_SETTINGS} (Generate New Token), and set "
            "KAGGLE_API_TOKEN to it or save it as ~/.kaggle/access_token"
        )

    def _words(self, text: str, link: str = "; ") -> str:
        return f"{text}{link}{self._instead}" if self._instead else text


def _folder() -> str:
    return os.path.dirname(sys.executable)
