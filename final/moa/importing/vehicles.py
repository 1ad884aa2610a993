"""Recognise vehicles, positive controls and empty wells by the words and codes that files use for them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from typing import Literal

from moa.importing.fields import split_words

#: What a word says of a well. "control": a control, of which kind the compound says.
Kind = Literal["vehicle", "positive", "control", "untreated", "empty", "treated"]

#: Words of each kind of well, as ``word`` writes them; other words mean treated wells.
_KINDS: dict[Kind, frozenset[str]] = {
    "vehicle": frozenset(
        split_words("""
        ctl_vehicle vehicle vehicle_control negcon negative_control neg_control negative neg dmso neg_ctrl negctrl
        solvent solvent_control mock dmso_control ctl_vehicle_cns neg_con negativecontrol negative_ctrl vehicle_ctrl
        veh_ctrl control_vehicle control_negative control_neg ctrl_neg nc vc low_control neutral_control
        """)
    ),
    "positive": frozenset(
        split_words("""
        trt_poscon poscon poscon_cp poscon_diverse poscon_orf positive_control pos_control positive pos pos_ctrl posctrl
        trt_poscon_es pos_con positivecontrol positive_ctrl control_positive control_pos ctrl_pos pc high_control
        """)
    ),
    "control": frozenset(split_words("control ctrl ctl true 1 yes controls")),
    "untreated": frozenset(
        split_words("""
        ctl_untrt untreated untrt ctl_untrt_cns no_treatment media medium ctl_vector media_only medium_only cells_only
        untreated_control untreated_cells not_treated no_compound no_drug non_treated nontreated
        """)
    ),
    "empty": frozenset(split_words("empty blank no_cells unused background empty_well no_cell cell_free leer vide")),
}
#: Words of treated wells that need no note.
TREATED_WORDS = frozenset(split_words("trt_cp trt treated treatment compound test sample false 0 no"))
#: Words of solvents, and those that may stand beside them.
_SOLVENTS = frozenset(
    split_words("""
    dmso me2so vehicle veh water ddh2o dh2o h2o pbs saline ethanol etoh methanol meoh solvent mock
    """)
)
_BESIDE = frozenset(
    split_words("""
    control controls ctrl ctl con neg negative only alone final well wells in of with and the conc concentration
    vol v w vv wv volume percent pct medium media buffer sterile distilled deionized um mm nm m
    """)
)
#: Words that say what a well is only in a column that is known to say so.
_SHORT = frozenset(("nc", "vc", "pc", "true", "false", "0", "1", "yes", "no"))
#: Names of compounds that nobody knows.
_NAMELESS = frozenset(split_words("unknown unnamed unidentified not_available no_name unknown_compound not_known tbd"))
_TOKEN = re.compile(r"me2so|d*h2o|[^\W\d_]+")
#: Ids and structures of vehicles: DMSO by InChIKey, SMILES, CAS and ChEMBL; JUMP's codes of DMSO and of its negative
#: controls among guides and open reading frames.
_CODES: dict[Kind, frozenset[str]] = {
    "vehicle": frozenset(
        split_words("""
        IAZDPXIOMUYVGZ-UHFFFAOYSA-N IAZDPXIOMUYVGZ CS(C)=O CS(=O)C C[S](C)=O O=S(C)C 67-68-5 CHEMBL504
        JCP2022_033924 JCP2022_800001 JCP2022_800002 JCP2022_915128 JCP2022_915129 JCP2022_915130 JCP2022_915131
        """)
    ),
    "untreated": frozenset(("JCP2022_999999",)),
    "empty": frozenset(("JCP2022_UNKNOWN",)),
}


def word(value: object) -> str:
    """A word in lower case, with "_" between its parts."""
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFKC", str(value)).strip().lower()).strip("_")


def kind_of_type(value: object) -> Kind:
    """What a column of types says of a well."""
    text = word(value)
    return next((kind for kind, words in _KINDS.items() if text in words), "treated")


def are_types(values: Collection[object]) -> bool:
    """Whether the distinct values of a column say what wells are: each is a known word, and one means a vehicle."""
    words = {word(value) for value in values}
    known = TREATED_WORDS.union(*_KINDS.values()) - _SHORT
    return bool(words) and words <= known and any(kind_of_type(each) == "vehicle" for each in words)


def kind_of_compound(name: object) -> Kind:
    """What the name or id of its compound says of a well: a vehicle for "DMSO 0.1%", "0.5 % dimethyl sulfoxide"."""
    text = str(name).strip()
    for kind, codes in _CODES.items():
        if text in codes:
            return kind
    if is_solvent(text):
        return "vehicle"
    if word(text) in _NAMELESS:
        return "empty"
    kind = kind_of_type(text)
    # Two letters and numbers may be names of compounds; a control that holds no compound is a vehicle.
    if word(text) in _SHORT:
        return "treated"
    return "vehicle" if kind == "control" else kind


def is_solvent(name: str) -> bool:
    """Whether a name is that of a solvent, alone or with its strength or a word such as "control"."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    plain = re.sub(r"dimethyl[\W_]*sul(?:f|ph)oxide", "dmso", plain)
    tokens = _TOKEN.findall(plain)
    return any(token in _SOLVENTS for token in tokens) and all(
        token in _SOLVENTS or token in _BESIDE for token in tokens
    )
