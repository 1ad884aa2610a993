"""Copy pictures of the executed notebooks into the documentation: ``python final/notebooks/pictures.py``."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

FINAL = Path(__file__).resolve().parents[1]
#: By file: the notebook, and a call that its cell makes.
PICTURES = {
    "folds.png": ("simple-nn-new-cv", "folds_of_drugs("),
    "schedule.png": ("simple-nn-old-cv", "learning_rates("),
    "logged.png": ("three-stage-nn-5fold", "logged_curves("),
    "chain.png": ("three-stage-nn-10fold", "chain("),
    "attention.png": ("two-stage-nn-tabnet", "shares("),
    "phases.png": ("two-heads", "phases("),
    "feature-map.png": ("deepinsight-resnest-v2", "feature_map("),
    "swap-noise.png": ("deepinsight-resnest-v2", "noised_images("),
    "leaderboard.png": ("eda", "published_chart("),
    "notebook-data.png": ("eda", "class_counts(dataset.scored"),
    "notebook-blend.png": ("blend-search", "search_history("),
}


def pictures() -> Iterator[tuple[Path, bytes]]:
    """The file of each picture, and what it should hold."""
    for file, (name, call) in PICTURES.items():
        cells = json.loads(next(FINAL.rglob(f"{name}.ipynb")).read_text(encoding="utf-8"))["cells"]
        found = [
            output["data"]["image/png"]
            for cell in cells
            if cell["cell_type"] == "code" and not cell["source"][0].startswith("# moa/")
            if call in "".join(cell["source"])
            for output in cell["outputs"]
            if "image/png" in output.get("data", {})
        ]
        yield FINAL / "docs" / "pictures" / file, base64.b64decode("".join(found[-1]))


if __name__ == "__main__":
    for path, content in pictures():
        path.write_bytes(content)
        print(f"wrote {path.relative_to(FINAL)}")
