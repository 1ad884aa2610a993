"""Files of every format that an import reads, and random damage to them: bytes, lengths, sizes, types and links."""

import gzip
import random
import shutil
from contextlib import suppress

import h5py
import numpy as np
import pandas as pd

from support.assays import cell_painting, l1000_plate, write_gct, write_gctx, write_h5ad

#: Cells that are no measurement, or that no program expects.
ODD_CELLS = (
    "",
    "nan",
    "1e39",
    "-1e999",
    "1,5",
    "x\x1b[2Jy",
    "9" * 5000,
    "=1+1",
    '"',
    "\ufeff",
    "0x10",
    "-666",
    "\x00",
    "²",
)
_NUMBERS = (0, 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1)


def write_files(folder):
    """A small file of each format; returns their paths by format."""
    screen = cell_painting(wells=24, features=9, compounds=4, mechanisms=2)
    genes = pd.DataFrame(
        {"pr_gene_id": ["5720", "55847", "7416"], "pr_gene_symbol": ["PSME1", "CISD1", "VDAC1"]},
        index=["200814_at", "218597_s_at", "217140_s_at"],
    )
    plate = l1000_plate([{"id": probe} for probe in genes.index], wells=24, vehicle=8)
    files = {
        "gct": write_gct(folder / "plate.gct", plate.values, plate.wells, genes),
        "gctx": write_gctx(folder / "plate.gctx", plate.values, plate.wells, genes),
        "csv": folder / "screen.csv",
        "parquet": folder / "screen.parquet",
    }
    for x, layout in (("dense", "new"), ("csr", "old"), ("csc", "records")):
        files[f"{layout}.h5ad"] = write_h5ad(folder / f"{layout}.h5ad", screen.values, screen.wells, x, layout)
    with h5py.File(folder / "packed.h5ad", "w") as packed, h5py.File(files["new.h5ad"]) as file:
        for name in ("obs", "var"):
            file.copy(name, packed)
        packed.create_dataset("X", data=file["X"][:], chunks=(8, 9), compression="gzip", shuffle=True, fletcher32=True)
    files["packed.h5ad"] = folder / "packed.h5ad"
    screen.table.to_csv(files["csv"], index=False)
    screen.table.to_parquet(files["parquet"])
    for name in ("csv", "gctx"):
        files[f"{name}.gz"] = folder / f"{name}.gz"
        files[f"{name}.gz"].write_bytes(gzip.compress(files[name].read_bytes(), mtime=0))
    return files


def mutated(path, target, seed):
    """Write a copy of a file to ``target`` with damage that the seed chooses; returns what was done, in words."""
    chance = random.Random(seed)
    shutil.copyfile(path, target)
    packed = path.suffix == ".gz"
    if packed and chance.random() < 0.3:
        return _bytes(target, chance)
    if packed:
        target.write_bytes(gzip.decompress(target.read_bytes()))
    kinds = [_bytes] * 3
    kinds += [_object] * 3 if h5py.is_hdf5(target) else [_cell] * 2 if path.suffix != ".parquet" else []
    what = chance.choice(kinds)(target, chance)
    if packed:
        target.write_bytes(gzip.compress(target.read_bytes(), 1, mtime=0))
    return what


def _bytes(path, chance):
    raw = bytearray(path.read_bytes())
    first = chance.randrange(len(raw))
    length = min(len(raw) - first, 1 << chance.randrange(8))
    what = chance.choice(("flip", "number", "zeros", "random", "cut", "delete", "repeat"))
    if what == "flip":
        for place in [first, *(chance.randrange(len(raw)) for _ in range(chance.randrange(8)))]:
            raw[place] ^= 1 << chance.randrange(8)
    elif what == "number":
        size = chance.choice((2, 4, 8))
        raw[first : first + size] = (chance.choice(_NUMBERS) % 256**size).to_bytes(size, "little")
    elif what == "zeros":
        raw[first : first + length] = bytes(length)
    elif what == "random":
        raw[first : first + length] = chance.randbytes(length)
    elif what == "cut":
        del raw[first:]
    elif what == "delete":
        del raw[first : first + length]
    else:
        raw[first:first] = raw[first : first + length]
    path.write_bytes(raw)
    return f"{what} at {first}"


