"""Replace a folder again and again, killed before each call that changes a file; prints what was there each time.

Run as a script: python -m support.killed_writers FOLDER
"""

import builtins
import io
import json
import os
import shutil
import sys
from pathlib import Path

from moa import files, whole_folders

#: Calls of Python that change something on disk.
CALLS = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "link", "symlink", "chmod", "truncate")
OLD, NEW = ({f"{name}.csv": f"{content} of {name}" for name in "abc"} for content in ("old", "new"))


def write(folder, content):
    with files.exchanging_folder(folder) as temporary:
        for name, text in content.items():
            (temporary / name).write_text(text)


def killed_before(number, folder):
    """Replace the folder in a process that ends before the call of that number; False if there are not so many."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    calls = 0

    def counted(call, changes=lambda *arguments, **options: True):
        def wrapper(*arguments, **options):
            nonlocal calls
            if changes(*arguments, **options):
                if calls == number:
                    os._exit(9)
                calls += 1
            return call(*arguments, **options)

        return wrapper

    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    os.open = counted(os.open, lambda path, flags, *rest, **options: flags & (os.O_CREAT | os.O_TRUNC))
    builtins.open = io.open = counted(io.open, lambda file, mode="r", *rest, **options: set(mode) & set("wax+"))
    whole_folders._exchange = counted(whole_folders._exchange)
    write(folder, NEW)
    os._exit(0)


def state(folder):
    """What is there: "old", "new", "nothing" or "mixed"."""
    if not folder.exists():
        return "nothing"
    found = {path.name: path.read_text() for path in folder.iterdir()}
    return "old" if found == OLD else "new" if found == NEW else "mixed"


def main(folder):
    found = {}
    for kind in ("in one step", "by renaming"):
        if kind == "by renaming":
            whole_folders._exchanger = lambda: None
        found[kind] = []
        number, target = 0, folder / kind / "screen"
        while True:
            shutil.rmtree(folder / kind, ignore_errors=True)
            write(target, OLD)
            if not killed_before(number, target):
                break
            before = state(target)
            whole_folders.stale_files(target)  # the next run begins with it
            begun = state(target)
            write(target, NEW)
            left = sorted(path.name for path in target.parent.iterdir())
            found[kind].append((before, begun, state(target), left))
            number += 1
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
