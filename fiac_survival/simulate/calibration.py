"""Simulated figures beside the published ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.outcome import Outcome
from fiac_survival.simulate.myeloma import MyelomaLines
from fiac_survival.simulate.myeloma_figures import (
    ALIVE,
    BY_LINE,
    BY_REGIMEN,
    CONTEXT,
    NEXT,
    POINTS,
    TARGETS,
)
from fiac_survival.survival import cox, kaplan_meier

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
MONTH = 30.4375
REGIMENS = ("VRd", "Rd", "DRd")
THREE = (
    ("lenalidomide", "thalidomide", "pomalidomide"),
    ("bortezomib", "carfilzomib"),
    ("daratumumab", "isatuximab"),
)


def myeloma_calibration(found: MyelomaLines) -> pd.DataFrame:
    """Compare simulated patients with the published figures.

    Hazard ratios are those within a line, of cause-specific Cox models with all factors, stratified by
    line, regimen, and eligibility for a transplant; renal impairment is the severity of the simulation.

    Parameters
    ----------
    found : MyelomaLines
        Simulated patients, some thousands.

    Returns
    -------
    DataFrame
        figure, published, simulated, relative_error, within_10_percent, kind ("target": the simulation is
        fitted to it; "context": shown beside), source.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = myeloma_calibration(fs.simulate.myeloma_lines(3_000, seed=1))
    >>> table["kind"].value_counts().to_dict()
    {'target': 23, 'context': 16}
    """
    lines, person = found.lines, found.person.set_index("person")
    eligible = lines["group"].str.startswith("transplant").to_numpy()
    number = lines["line"].to_numpy()
    first = lines[number == 1].set_index("person")["start"]
    early = lines["person"].isin(first.index[first < 2 * 365]).to_numpy()
    here: dict[str, float] = {}
    for line, to_transplant in ((1, False), (1, True), (2, False)):
        rows = lines[early & (number == line) & (eligible == to_transplant)]
        name = f"line {line}, {'transplant' if to_transplant else 'no transplant'}"
        here |= {f"{name}: {fate}": share for fate, share in _fates(rows).items()}
    dead = person["death"].notna().to_numpy()
    from_diagnosis = (person["follow_up_end"] - person["diagnosis"]).to_numpy() / MONTH
    curve = kaplan_meier(Outcome(from_diagnosis, dead))
    here["median survival from diagnosis, months"] = _median(from_diagnosis, dead)
    here["dead two years after diagnosis"] = 1.0 - float(curve.at([24.0])["survival"].iloc[0])
    for line in (1, 2, 4):
        survival = _survival(lines[number == line], person)
        here[f"median survival from line {line}, months"] = _median(*survival)
    said = "median time to next treatment"
    untreated = " (published: progression)"
    here[f"{said} from line 2, months{untreated}"] = _median(*_treatment(lines[number == 2]))
    for regimen in REGIMENS:
        rows = lines[(number == 1) & (lines["regimen"] == regimen).to_numpy()]
        here[f"{said}, {regimen} in line 1, months"] = _median(*_treatment(rows))
        here[f"median survival, {regimen} in line 1, months"] = _median(*_survival(rows, person))
    for regimen in ("Rd", "DRd"):
        name = f"{said}, {regimen} in line 1, months"
        here[f"{name}{untreated}"] = here[name]
    here |= _hazard_ratios(found) | _attrition(lines, eligible)
    here["median survival after three classes, months"] = _median(
        *_survival(_after_three_classes(found), person)
    )
    stated = [(*row[:2], "target", row[2]) for row in TARGETS]
    stated += [(*row[:2], "context", row[2]) for row in CONTEXT]
    table = pd.DataFrame(stated, columns=["figure", "published", "kind", "source"])
    table.insert(2, "simulated", table["figure"].map(here))
    table.insert(3, "relative_error", table["simulated"] / table["published"] - 1.0)
    table.insert(4, "within_10_percent", table["relative_error"].abs() <= 0.10)
    return table


def myeloma_curves(found: MyelomaLines, *, months: int = 96) -> pd.DataFrame:
    """Time to next treatment and survival by line and by first regimen, with the published medians.

    Parameters
    ----------
    found : MyelomaLines
        Simulated patients, some thousands.
    months : int, default 96
        Length of the curves.

    Returns
    -------
    DataFrame
        panel, series, kind ("curve", "target", "context"), month, survival, lower, upper, n_risk, source:
        Kaplan-Meier curves from each line's start (next treatment: the next line or death), and for each
        published median a row with the survival 0.5. A curve ends where it has no interval any more.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> curves = myeloma_curves(fs.simulate.myeloma_lines(3_000, seed=1))
    >>> curves["kind"].value_counts()[["target", "context"]].tolist()
    [6, 8]
    """
    lines, person = found.lines, found.person.set_index("person")
    number = lines["line"].to_numpy()
    parts = {(BY_LINE, f"Line {line}"): lines[number == line] for line in range(1, 5)}
    for regimen in REGIMENS:
        rows = (number == 1) & (lines["regimen"] == regimen).to_numpy()
        parts[BY_REGIMEN, regimen] = lines[rows]
    times = np.arange(months + 1, dtype=np.float64)
    tables = []
    for panel in (BY_LINE, BY_REGIMEN):
        for what in (NEXT, ALIVE):
            for (split, series), rows in parts.items():
                if split != panel:
                    continue
                outcome = _treatment(rows) if what == NEXT else _survival(rows, person)
                at = kaplan_meier(Outcome(*outcome)).at(times)
                columns = at[["time", "survival", "lower", "upper", "n_risk"]].dropna()
                tables.append(
                    columns.rename(columns={"time": "month"}).assign(
                        panel=f"{what}, {panel}", series=series, kind="curve", source=""
                    )
                )
    points = pd.DataFrame(POINTS, columns=["panel", "series", "month", "kind", "source"])
    table = pd.concat([*tables, points.assign(survival=0.5)], ignore_index=True)
    order = ["panel", "series", "kind", "month", "survival", "lower", "upper", "n_risk", "source"]
    return table[order]


def _fates(rows: pd.DataFrame, cut: int = 6 * 365) -> dict[str, float]:
    """Shares still in the line, dead and moved on when follow-up ends, six years after the first day."""
    rows = rows[rows["start"] < cut]
    still = (rows["start"] + rows["ttnt"] > cut) | (rows["end_reason"] == "censored")
    dead = (rows["end_reason"] == "death") & ~still
    return {
        "still in line": float(still.mean()),
        "died": float(dead.mean()),
        "next line": float((~still & ~dead).mean()),
    }


def _hazard_ratios(found: MyelomaLines) -> dict[str, float]:
    """Ratios within a line of moving on and of death: early relapse, cytogenetics, severity, frailty."""
    number = found.lines["line"]
    rows = found.lines[number <= found.formulary.lines]
    first = found.lines[number == 1].set_index("person")
    early = rows["person"].map(
        (first["end_reason"] == "switch") & (first["ttnt"] <= 12 * MONTH)
    ).to_numpy(dtype=bool)  # fmt: skip
    line, group = rows["line"].to_numpy(), rows["group"]
    x = pd.DataFrame(
        {
            "high": group.str.contains("high risk").to_numpy(),
            "frail": group.str.startswith("frail").to_numpy(),
            "severe": rows["severe"].to_numpy(),
            "early": early & (line == 2),
            "early_later": early & (line > 2),
        }
    ).astype(float)
    strata = rows["regimen"].astype(str).to_numpy() + " " + line.astype(str)
    strata = strata + group.str.startswith("transplant").astype(str).to_numpy()
    months = np.maximum(rows["ttnt"].to_numpy(), 0.5) / MONTH
    ratio = {}
    for outcome, reason in (("next line", "switch"), ("death", "death")):
        event = (rows["end_reason"] == reason).to_numpy()
        table = cox(Outcome(months, event), x, strata=strata).table
        ratio[outcome] = table.set_index("term")["hazard_ratio"]
    out = {
        "hazard ratio of the third line, early relapse": ratio["next line"]["early"],
        "hazard ratio of death, early relapse": ratio["death"]["early"],
        "hazard ratio of death, frail (published: age 65 and above)": ratio["death"]["frail"],
    }
    for name, term in (("high-risk cytogenetics", "high"), ("renal impairment", "severe")):
        out[f"hazard ratio of the next line, {name}"] = ratio["next line"][term]
        out[f"hazard ratio of death, {name}"] = ratio["death"][term]
    return {name: float(value) for name, value in out.items()}


def _attrition(lines: pd.DataFrame, eligible: Bools) -> dict[str, float]:
    """How many start each line, and who has one only, in all of the follow-up."""
    number = lines["line"].to_numpy()
    started = np.bincount(number, minlength=5)
    out = {f"start line {k}, of those who start line 1": started[k] / started[1] for k in (2, 3, 4)}
    for name, whom in (("no transplant", ~eligible), ("transplant", eligible)):
        share = (whom & (number == 2)).sum() / (whom & (number == 1)).sum()
        out[f"one line only, {name}"] = 1.0 - float(share)
    return out


def _after_three_classes(found: MyelomaLines) -> pd.DataFrame:
    """First line of each patient who has had an IMiD, a proteasome inhibitor and an anti-CD38 antibody."""
    lines = found.lines
    drugs = {r.name: set("+".join(r.records).split("+")) for r in found.formulary.regimens}
    had = np.ones(len(lines), dtype=np.bool_)
    for three in THREE:
        has = [name for name, given in drugs.items() if given & set(three)]
        given = lines["regimen"].isin(has).astype(np.int64)
        had &= (given.groupby(lines["person"]).cumsum() - given).to_numpy() > 0
    rows: pd.DataFrame = lines[had]
    return rows.drop_duplicates("person")


def _treatment(rows: pd.DataFrame) -> tuple[Floats, Bools]:
    months = np.maximum(rows["ttnt"].to_numpy() / MONTH, 0.5 / MONTH)
    return months, (rows["end_reason"] != "censored").to_numpy()


def _survival(rows: pd.DataFrame, person: pd.DataFrame) -> tuple[Floats, Bools]:
    who = person.loc[rows["person"]]
    months = (who["follow_up_end"].to_numpy() - rows["start"].to_numpy()) / MONTH
    return np.maximum(months, 1.0 / MONTH), who["death"].notna().to_numpy()


def _median(months: Floats, event: Bools) -> float:
    return float(kaplan_meier(Outcome(months, event)).quantile(0.5)["quantile"].iloc[0])
