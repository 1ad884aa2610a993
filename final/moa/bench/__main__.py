"""``python -m moa.bench``."""

import argparse
import sys
from pathlib import Path

from moa.bench import PARTS, main
from moa.errors import UserError

parser = argparse.ArgumentParser(prog="python -m moa.bench", description="Time each part against the old way.")
parser.add_argument("--out", type=Path, default=Path("benchmarks"), help="folder for tables and the figure")
parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=(), help="default: all")
parser.add_argument("--device", default="auto", help="auto, cpu or cuda")

try:
    main(**vars(parser.parse_args()))
except UserError as error:
    sys.exit(f"error: {error}")
