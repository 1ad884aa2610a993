"""``moa data import``: from a laboratory's files to a data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from moa.cli.console import out, text_table
from moa.cli.data import app

#: Headings of groups of options in the help.
FIELDS = "Columns (known names of CMap, pycytominer and AnnData are found)"
VALUES, LABELS, MODEL = "Values", "Mechanisms", "What models get"


def _column(option: str, what: str) -> typer.models.OptionInfo:
    return typer.Option(option, help=f"Column of {what}.", metavar="COLUMN", rich_help_panel=FIELDS)


@app.command("import")
def data_import(
    files: Annotated[
        list[Path],
        typer.Argument(help="GCT, GCTX, csv, tsv, parquet or .h5ad, also gzipped; several plates at once."),
    ],
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write.")],
    wells: Annotated[
        list[Path] | None,
        typer.Option(help="Plate map to join on plate and well, whatever its columns are called; can be repeated."),
    ] = None,
    moa: Annotated[
        Path | None,
        typer.Option(help="Table of mechanisms, by compound or by compound and dose.", rich_help_panel=LABELS),
    ] = None,
    plate: Annotated[str | None, _column("--plate", "plates")] = None,
    well: Annotated[str | None, _column("--well", "places on the plate")] = None,
    compound: Annotated[str | None, _column("--compound", "compounds")] = None,
    dose: Annotated[str | None, _column("--dose", "doses, with units or without")] = None,
    time: Annotated[str | None, _column("--time", "times of treatment")] = None,
    cell_line: Annotated[str | None, _column("--cell-line", "cell lines")] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="How vehicle controls are recognised: COLUMN=VALUE, COLUMN=VALUE,VALUE, or the name of a compound.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    gene_id: Annotated[str | None, _column("--gene-id", "Entrez ids (a row field)")] = None,
    gene_symbol: Annotated[str | None, _column("--gene-symbol", "gene symbols (a row field)")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(help="A column that is not a feature; can be repeated.", metavar="COLUMN", rich_help_panel=FIELDS),
    ] = None,
    plate_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose named groups become columns, such as `(?P<week>Week[0-9]+)_`.",
            rich_help_panel=FIELDS,
        ),
    ] = None,
    level: Annotated[
        str,
        typer.Option(
            help="3: log2 expression, made into robust z-scores; 4, 5: z-scores; raw: profiles to standardise; "
            "normalised; auto: recognised by the values.",
            rich_help_panel=VALUES,
        ),
    ] = "auto",
    against: Annotated[
        str,
        typer.Option(
            help="What values are compared with: vehicle wells, the whole plate, or auto: vehicle wells where a plate "
            "has at least six.",
            rich_help_panel=VALUES,
        ),
    ] = "auto",
    clip: Annotated[
        float,
        typer.Option(
            help="Clip the z-scores that are made here to ± this value; 0: no clipping.", min=0, rich_help_panel=VALUES
        ),
    ] = 10.0,
    genes: Annotated[
        str, typer.Option(help="Of L1000 files with inferred genes: landmark, or all.", rich_help_panel=VALUES)
    ] = "landmark",
    layer: Annotated[
        str | None, typer.Option(help="Layer of an .h5ad file to read instead of X.", rich_help_panel=VALUES)
    ] = None,
    most_missing: Annotated[
        float,
        typer.Option(
            help="Drop wells and features with a larger share of missing values.", min=0, max=1, rich_help_panel=VALUES
        ),
    ] = 0.05,
    select_features: Annotated[
        bool, typer.Option("--select-features", help="Select features by pycytominer.", rich_help_panel=VALUES)
    ] = False,
    merge_replicates: Annotated[
        bool,
        typer.Option("--merge-replicates", help="Merge a treatment's wells (level 5, MODZ).", rich_help_panel=VALUES),
    ] = False,
    mechanism: Annotated[
        str | None,
        typer.Option(help="Column of mechanisms, in the files or in --moa.", metavar="COLUMN", rich_help_panel=LABELS),
    ] = None,
    moa_separator: Annotated[
        str, typer.Option(help="What stands between several mechanisms of a compound.", rich_help_panel=LABELS)
    ] = "|",
    least_compounds: Annotated[
        int, typer.Option(help="Keep targets that at least this many compounds have.", min=1, rich_help_panel=LABELS)
    ] = 2,
    unannotated: Annotated[
        str,
        typer.Option(
            help="Wells without a known mechanism: test (rows to predict), train (as negatives) or drop.",
            rich_help_panel=LABELS,
        ),
    ] = "test",
    conditions: Annotated[
        str | None,
        typer.Option(
            help="Conditions that models take: dose, time or columns, with commas; none.  "
            "[default: dose and time where they vary]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Name of the features' group, where the file names none.", rich_help_panel=MODEL),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the assay.  [default: that of the folder]", rich_help_panel=MODEL)
    ] = None,
) -> None:
    """Make a data folder of plates as they come from the laboratory: L1000, Cell Painting, or any other assay.

    What was guessed, dropped and set aside is printed, and stored in the folder (import.txt, import.json).

    **moa data import plate.gct --moa repurposing_drugs.txt --out data/my-assay**

    **moa data import profiles.csv.gz --wells platemap.csv --moa mechanisms.csv --out data/screen**
    """
    from moa.importing.import_plates import import_plates
    from moa.importing.options import ImportOptions

    columns = {
        "plate": plate,
        "well": well,
        "compound": compound,
        "dose": dose,
        "time": time,
        "cell_line": cell_line,
        "mechanism": mechanism,
    }
    column, equals, values = (control or "").rpartition("=")
    if equals:
        columns["control"] = column
    result = import_plates(
        files,
        out_dir,
        ImportOptions.chosen(
            name=name,
            columns={field: stated for field, stated in columns.items() if stated},
            control_values=tuple(filter(None, (value.strip() for value in values.split(",")))),
            gene_id=gene_id,
            gene_symbol=gene_symbol,
            metadata=tuple(metadata or ()),
            group=group,
            genes=genes,
            layer=layer,
            wells=tuple(wells or ()),
            moa=moa,
            moa_separator=moa_separator,
            plate_pattern=plate_pattern,
            level=level,
            against=against,
            clip=clip or None,
            select_features=select_features,
            merge_replicates=merge_replicates,
            most_missing=most_missing,
            least_compounds=least_compounds,
            unannotated=unannotated,
            conditions=None if conditions is None else tuple(part.strip() for part in conditions.split(",")),
        ),
    )
    table = text_table(escape(f"{result.folder}: imported"))
    for what, value in result.counts:
        table.add_row(what, value)
    out.print(table)
    for line in result.notes.lines():
        out.print(line, markup=False, highlight=False, soft_wrap=True)
