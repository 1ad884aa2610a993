"""Ways to damage the competition's files."""

import pandas as pd


def rewrite(change):
    """Corrupt a file as bytes."""
    return lambda path: path.write_bytes(change(path.read_bytes()))


def edit(path, change):
    """Change a file as a table of text, so that any cell can hold anything."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)


def cell(row, column, value):
    def change(table):
        table.loc[row, column] = value
        return table

    return change
