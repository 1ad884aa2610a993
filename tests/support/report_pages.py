"""A report's page taken apart, and planted weights and predictions to report on."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from moa.data.assay import COMPETITION
from moa.data.stored_tables import write_table
from moa.files import sha256, write_json
from moa.models.registry import recipe


class Page(HTMLParser):
    """The cells of the tables of each section, the data of its views, and every attribute of the page."""

    def __init__(self, text):
        super().__init__()
        self.text, self.sections, self.attributes, self.words, self.tags = text, {}, [], {}, []
        self.scripts, self.data = [], {}
        self._section, self._cell, self._script = None, None, None
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
        elif tag == "script":
            self._script = dict(attrs)

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None
        if tag in ("td", "th"):
            self.sections[self._section][-1][-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        if self._script is not None:
            if self._script.get("type") == "application/json":
                self.data[self._script["id"].removeprefix("data-")] = json.loads(data)
            else:
                self.scripts.append(data)
            return
        if self._cell is not None:
            self._cell += data
        if self._section:
            self.words[self._section] += data

    def table(self, section, number=0):
        head, *rows = self.sections[section][number]
        return pd.DataFrame(rows, columns=head).set_index(head[0])

    def check_self_contained(self):
        """Nothing comes from outside of the page, and no script runs but its own, whose digest its policy names."""
        markup = re.sub(r"<script.*?</script>", "", self.text, flags=re.DOTALL)
        assert not re.search(r"https?:|@import|url\((?!#)", self.text) and "//" not in markup
        for tag, name, value in self.attributes:
            assert not name.startswith("on"), (tag, name)
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                assert value.startswith(("#", "data:")), value
        (policy,) = (value for _, name, value in self.attributes if name == "content" and "default-src" in value)
        (script,) = self.scripts
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy
        assert not re.search(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|fetch|import)\b", script)


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