def _cell(path, chance):
    separator = "\t" if path.suffix == ".gct" else ","
    lines = path.read_text(encoding="utf-8").split("\n")
    row = chance.randrange(len(lines))
    cells = lines[row].split(separator)
    column = chance.randrange(len(cells))
    cells[column] = chance.choice(ODD_CELLS)
    lines[row] = separator.join(cells)
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"line {row + 1}, cell {column + 1}: {cells[column][:20]!r}"


def _object(path, chance):
    """Exchange an object of an HDF5 file for another one."""
    with h5py.File(path, "a") as file:
        names = []
        file.visit(names.append)
        name, other = chance.choice(names), chance.choice(names)
        length = len(file[name]) if isinstance(file[name], h5py.Dataset) and file[name].shape else 3
        what = chance.choice(sorted(_OBJECTS))
        del file[name]
        with suppress(RuntimeError, ValueError, OSError, KeyError, TypeError):  # as a link into what was removed
            _OBJECTS[what](file, name, other, length)
    return f"{name}: {what}"


_OBJECTS = {
    "missing": lambda file, name, other, length: None,
    "external link": lambda file, name, other, length: file.__setitem__(name, h5py.ExternalLink("other.h5", "/x")),
    "link to nothing": lambda file, name, other, length: file.__setitem__(name, h5py.SoftLink("/nowhere")),
    "link to another": lambda file, name, other, length: file.__setitem__(name, h5py.SoftLink(f"/{other}")),
    "link to itself": lambda file, name, other, length: file.__setitem__(name, h5py.SoftLink(f"/{name}")),
    "the root": lambda file, name, other, length: file.__setitem__(name, file["/"]),
    "a group": lambda file, name, other, length: file.create_group(name),
    "numbers": lambda file, name, other, length: file.create_dataset(name, data=np.arange(length)),
    "text": lambda file, name, other, length: file.create_dataset(name, data=["µ\x1b[2J"] * length),
    "latin-1": lambda file, name, other, length: file.create_dataset(name, data=np.array([b"10 \xb5M"] * length)),
    "a scalar": lambda file, name, other, length: file.create_dataset(name, data=1.5),
    "nothing": lambda file, name, other, length: file.create_dataset(name, data=h5py.Empty("f4")),
    "no rows": lambda file, name, other, length: file.create_dataset(name, shape=(0,), dtype="f4"),
    "lists": lambda file, name, other, length: file.create_dataset(name, (length,), h5py.vlen_dtype(np.int32)),
    "references": lambda file, name, other, length: file.create_dataset(name, (length,), h5py.ref_dtype),
    "records": lambda file, name, other, length: file.create_dataset(
        name, data=np.zeros(length, [("a", "f4"), ("b", "S3")])
    ),
    "infinity": lambda file, name, other, length: file.create_dataset(name, data=np.full((length, 9), np.inf)),
    "a bomb": lambda file, name, other, length: file.create_dataset(
        name, (10**5, 10**5), "f4", chunks=(10**3, 10**3), compression="gzip"
    ),
    "wide": lambda file, name, other, length: file.create_dataset(name, (length, 10**9), "f4"),
    "virtual": lambda file, name, other, length: file.create_virtual_dataset(name, _layout(length), fillvalue=0),
    "elsewhere": lambda file, name, other, length: file.create_dataset(
        name, (length,), "f4", external=[("elsewhere.bin", 0, length * 4)]
    ),
}


def _layout(length):
    layout = h5py.VirtualLayout((length,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (length,))
    return layout


def mutated_folder(folder, target, seed):
    """A copy of an imported folder with damage to one file; returns its name and what was done."""
    chance = random.Random(seed)
    shutil.copytree(folder, target)
    path = chance.choice([path for path in sorted(target.iterdir()) if path.name != "import.json"])
    before = path.read_bytes()
    what = _bytes(path, chance)
    if path.read_bytes() == before:
        path.unlink()
        what = "removed"
    return f"{path.name}: {what}"
