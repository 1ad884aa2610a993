"""Tables of the command line fit a terminal of 80 columns."""

from rich.console import Console

from moa.cli.console import score_tables
from moa.jobs.train import score_row
from moa.models.registry import recipes


def test_the_score_tables_cut_no_name_and_no_figure(dataset):
    oof = dataset.scored[dataset.treated] * 0.5 + 0.25
    rows = [score_row(model, dataset, oof) for model in recipes().values()]
    console = Console(width=80, record=True)
    console.print(*score_tables(rows), sep="\n")
    text = console.export_text()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    words = {word for row in rows for name, cell in row.items() if name != "OOF, same rows" for word in cell.split()}
    assert words <= set(text.replace("│", " ").split())
    assert {"ROC-AUC,", "AP,", "top", "published"} <= set(text.replace("┃", " ").split())
