"""Find columns by the names that CMap (L1000), pycytominer, JUMP and AnnData files use for a well's fields."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from moa.errors import UserError
from moa.importing.headings import DOSE_UNITS, TIME_UNITS, Heading, heading, plain_name, split_words
from moa.words import listed

MARKED = re.compile(r"^(?:[A-Za-z]+_)?Metadata_", re.IGNORECASE)


#: Known names of each field, as ``plain_name`` writes them, the best first.
KNOWN: dict[str, tuple[str, ...]] = {
    field: split_words(names)
    for field, names in {
        "plate": """
            det_plate rna_plate plate plate_id plateid plate_name assay_plate_barcode plate_barcode barcode
            plate_dapi
        """,
        "well": """
            det_well rna_well well well_id wellid well_name well_position wellposition pert_well well_dapi plate_well
            position
        """,
        "compound": """
            pert_iname cmap_name compound_name compound drug_name drug common_name molecule product_name pert_name
            perturbation compound_id drug_id broad_sample pert_id broad_id jcp2022 inchikey smiles treatment
        """,
        "dose": """
            pert_idose pert_dose dose dose_value dose_um concentration conc concentration_um conc_um
            compound_concentration micromolar mmoles_per_liter cp_dose
        """,
        "dose_unit": "pert_dose_unit dose_unit dose_units concentration_unit concentration_units",
        "time": """
            pert_itime pert_time time time_h timepoint time_point hours treatment_time incubation_time exposure_time
            cp_time
        """,
        "time_unit": "pert_time_unit time_unit time_units",
        "control": """
            control_type pert_type broad_sample_type sample_type well_type is_control control well_role role cp_type
        """,
        "mechanism": "moa moas mechanism_of_action mechanism mechanisms moa_name pert_moa",
        "cell_line": "cell_id cell_line cell_iname cell_mfc_name cell cell_type",
        "identifier": """
            pert_iname pert_id broad_id broad_sample pert_mfc_id inchikey14 inchikey smiles inchi_key pert_mfc_desc
            compound_name compound drug drug_name cmap_name jcp2022
        """,
    }.items()
}
#: Words that headings of a field consist of, besides those that say nothing, such as "final" in "Final conc.".
_STEMS = tuple(
    (field, frozenset(stems.split()), frozenset(others.split()))
    for field, stems, others in (
        (
            "dose",
            "dose doses dosage conc concn concentration concentrations molarity micromolar nanomolar millimolar um nm "
            "konzentration konz dosis concentración",
            "final nominal compound cpd cmpd drug treatment test pert cp value well assay working in the of target",
        ),
        (
            "time",
            "time timepoint hours hour hrs incubation duration zeit dauer zeitpunkt inkubationszeit behandlungszeit "
            "temps durée tiempo",
            "exposure treatment compound drug point post after of total final pert cp in the length",
        ),
        (
            "plate",
            "plate barcode plates platte platten plattennummer plattenname plaque placa",
            "no nr num number id name assay code label index the of nummer numéro número nom nombre de la",
        ),
        (
            "well",
            "well wells position vertiefung kavität puits pozo pocillo",
            "id name no number nr pos location address assay plate of nom nombre de la",
        ),
        (
            "compound",
            "compound compounds cpd cmpd drug molecule chemical agent perturbagen perturbation treatment substance nsc "
            "substanz verbindung wirkstoff composé molécule traitement compuesto fármaco",
            "name names nom nombre du del de id common generic product label test the code no number of",
        ),
        ("control", "control controltype", "type class kind is well sample"),
        ("mechanism", "moa mechanism moas", "of action annotated known primary label name the compound drug"),
        ("mechanism", "mode action", "of"),
        ("mechanism", "wirkmechanismus mécanisme mecanismo", "d de action acción"),
        (
            "cell_line",
            "line cellline zelllinie zellinie lignée línea",
            "cell cells name id the cellulaire celular",
        ),
        ("batch", "batch run", "no id number name nr experimental experiment assay screen screening of"),
    )
)
_DOSE_WORDS = next(stems for field, stems, _ in _STEMS if field == "dose") - {"um", "nm"}
#: Words of headings of metadata that is no field.
_METADATA_WORDS = frozenset(
    split_words("""
    dose doses dosage conc concn concentration concentrations molarity time timepoint hours hour date day week month
    year timestamp plate plates barcode well wells row col column site sites field fields fov position replicate
    replicates rep passage batch run experiment donor count counts cellcount ncells id ids identifier cid nsc cas
    pubchem chembl uuid accession index number no nr code mw weight formula logp tpsa purity mass smiles inchi inchikey
    compound compounds drug cpd treatment sample vendor lot url path file filename image object parent metadata moa
    mechanism target targets control type channel exposure version ref reference organism species significant
    """)
)
#: Words of metadata that are no field but are no feature either, where a table does not mark its metadata.
ALSO_METADATA = frozenset(
    split_words("""
    sig_id id cid replicate replicates batch batch_id row col column site imagenumber tablenumber objectnumber
    plate_map_name target targets solvent week pert_id_vendor x y n_cells cell_count count_cells passage donor
    sample sample_id
    """)
)


def is_known(column: str) -> bool:
    """Whether a column has a name that some field is known by, or consists of the words of one field."""
    name = plain_name(column)
    return name in ALSO_METADATA or any(name in names for names in KNOWN.values()) or field_of(column) is not None


def field_of(column: str) -> str | None:
    """The field that a heading names by its words and unit, such as "dose" for "Final conc. (µM)"; None for none."""
    found = heading(column)
    return next((field for field, _ in fields_of(found)), None)


def fields_of(found: Heading) -> Iterator[tuple[str, int]]:
    """The fields that a heading can name, and how many words it has besides: the fewer, the better."""
    words = set(found.words)
    for field, stems, others in _STEMS:
        in_dose, in_time = found.unit in DOSE_UNITS, found.unit in TIME_UNITS
        if found.unit and (in_dose != (field == "dose") or in_time != (field == "time")):
            continue
        named = words & stems or (in_dose and found.unit != "%")  # "Compound (µM)" is a dose
        if words and named and not words - stems - others:
            yield field, len(words - stems)


#: Words of headings of columns that name compounds in another way.
_IDENTIFIERS = frozenset(
    split_words("brd broad inchikey inchi smiles cid nsc cas chembl pubchem jcp2022 iupac pert mfc")
)


def is_identifier(column: str) -> bool:
    """Whether a heading says that a column names compounds by an id or a structure."""
    words = set(heading(column).words)
    return plain_name(column) in KNOWN["identifier"] or bool(words & _IDENTIFIERS and not words & {"url", "batch"})


#: What a feature is a summary of, as Harmony and Columbus write it: "Nuclei - Area [µm²] - Mean per Well".
_PER = re.compile(r"\bper (?:well|field|image|object|cell)\b", re.IGNORECASE)


def names_metadata(column: str) -> bool:
    """Whether a heading has a word that no feature's name has, such as "id", "count" or "date"."""
    return bool(_METADATA_WORDS.intersection(heading(_PER.sub("", column)).words))


def names_dose(column: str) -> bool:
    """Whether a heading has a word or a unit of doses, whatever else it has."""
    found = heading(column)
    return found.unit in DOSE_UNITS or bool(_DOSE_WORDS.intersection(found.words))


def find_column(columns: Iterable[str], name: str, option: str) -> str:
    """The column of that name; "Metadata_" and the case of letters may be left out if only one column fits.

    Raises:
        UserError: there is no such column, or several.
    """
    columns = [str(column) for column in columns]
    if name in columns:
        return name
    alike = [column for column in columns if plain_name(column) == plain_name(name)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise UserError(f"{option} {name}: fits the columns {listed(alike)}; write the one you mean in full")
    near = difflib.get_close_matches(name, columns, 3, 0.5) or columns
    raise UserError(f"{option} {name}: no such column; there {f'are {listed(near, 6)}' if near else 'is none'}")


def refuse_repeated(names: Iterable[object], what: str, fix: str = "give each its own") -> None:
    """Refuse names of columns, wells or features of which one occurs twice.

    Raises:
        UserError: a name occurs twice; ``what``, the file and the thing named, starts the message, ``fix`` ends it.
    """
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{what} '{twice}' occurs twice; {fix}")
