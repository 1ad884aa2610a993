"""Tables of the command line fit a terminal of 80 columns."""

from rich.console import Console

from moa.cli.console import score_table
from moa.models.registry import recipes


def test_the_score_table_cuts_no_name_and_no_figure():
    scores = {"treated rows": "0.01793", "all rows": "0.01652", "prevalence": "0.02357", "rows covered": "100%"}
    rows = [
        {"model": model.title, **scores, "OOF, same rows": "0.01793", "published CV": model.published.cv_text}
        for model in recipes().values()
    ]
    console = Console(width=80, record=True)
    console.print(score_table(rows))
    text = console.export_text()
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    words = {word for row in rows for name, cell in row.items() if name != "OOF, same rows" for word in cell.split()}
    assert words <= set(text.replace("│", " ").split())
