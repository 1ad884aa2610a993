"""``python -m moa.bench``, the same as ``moa bench``."""

from moa.cli import run
from moa.cli.bench import app

run(app)
