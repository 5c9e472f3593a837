"""Assurance patients: invented patients with a name, a story and the verdict that the protocol must give.

They are unit tests of a cohort definition, written beside it in TOML by those who know the disease, and can
be read by those who do not program. All patients of a file are built in one cohort.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.building import OWN, Analysis, build
from fiac_survival.cohort.canonical import schemas
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.examples import frame_of
from fiac_survival.cohort.reading import from_frames
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.files import read_text
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.results import Result

KEYS = {"name", "why", "person", "exposure", "event", "line_of_therapy", "expect"}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Assurance(Result):
    """What a protocol says of its assurance patients.

    Attributes
    ----------
    table : DataFrame
        patient, what, expected, got, agrees: one row for each thing expected.
    """

    @property
    def passed(self) -> bool:
        """Whether every verdict is the expected one."""
        return bool(self.table["agrees"].all())

    def raise_if_failed(self) -> None:
        """Refuse a cohort definition that gives another verdict than expected.

        Raises
        ------
        ProtocolError
            Naming the first patient.
        """
        wrong = self.table[~self.table["agrees"]]
        if len(wrong):
            first = wrong.iloc[0]
            raise ProtocolError(
                "the protocol must give every assurance patient the expected verdict",
                values={
                    "patient": first["patient"],
                    "what": first["what"],
                    "expected": first["expected"],
                    "got": first["got"],
                    "wrong": len(wrong),
                },
                remedy="correct the protocol, or the patient if the expectation was wrong",
            )


def assure(
    protocol: Protocol,
    path: str | Path,
    *,
    source: str | None = None,
    engine: Engine | Any = "duckdb",
) -> Assurance:
    r"""Build a cohort of assurance patients and compare with what is expected.

    Parameters
    ----------
    protocol : Protocol
        What they are to assure.
    path : str or Path
        TOML file: ``[[patients]]`` with name, why, person (a table without the column person), exposure,
        event and line_of_therapy (lists of tables likewise), and expect: ``included``, ``step`` (the label
        of the step that leaves the patient out) or any column of the analysis table.
    source : str, optional
        As for :func:`build`.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to build.

    Returns
    -------
    Assurance
        A verdict for each expectation.

    Raises
    ------
    DataError
        If the file breaks its form.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fiac_survival as fs
    >>> cohort, protocol = fs.cohort.example_cohort()
    >>> cohort.engine.close()
    >>> path = Path(tempfile.mkdtemp()) / "assurance.toml"
    >>> _ = path.write_text('''
    ... [[patients]]
    ... name = "seventeen years old"
    ... why = "children are treated under another protocol"
    ... person = {birth = 2002-06-01, sex = "female", follow_up_end = 2021-01-01}
    ... exposure = [{date = 2020-05-01, drug = "lenalidomide", kind = "drug"}]
    ... expect = {included = false, step = "Aged 18 or more"}
    ... ''', encoding="utf-8")
    >>> fs.cohort.assure(protocol, path).passed
    True
    """
    patients = _patients(Path(path))
    frames = {"person": _table("person", [[p["person"]] for p in patients])}
    for name in ("exposure", "event", "line_of_therapy"):
        if name != "line_of_therapy" or any(p.get(name) for p in patients):
            frames[name] = _table(name, [p.get(name, []) for p in patients])
    own = engine if isinstance(engine, Engine) else connect(engine)
    try:
        analysis = build(from_frames(frames, engine=own), protocol, source=source, allow_empty=True)
        rows = _compare(patients, analysis, own)
    finally:
        if own is not engine:
            own.close()
    return Assurance(table=rows)


def _patients(path: Path) -> list[dict[str, Any]]:
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as cause:
        raise DataError(
            "the file must be valid TOML",
            values={"file": path.name, "problem": cause},
            remedy="correct the file",
        ) from None
    patients = content.get("patients", [])
    names = [p.get("name", f"patient {i}") for i, p in enumerate(patients)]
    problem = "" if patients else "no [[patients]]"
    for name, patient in zip(names, patients, strict=True):
        unknown = sorted(set(patient) - KEYS)
        missing = sorted({"name", "why", "person", "expect"} - set(patient))
        if unknown or missing or names.count(name) > 1:
            problem = f"{name}: " + (
                f"unknown {unknown[0]}"
                if unknown
                else f"no {missing[0]}"
                if missing
                else "two of this name"
            )
            break
        if not patient["expect"]:
            problem = f"{name}: nothing is expected"
            break
    if problem:
        raise DataError(
            "assurance patients have a name, a reason, a person and what is expected",
            values={"file": path.name, "problem": problem},
            remedy=f"known keys: {', '.join(sorted(KEYS))}",
        )
    return list(patients)


def _table(name: str, of_each: list[list[dict[str, Any]]]) -> pd.DataFrame:
    rows = [{"person": i} | row for i, some in enumerate(of_each, start=1) for row in some]
    frame = frame_of(name, rows)
    # Every column that the schema knows, so that a protocol may name it.
    return frame.assign(**{c: None for c in schemas().tables[name].columns if c not in frame})


def _compare(patients: list[dict[str, Any]], analysis: Analysis, engine: Engine) -> pd.DataFrame:
    labels = dict(zip(analysis.attrition["step"], analysis.attrition["label"], strict=True))
    verdicts = engine.collect(analysis.verdicts, order_by=["person"])
    rows = []
    for (_, verdict), patient in zip(verdicts.iterrows(), patients, strict=True):
        step = int(verdict["excluded_at"])
        for what, expected in patient["expect"].items():
            got: Any
            match what:
                case "included":
                    got = step == 0
                case "step":
                    got = labels[step] if step else "none"
                case _ if what in verdicts.columns or what in OWN:
                    got = verdict[what]
                case _:
                    raise DataError(
                        "what is expected must be a column of the analysis table",
                        values={"patient": patient["name"], "column": what},
                        remedy=f"columns: {', '.join(analysis.rows.columns)}",
                    )
            shown = got.date() if isinstance(got, pd.Timestamp) else got
            rows.append(
                {
                    "patient": patient["name"],
                    "what": what,
                    "expected": str(expected),
                    "got": "missing" if pd.isna(shown) else _plain(shown),
                    "agrees": (expected == "missing")
                    if pd.isna(shown)
                    else bool(shown == expected),
                }
            )
    return pd.DataFrame(rows)


def _plain(value: Any) -> str:
    number = isinstance(value, float) and value.is_integer()
    return str(int(value)) if number else str(value)
