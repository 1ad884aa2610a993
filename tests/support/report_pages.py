"""A report's page taken apart, and planted weights and predictions to report on."""

from html.parser import HTMLParser

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION
from moa.data.table_files import write_table
from moa.files import sha256, write_json
from moa.models.registry import recipe


class Page(HTMLParser):
    """The cells of the tables of each section, and every attribute of the page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.sections, self.attributes, self.words, self.tags = text, {}, [], {}, []
        self._section, self._cell = None, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "section":
            self._section = dict(attrs)["id"]
            self.sections[self._section], self.words[self._section] = [], ""
        elif tag == "table":
            self.sections[self._section].append([])
        elif tag == "tr":
            self.sections[self._section][-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.sections[self._section][-1][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data
        if self._section:
            self.words[self._section] += data

    def table(self, section, number=0):
        head, *rows = self.sections[section][number]
        return pd.DataFrame(rows, columns=head).set_index(head[0])


def fake(y, seed):
    """Probabilities that depend on the labels."""
    rng = np.random.default_rng(seed)
    logit = -5 + 3.0 * y.to_numpy() + rng.normal(0, 0.7, y.shape)
    return pd.DataFrame(1 / (1 + np.exp(-logit)), y.index, y.columns).astype(np.float32)


def write_weights(folder, name, oof, profile="demo", leaky=False):
    """A manifest and units as training leaves them, without weights."""
    config = recipe(name).configure(profile)
    settings = config.model_dump(mode="json")
    write_json(folder / name / "manifest.json", {"model": name, "profile": profile, "settings": settings})
    for stage in recipe(name).stages(config, COMPETITION):
        for seed, fold in stage.units():
            unit = folder / name / stage.name / f"seed-{seed}" / f"fold-{fold}"
            history = [{"epoch": e, "train_loss": 0.5 / (e + 1), "valid_loss": 0.6 / (e + 1)} for e in range(3)]
            facts = {"stage": stage.name, "seed": seed, "fold": fold, "seconds": 30.0, "history": history}
            facts["variants"] = ["looped"] if leaky else []
            rows = oof.iloc[fold :: stage.folds.n_splits]
            write_table(unit / "oof.parquet", rows)
            if leaky:
                write_table(unit / "oof-looped.parquet", rows * 0.5)
            facts["sha256"] = {path.name: sha256(path) for path in unit.glob("*.parquet")}
            write_json(unit / "unit.json", facts)
