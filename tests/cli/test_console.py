"""Tables of the command line fit a terminal of 80 columns and cut nothing; what is printed fits any encoding."""

import io
import os
import re
import subprocess
import sys

import pandas as pd
import pytest
from rich.console import Console

from moa.blending.result import MethodResult, SearchResult
from moa.cli import ablations, blends, compare
from moa.cli.console import number_table, run, score_tables, text_table
from moa.environment import FINAL
from moa.jobs.compare import Comparison
from moa.jobs.model_scores import score_model
from moa.jobs.writeup_claims import ABLATIONS
from moa.models import winners
from moa.models.registry import recipes
from tests.benchmarks.command import shown


def printed(*tables):
    """What a terminal of 80 columns shows."""
    console = Console(width=80, record=True, file=io.StringIO())
    for table in tables:
        console.print(table)
    text = console.export_text()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    return text


def words(text):
    return set(re.sub("[│┃]", " ", text).split())


def test_the_score_tables_cut_no_name_and_no_figure(dataset):
    oof = dataset.scored[dataset.treated] * 0.5 + 0.25
    others = {name: oof * 0.9 for name, model in recipes().items() if model.published.leaky or model.published.clipped}
    scores = [score_model(model, dataset, oof, others.get(name)) for name, model in recipes().items()]
    text = printed(*score_tables(scores))
    found = words(text)
    assert text.count("↳") == len(others) == 3 and {"phase", "‡", "clipped", "§"} <= found
    rows = [each.words() for each in scores]
    hidden = ("OOF, same rows", "rows covered")  # the second one is 100 % in all rows
    assert {word for row in rows for name, cell in row.items() if name not in hidden for word in cell.split()} <= found
    assert {"ROC-AUC,", "AP,", "top", "published"} <= found and "covered" not in found
    assert all(model.title in text for model in recipes().values()), "names are on one line"
    partly = score_model(recipes()["deepinsight-efficientnet-b3"], dataset, oof.iloc[:100])
    tables = score_tables([scores[0], partly])
    text = printed(*tables)
    assert len(tables) == 4 and partly.model.title in text, "a further table before a name is broken"
    assert {"covered", f"{100 / len(oof):.0%}", "published", partly.model.cv_text.split()[0]} <= words(text)


def test_names_of_models_are_whole_in_every_table():
    names = list(recipes())
    merged = number_table("a/long/folder/of/weights", "model", "units taken", "there before", "still to train")
    for name in names:
        merged.add_row(name, "1,000", "1,000", "1,000")
    assert set(names) <= words(printed(merged))

    weights = pd.Series(1 / len(names), names)
    score = MethodResult(weights, 0.015, 0.014, 0.015, -12e-6, (-20e-6, 20e-6), 1234.5)
    methods = dict.fromkeys(("slsqp", "tpe", "per-target"), score)
    found = SearchResult(methods, "slsqp", pd.Series(0.015, names), names[0], 21_948, True)
    text = printed(*blends._search_tables(found, dict.fromkeys(names, "drug-aware-10")))
    assert {*names, *methods} <= words(text) and "0.015000" in text


def test_ablations_are_listed_with_whole_names():
    text = printed(ablations._list_table(ABLATIONS.values()))
    assert set(ABLATIONS) <= words(text)
    arms = {arm.name for each in ABLATIONS.values() for comparison in each.comparisons for arm in comparison}
    inside = re.sub(r"[\s│]", "", "".join(line.split("│")[3] for line in text.splitlines() if line.count("│") == 4))
    assert all(arm in inside for arm in arms), "long ones break over lines"


def test_a_comparison_with_the_winners_fits():
    log = winners.logs("simple-nn-old-cv")[0]
    losses = [0.0163312, 0.0163312, 0.0163312, -0.0001234]
    columns = ["seed", "fold", "ours", "theirs", "fold_mean", "difference"]
    units = pd.DataFrame([[1513, 4, *losses]], columns=columns)
    text = printed(compare._units(Comparison(log, units, 0.0163, 0.0163, (1, 30), 0.000456, 0.000456)))
    assert "0.016331" in text and "unremarkable" in text


def test_benchmarks_fit():
    row = {"part": "csv to submission, as a process", "growth": "rows", "rows": 64_000, "way": "moa, csv seen before"}
    table = pd.DataFrame([{**row, "seconds_min": 123.456, "peak_mib": 12345.6, "ratio": 1.234}])
    assert "123.5" in printed(shown("prediction, 8m36s", table))
    line = {"what": "training step, 2 members at a time", "gflop": 123.4567, "product_ms": 1234.5, "moa_ms": 1234.5}
    printed(shown("roofline, 1m", pd.DataFrame([line | {"over_product": 479.1234}])))
    printed(shown("agreement, 1m", pd.DataFrame([{"what": "validation loss", "largest": 1.788e-07, "scale": 0.6255}])))


def test_text_is_never_cut():
    table = text_table("", "name", "value")
    table.add_row("n" * 100, "v" * 100)
    text = printed(table)
    assert text.count("n") - "name".count("n") == 100 and text.count("v") - "value".count("v") == 100


def test_commands_make_their_tables_here():
    """A table made elsewhere would cut what does not fit."""
    modules = [
        path for path in (FINAL / "moa" / "cli").glob("*.py") if path.name not in ("console.py", "measure_tables.py")
    ]
    assert [path.name for path in modules if re.search(r"\bTable\(", path.read_text())] == []


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
@pytest.mark.parametrize("command", [["models"], ["ablate", "--list"], ["train", "--help"], ["train", "nope"]])
def test_output_that_is_not_utf8(command, encoding):
    variables = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-m", "moa.cli", *command], capture_output=True, env=variables)
    assert done.returncode == (2 if "nope" in command else 0), done.stderr
    text = (done.stdout + done.stderr).decode(encoding)
    assert "Traceback" not in text and len(text) > 50


def test_memory_that_runs_out_is_one_line(capsys):
    def command():
        raise MemoryError("Unable to allocate 40.0 GiB")

    with pytest.raises(SystemExit) as ended:
        run(command)
    assert ended.value.code == 2
    expected = "error: not enough memory (Unable to allocate 40.0 GiB); give less at once, or use a machine with more\n"
    assert capsys.readouterr().err == expected
