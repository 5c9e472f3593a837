"""Small generated cohorts, many in one table, and plain counts of what is in them."""

from __future__ import annotations

import datetime

import pandas as pd
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

CASES = 200
ORIGIN = datetime.date(2018, 1, 1)
DRUGS = ["bortezomib", "lenalidomide", "daratumumab", "dexamethasone", "transplant", "L01XG02"]
CUTOFF = datetime.date(2020, 1, 1)


def gathered(strategy, n=CASES):
    """Examples of a strategy, to be put into one table."""
    found = []

    @settings(max_examples=n, phases=[Phase.generate])
    @given(one=strategy)
    def keep(one):
        found.append(one)

    keep()
    return found


def day(n):
    return ORIGIN + datetime.timedelta(days=n)


days = st.integers(0, 700).map(day)
odd_days = st.one_of(
    days,
    st.none(),
    st.sampled_from([datetime.date(1850, 3, 1), datetime.date(1500, 1, 1), CUTOFF, day(900)]),
)


@st.composite
def outcomes(draw):
    """Rows with ties, groups, strata, delayed entry and whole weights."""
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        time = draw(st.integers(1, 6))
        entry = draw(st.integers(0, time - 1))
        rows.append(
            {
                "time": time,
                "event": draw(st.integers(0, 2)),
                "entry": entry,
                "group": draw(st.sampled_from(["a", "b", "Ä", "é"])),
                "stratum": draw(st.sampled_from(["x", "y"])),
                "weight": draw(st.integers(1, 9)),
            }
        )
    return rows


@st.composite
def patients(draw):
    """Values of every type, some missing."""
    number = st.none() | st.integers(-3, 3)
    return [
        {
            "age": draw(number),
            "score": draw(st.none() | st.sampled_from([-1.5, -0.0, 0.0, 0.1, 2.0, 1e300])),
            "sex": draw(st.sampled_from(["female", "male", None, "Ä", ""])),
            "day": draw(odd_days),
            "treated": draw(st.sampled_from([True, False, None])),
        }
        for _ in range(draw(st.integers(1, 6)))
    ]


@st.composite
def cohorts(draw, faults=True):
    """Persons, exposures and events; with faults of every kind, or fit for lines of therapy."""
    person, exposure, event = [], [], []
    anywhen = odd_days if faults else days
    for i in range(draw(st.integers(1, 4))):
        end = draw(anywhen) if faults else day(draw(st.integers(700, 1000)))
        death = draw(anywhen | st.none()) if faults else draw(st.sampled_from([None, end]))
        person.append(
            {
                "person": i,
                "birth": draw(odd_days) if faults else datetime.date(1950, 1, 1),
                "sex": draw(st.sampled_from(["female", "male", *(["f", None] if faults else [])])),
                "follow_up_end": end,
                "death": death,
            }
        )
        for _ in range(draw(st.integers(0 if faults else 1, 6))):
            start = draw(anywhen)
            stop = draw(anywhen)
            if not faults:
                stop = draw(st.none() | st.integers(0, 60).map(lambda n, s=start: s + n * DAY))
            exposure.append(
                {
                    "person": i + draw(st.sampled_from([0, 0, 0, 50] if faults else [0])),
                    "date": start,
                    "end": stop,
                    "drug": draw(st.sampled_from(DRUGS)),
                    "kind": draw(st.sampled_from(["drug", *(["pill"] if faults else [])])),
                    "quantity": draw(st.none() | st.sampled_from([0.5, 2.0])),
                }
            )
        for _ in range(draw(st.integers(0, 2))):
            row = {"person": i, "date": draw(anywhen), "event": draw(st.sampled_from("xy"))}
            event += [row] * draw(st.sampled_from([1, 1, 2]))
    return {"person": person, "exposure": exposure, "event": event}


DAY = datetime.timedelta(days=1)


def together(cases):
    """One table of all cases, with a column `case`."""
    return pd.DataFrame([{"case": i} | row for i, rows in enumerate(cases) for row in rows])


def one_cohort(cases):
    """One cohort of all cases; persons of different cases are different."""
    out = {}
    for name in ("person", "exposure", "event"):
        frame = together([case[name] for case in cases])
        frame["person"] += frame["case"] * 100
        out[name] = frame
    return out


def folder_of(tables, folder):
    """Write tables: persons as a file, exposures by bucket, events as parts."""
    for name, frame in tables.items():
        place = folder / name
        if name == "person":
            folder.mkdir(parents=True)
            frame.to_parquet(folder / "person.parquet", index=False)
        else:
            for bucket, part in frame.groupby(frame["person"] % 3):
                inner = place / f"bucket={bucket}" if name == "exposure" else place
                inner.mkdir(parents=True, exist_ok=True)
                part.to_parquet(inner / f"part-{bucket}.parquet", index=False, schema=SCHEMAS[name])
    return folder


def _schemas():
    import pyarrow as pa

    base = [("case", pa.int64()), ("person", pa.int64()), ("date", pa.date32())]
    more = [("end", pa.date32()), ("drug", pa.string()), ("kind", pa.string())]
    return {
        "exposure": pa.schema([*base, *more, ("quantity", pa.float64())]),
        "event": pa.schema([*base, ("event", pa.string())]),
    }


SCHEMAS = _schemas()


# --- plain counts --------------------------------------------------------------------------------


def broken_rows(tables):
    """Rows that break each rule about dates and persons, counted one by one."""
    people = {row["person"]: row for row in tables["person"].to_dict("records")}
    columns = {
        "person": ["birth", "follow_up_end", "death"],
        "exposure": ["date", "end"],
        "event": ["date"],
    }
    out = {}

    def add(rule, bad):
        out[rule] = out.get(rule, 0) + bool(bad)

    def before(a, b):
        return a is not None and b is not None and a < b

    for name, frame in tables.items():
        for row in frame.astype(object).where(frame.notna(), None).to_dict("records"):
            who = people.get(row["person"], {"birth": None, "death": None})
            for c in columns[name]:
                add(f"{name}.{c} before 1900", before(row[c], datetime.date(1900, 1, 1)))
                add(f"{name}.{c} in the future", before(CUTOFF, row[c]))
                if c != "birth":
                    add(f"{name}.{c} before birth", before(row[c], who["birth"]))
            if name != "person":
                add(f"{name} without person", row["person"] not in people)
                add(f"{name} after death", before(who["death"], row["date"]))
        rows = [tuple(row) for row in frame.astype(object).where(frame.notna(), None).values]
        out[f"{name} duplicates"] = len(rows) - len(set(rows))
    for row in people.values():
        add("person.follow_up_end before death", False)
        add("person.follow_up_end after death", before(row["death"], row["follow_up_end"]))
        out["person.follow_up_end before death"] += before(row["follow_up_end"], row["death"])
    for row in tables["exposure"].to_dict("records"):
        add("exposure.end before date", before(row["end"], row["date"]))
    return out


def holds(criterion, row):
    """Whether a row meets a criterion."""
    value, wanted = row[criterion.column], criterion.value
    if value is None:
        return False
    if isinstance(value, datetime.date):
        wanted = datetime.date.fromisoformat(wanted) if wanted is not None else None
    match criterion.operator:
        case "not missing":
            return True
        case "==":
            return value == wanted
        case "!=":
            return value != wanted
        case "<":
            return value < wanted
        case "<=":
            return value <= wanted
        case ">":
            return value > wanted
        case ">=":
            return value >= wanted
        case "in":
            return value in wanted
