"""``moa data import``: from a laboratory's files to a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import out, text_table
from moa.cli.data import app
from moa.cli.expansion import expanded
from moa.importing.options import ImportOptions


@app.command("import")
@expanded
def data_import(
    files: Annotated[
        list[Path],
        typer.Argument(help="GCT, GCTX, csv, tsv, parquet or .h5ad, also gzipped; several plates at once."),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    options: ImportOptions,
) -> None:
    """Make a data folder of plates as they come from the laboratory: L1000, Cell Painting, or any other assay.

    What was guessed, dropped and set aside is printed, and stored in the folder (import.txt, import.json).

    **moa data import plate.gct --moa repurposing_drugs.txt --out data/my-assay**

    **moa data import profiles.csv.gz --wells platemap.csv --moa mechanisms.csv --out data/screen**
    """
    from moa.importing.import_plates import import_plates

    result = import_plates(files, out_dir, options)
    table = text_table(escape(f"{result.folder}: imported"))
    for what, value in result.counts:
        table.add_row(what, value)
    out.print(table)
    for line in result.notes.lines():
        out.print(line, markup=False, highlight=False, soft_wrap=True)
