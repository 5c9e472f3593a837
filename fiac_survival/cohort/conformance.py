"""Whether an engine gives the results of the embedded one.

Each check asks one thing of the engine and compares with a known answer, or with what the embedded engine
says. The last ones read a small cohort, examine it, find lines of therapy, count a risk table and write the
cohort; everything must be equal, written files byte for byte.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.conformance_checks import CHECKS, Check, rows
from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.lines import lines_of_therapy
from fiac_survival.cohort.quality import quality
from fiac_survival.cohort.reading import Cohort, read
from fiac_survival.cohort.risk_tables import risk_table
from fiac_survival.core.errors import FiacError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.population import Criterion
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable


@dataclass(frozen=True, eq=False, kw_only=True)
class Conformance(Result):
    """Answers of an engine.

    Attributes
    ----------
    table : DataFrame
        One row a check: check, what (must hold), expected, got, passed.
    engine : str
        Name of the engine.
    """

    engine: str

    @property
    def passed(self) -> bool:
        """Whether every answer is the expected one."""
        return bool(self.table["passed"].all())


def conformance(engine: Engine | Any, *, folder: str | Path | None = None) -> Conformance:
    """Check an engine against the embedded one.

    Parameters
    ----------
    engine : Engine or what :func:`connect` takes
        To be checked.
    folder : str or Path, optional
        An existing folder that every machine of the engine sees, for files of the checks; they are removed
        afterwards. Left out: this machine's folder for temporary files.

    Returns
    -------
    Conformance
        Every check with what was expected and what came; a failing check does not stop the others.

    Raises
    ------
    DataError
        If the engine cannot be reached.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.cohort.conformance("duckdb")
    >>> found.passed
    True
    """
    own = engine if isinstance(engine, Engine) else connect(engine)
    embedded = connect("duckdb")
    try:
        with tempfile.TemporaryDirectory(prefix="conformance_", dir=folder) as place:
            lines = _small(own, embedded, Path(place))
            lines += _cohorts(own, embedded, Path(place))
    finally:
        embedded.close()
        if own is not engine:
            own.close()
    return Conformance(table=pd.DataFrame(lines), engine=own.name)


def _line(check: str, what: str, expected: str, got: str) -> dict[str, Any]:
    return {
        "check": check,
        "what": what,
        "expected": expected,
        "got": got,
        "passed": expected == got,
    }


def _small(own: Engine, embedded: Engine, folder: Path) -> list[dict[str, Any]]:
    out = []
    tables = {}
    for which, one in (("own", own), ("embedded", embedded)):
        try:
            tables[which] = one.register(rows(), table="fs_conformance")
        except Exception as cause:  # noqa: BLE001  what an engine raises is its answer
            return [_line("register", "a frame becomes a table", "a table", _failure(cause))]
        (folder / which).mkdir()
    for check in CHECKS:
        expected = repr(check.expected)
        if check.expected is ...:
            expected = _answer(check, embedded, tables["embedded"], folder / "embedded")
        out.append(
            _line(
                check.name,
                check.what,
                expected,
                _answer(check, own, tables["own"], folder / "own"),
            )
        )
    return out


def _answer(check: Check, engine: Engine, table: Any, folder: Path) -> str:
    try:
        return repr(check.run(engine, table, folder))
    except Exception as cause:  # noqa: BLE001  what an engine raises is its answer
        return _failure(cause)


def _failure(cause: Exception) -> str:
    text = str(cause) if isinstance(cause, FiacError) else (str(cause).splitlines() or [""])[0]
    return f"{type(cause).__name__}: {text}"


# --- a small cohort ------------------------------------------------------------------------------


def small_cohort(persons: int = 40) -> dict[str, pd.DataFrame]:
    """Make a simulated cohort with faults of every kind.

    Parameters
    ----------
    persons : int, default 40
        How many.

    Returns
    -------
    dict of str to DataFrame
        person, exposure, event. Nothing in it is random.
    """
    origin = datetime.date(2015, 1, 1)

    def day(n: int) -> datetime.date:
        return origin + datetime.timedelta(days=n)

    drugs = ("lenalidomide", "bortezomib", "daratumumab", "carfilzomib", "dexamethasone")
    person, exposure, event = [], [], []
    for i in range(1, persons + 1):
        end = 900 + (i * 37) % 800
        died = i % 3 == 0
        birth = None if i % 17 == 0 else datetime.date(1930 + i % 40, 1 + i % 12, 1)
        person.append(
            {
                "person": i,
                "birth": day(end + 5) if i % 19 == 0 else birth,
                "sex": ("female", "male", "unknown")[i % 3],
                "follow_up_end": day(end),
                "death": day(end - i % 2 * 3) if died else None,
                "department": None if i % 5 == 0 else f"{i % 7:02d}",
            }
        )
        for j in range(3 + i % 5):
            start = (i * 13 + j * (29 + i % 4 * 60)) % 900
            row = {"person": i, "date": day(start), "drug": drugs[(i + j // 2) % 5], "kind": "drug"}
            exposure.append(row | {"end": day(start + 20 + j) if j % 2 else None})
        event.append({"person": i + (persons if i % 13 == 0 else 0), "date": day(i), "event": "x"})
    event += event[:2]
    return {
        "person": pd.DataFrame(person),
        "exposure": pd.DataFrame(exposure),
        "event": pd.DataFrame(event),
    }


def _cohorts(own: Engine, embedded: Engine, folder: Path) -> list[dict[str, Any]]:
    tables = small_cohort()
    source = folder / "cohort"
    for name, frame in tables.items():
        if name == "event":
            for bucket, part in frame.groupby(frame["person"] % 3):
                (source / name / f"bucket={bucket}").mkdir(parents=True, exist_ok=True)
                part.to_parquet(source / name / f"bucket={bucket}" / "0.parquet", index=False)
        else:
            source.mkdir(exist_ok=True)
            frame.to_parquet(source / f"{name}.parquet", index=False)
    expected = _results(embedded, source, folder / "written_by_embedded")
    got = _results(own, source, folder / "written_by_own")
    steps = {
        "quality": "rows that break each rule, their first place, missing values",
        "eligibility": "persons left after each criterion",
        "lines of therapy": "lines found in records",
        "lines in blocks": "the same lines, records taken in blocks",
        "risk table": "what RiskTable.from_outcome makes of the rows in memory",
        "written": "files byte for byte",
    }
    known = expected | {"risk table": _memory(tables)}
    return [_line(f"cohort: {k}", v, known[k], got[k]) for k, v in steps.items()]


def _results(engine: Engine, source: Path, target: Path) -> dict[str, str]:
    names = (
        "quality",
        "eligibility",
        "lines of therapy",
        "lines in blocks",
        "risk table",
        "written",
    )
    try:
        cohort = read(source, engine=engine)
    except Exception as cause:  # noqa: BLE001  what an engine raises is its answer
        return dict.fromkeys(names, _failure(cause))
    steps: tuple[Callable[[Cohort], str], ...] = (
        _quality,
        _eligible,
        _lines,
        _blocks,
        _risks,
        functools.partial(_written, target=target),
    )
    out = {}
    for name, step in zip(names, steps, strict=True):
        try:
            out[name] = step(cohort)
        except Exception as cause:  # noqa: BLE001  what an engine raises is its answer
            out[name] = _failure(cause)
    return out


def _told(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _quality(cohort: Cohort) -> str:
    found = quality(cohort)
    return "\n".join(map(_told, (found.table, found.rows, found.missing)))


def _eligible(cohort: Cohort) -> str:
    criteria = [
        Criterion(label="born", column="birth", operator="not missing"),
        Criterion(label="sex", column="sex", operator="in", value=["female", "male"]),
        Criterion(label="not 03", column="department", operator="!=", value="03"),
    ]
    return _told(apply_eligibility(cohort.person, criteria, source="s")[1])


def _lines(cohort: Cohort, block: int = 1_000_000) -> str:
    found = lines_of_therapy(
        cohort.exposure,
        "imwg",
        follow_up=cohort.person,
        after_end="drop",
        records_per_block=block,
    )
    return _told(found.table) + f"{found.n_ignored}"


def _blocks(cohort: Cohort) -> str:
    return _lines(cohort, 30)


def _risks(cohort: Cohort) -> str:
    person = cohort.person
    start = datetime.date(2015, 1, 1)
    time = person.follow_up_end.epoch_days() - (start - datetime.date(1970, 1, 1)).days
    analysis = person.select(
        time=time.cast("int64"), event=person.death.notnull(), group=person.sex
    )
    return _told(risk_table(analysis, by="group").table)


def _memory(tables: dict[str, pd.DataFrame]) -> str:
    person = tables["person"]
    start = datetime.date(2015, 1, 1)
    time = [(end - start).days for end in person["follow_up_end"]]
    y = Outcome(time, person["death"].notna())
    return _told(RiskTable.from_outcome(y, group=person["sex"]).table)


def _written(cohort: Cohort, target: Path) -> str:
    cohort.write(target)
    files = sorted(target.iterdir())
    return "\n".join(f"{f.name} {hashlib.sha256(f.read_bytes()).hexdigest()}" for f in files)
