"""The units of doses and times that files write, and what each is of the unit that the package calculates with."""

from __future__ import annotations

MICROMOLAR, MASS, PERCENT, ACTIVITY, HOURS = "µM", "µg/mL", "%", "U/mL", "h"
#: Factor and unit that a written unit becomes; keys as ``moa.importing.headings.plain_unit`` writes them.
DOSES: dict[str, tuple[float, str]] = {
    **dict.fromkeys(("m", "mol/l", "molar"), (1e6, MICROMOLAR)),
    **dict.fromkeys(("mm", "mmol/l", "millimolar"), (1e3, MICROMOLAR)),
    **dict.fromkeys(("um", "umol/l", "micromolar", "mcm"), (1.0, MICROMOLAR)),
    **dict.fromkeys(("nm", "nmol/l", "nanomolar"), (1e-3, MICROMOLAR)),
    **dict.fromkeys(("pm", "pmol/l", "picomolar"), (1e-6, MICROMOLAR)),
    **dict.fromkeys(("mg/ml", "g/l"), (1e3, MASS)),
    **dict.fromkeys(("ug/ml", "mcg/ml", "mg/l"), (1.0, MASS)),
    **dict.fromkeys(("ng/ml", "ug/l", "mcg/l"), (1e-3, MASS)),
    **dict.fromkeys(("pg/ml", "ng/l"), (1e-6, MASS)),
    **dict.fromkeys(("%", "percent"), (1.0, PERCENT)),
    **dict.fromkeys(("u/ml", "iu/ml", "units/ml"), (1.0, ACTIVITY)),
}
TIMES: dict[str, tuple[float, str]] = {
    **dict.fromkeys(("wk", "week", "weeks"), (168.0, HOURS)),
    **dict.fromkeys(("d", "day", "days"), (24.0, HOURS)),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), (1.0, HOURS)),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "m"), (1 / 60, HOURS)),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), (1 / 3600, HOURS)),
}
