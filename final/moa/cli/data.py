"""``moa data``: download, generate and check the competition's files, and import a laboratory's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import group, out, text_table
from moa.cli.expansion import expanded
from moa.cli.options import DataDir, folders
from moa.cli.stopping import on_stop
from moa.importing.options import ImportOptions
from moa.words import counted

app = group("Download, generate and check the competition's files.")


@app.command("check")
def data_check(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of the competition's files.  [default: data; without data there, output/demo/data]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Read the files, compare them with the schema and with what was imported, and list every problem."""
    from moa.data.check_folder import check_folder

    folder = folder or folders().data
    found = check_folder(folder)
    table = text_table(escape(f"{folder}: no problems found"))
    for name, value in found:
        table.add_row(name, value)
    out.print(table)


@app.command("synthesize")
def data_synthesize(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    rows: Annotated[int, typer.Option(help="Number of training rows.")] = 23_814,
    test_rows: Annotated[int, typer.Option(help="Number of test rows.")] = 3_982,
    seed: Annotated[int, typer.Option(help="Seed of the random generator.")] = 0,
) -> None:
    """Generate a synthetic data set with exactly the competition's schema, and with a signal that can be learned."""
    from moa.data.synthetic import synthesize

    with out.status(f"writing {rows:,} + {test_rows:,} synthetic rows to {folder}"):
        synthesize(folder, rows=rows, test_rows=test_rows, seed=seed)
    out.print(f"{folder}: synthetic data, {rows:,} training and {test_rows:,} test rows")


@app.command("synthesize-plate")
def data_synthesize_plate(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    compounds: Annotated[int, typer.Option(help="Number of compounds, each at six doses.")] = 48,
    mechanisms: Annotated[int, typer.Option(help="Number of mechanisms.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of the random generator.")] = 0,
) -> None:
    """Make up an L1000 plate as a laboratory's files, to try `moa data import` with: a GCT file and mechanisms."""
    from moa.data.synthetic_plate import synthesize_plate

    with out.status(f"writing a plate to {folder}"):
        plate, table = synthesize_plate(folder, compounds, mechanisms, seed)
    out.print(f"made up {plate} and {table.name}; now run: moa data import {plate} --moa {table} --out DIR")


@app.command("shuffle")
def data_shuffle(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")],
    data: DataDir = None,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="Exchange the profiles of treatments, and leave labels as they are.")
    ] = False,
) -> None:
    """Copy a data set with the labels of its compounds exchanged: a control for training.

    Train on the copy, with another --weights folder, and score it there: what is better than chance is not learned.
    """
    from moa.data.shuffled import exchange_data, shuffle_data

    source = folders(None, data).data
    with out.status(f"copying {source} to {folder}"):
        count = (exchange_data if profiles else shuffle_data)(source, folder, seed)
    noun, exchanged = ("treatment", "profiles") if profiles else ("compound", "labels")
    what = f"rows, since {noun}s are not known," if count is None else counted(count, noun)
    out.print(f"{folder}: the {exchanged} of {what} are exchanged")


@app.command("download")
def data_download(folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = Path("data")) -> None:
    """Download the real competition files with the kaggle client and your token (KAGGLE_API_TOKEN)."""
    from moa.data.download import download

    on_stop(f"nothing was changed in {folder}; run the same command again")
    download(folder)
    out.print(f"{folder}: holds the competition's files; now run: moa data check {folder}")


@app.command("import")
@expanded
def data_import(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="GCT, GCTX, csv, tsv, parquet or .h5ad, also gzipped, or .npy beside a table of its rows; several "
            "plates at once."
        ),
    ],
    options: ImportOptions,
    out_dir: Annotated[Path | None, typer.Option("--out", help="Folder to write.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the mapping and what there is to say, and write nothing.")
    ] = False,
) -> None:
    """Make a data folder of plates as they come from the laboratory: L1000, Cell Painting, or any other assay.

    What was guessed, dropped and set aside is printed, and stored in the folder (import.txt, import.json). What each
    column is and how the wells were read is in mapping.yaml, which --mapping applies to further plates. Settings that
    are no options here, such as least_compounds, are in it too, each with what it does; --dry-run prints them.

    **moa data import plate.gct --moa repurposing_drugs.txt --out data/my-assay**

    **moa data import profiles.csv.gz --wells platemap.csv --moa mechanisms.csv --out data/screen**
    """
    from moa.errors import UserError
    from moa.importing.import_plates import import_plates, plan_import

    if dry_run:
        plan = plan_import(files, options)
        out.print(plan.mapping.text().rstrip(), markup=False, highlight=False, soft_wrap=True)
        for line in plan.notes.lines():
            out.print(f"# {line}", markup=False, highlight=False, soft_wrap=True)
        return
    if out_dir is None:
        raise UserError("moa data import: name the folder to write with --out, or give --dry-run")
    result = import_plates(files, out_dir, options)
    table = text_table(escape(f"{result.folder}: imported"))
    for what, value in result.counts:
        table.add_row(what, value)
    out.print(table)
    for line in result.notes.lines():
        out.print(line, markup=False, highlight=False, soft_wrap=True)
