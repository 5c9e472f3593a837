"""The compiled interpreter against the plain one, on generated histories and generated rules."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.cohort import line_blocks
from fiac_survival.cohort.line_rules import LineRules
from tests.kernels.naive_lines import lines_of

DRUGS = fs.cohort.DrugTable.load("myeloma")
SOME = [
    "bortezomib",
    "carfilzomib",
    "lenalidomide",
    "thalidomide",
    "daratumumab",
    "melphalan",
    "cyclophosphamide",
    "dexamethasone",
    "transplant",
    "apheresis",
    "ciltacabtagene autoleucel",
]
RULE_SETS = ["imwg", "ohdsi", "gap60", "gap90", "gap180"]
DAY_ZERO = np.datetime64("2020-01-01")

histories = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.sampled_from([0, 0, 6, 27, 60, 223]), st.sampled_from(SOME)
        ),
        min_size=1,
        max_size=18,
    ),
    min_size=1,
    max_size=12,
)
days = st.sampled_from([0, 1, 14, 30, 60, 90, 180, 365])
some_drugs = st.lists(st.sampled_from(SOME[:7]), min_size=1, max_size=4, unique=True)


@st.composite
def rule_sets(draw):
    gap = draw(days)
    content = {
        "name": "generated",
        "window_days": draw(days),
        "gap_days": gap,
        "dropped_drug": draw(st.sampled_from(["continues", "ends regimen"])),
        "dropped_tolerance_days": min(gap, draw(days)),
        "restart": draw(st.sampled_from(["continues", "advances"])),
        "minimum_days": draw(st.sampled_from([0, 1, 21])),
        "transplant": {
            "before_days": draw(days),
            "tandem_days": draw(st.none() | days),
            "after_days": draw(st.none() | days),
            "single_after_days": draw(st.none() | days),
            "single_after_drugs": draw(st.none() | some_drugs),
        },
        "preparation": draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "procedure": st.sampled_from(["transplant", "cell therapy"]),
                        "drugs": some_drugs,
                        "days_before": days,
                    }
                ),
                max_size=2,
            )
        ),
        "additions": draw(
            st.lists(
                st.fixed_dictionaries(
                    {
                        "drugs": some_drugs,
                        "classes": st.sampled_from([[], ["IMiD", "PI"]]),
                        "within_days": days,
                        "new_class": st.booleans(),
                        "needs": st.sampled_from([[], ["cyclophosphamide"]]),
                        "line": st.sampled_from([None, 1, 2]),
                    }
                ),
                max_size=2,
            )
        ),
        "joined_by_transplant": draw(st.lists(some_drugs, max_size=2)),
    }
    if draw(st.booleans()):
        content["maintenance"] = {
            "drugs": draw(some_drugs),
            "repeated_drugs": draw(some_drugs),
            "within_days": draw(st.sampled_from([30, 180])),
            "longer_than_days": draw(st.sampled_from([0, 20])),
            "previous_longer_than_days": draw(st.sampled_from([0, 20])),
        }
    if draw(st.booleans()):
        content["cell_therapy"] = {
            "within_days": draw(st.sampled_from([30, 180])),
            "bridging": draw(st.just("any") | some_drugs),
        }
    return LineRules.model_validate(content)


def frame_of(patients, scale):
    rows = [
        (p, DAY_ZERO + day * scale, DAY_ZERO + day * scale + length, name)
        for p, records in enumerate(patients)
        for day, length, name in records
    ]
    return pd.DataFrame(rows, columns=["person", "date", "end", "drug"])


def compare(patients, scale, rules):
    found = fs.cohort.lines_of_therapy(frame_of(patients, scale), rules).table
    for p, records in enumerate(patients):
        plain = lines_of([(d * scale, d * scale + n, name) for d, n, name in records], rules, DRUGS)
        mine = found[found["person"] == p]
        assert mine["line"].tolist() == list(range(1, len(plain) + 1))
        starts = (mine["start"].to_numpy() - DAY_ZERO) // np.timedelta64(1, "D")
        assert starts.tolist() == [start for start, _, _ in plain]
        names = ["+".join(sorted(drugs - {"apheresis"} or drugs)) for _, _, drugs in plain]
        assert mine["regimen"].tolist() == names
        ends = (mine["end"].to_numpy() - DAY_ZERO) // np.timedelta64(1, "D")
        for k, (start, end, _) in enumerate(plain):
            later = plain[k + 1][0] - 1 if k + 1 < len(plain) else end
            assert ends[k] == max(start, min(end, later))


@pytest.mark.parametrize("name", RULE_SETS)
@settings(max_examples=60)
@given(patients=histories, scale=st.sampled_from([5, 13, 31]))
def test_shipped_rules(name, patients, scale):
    compare(patients, scale, LineRules.load(name))


@settings(max_examples=200)
@given(patients=histories, scale=st.sampled_from([5, 13, 31]), rules=rule_sets())
def test_generated_rules(patients, scale, rules):
    compare(patients, scale, rules)


def invented(n, seed):
    rng = np.random.default_rng(seed)
    rows = 12 * n
    return pd.DataFrame(
        {
            "person": rng.integers(0, n, rows),
            "date": DAY_ZERO + rng.integers(0, 2000, rows),
            "drug": np.array(SOME)[rng.integers(0, len(SOME), rows)],
        }
    )


@pytest.mark.parametrize("name", RULE_SETS)
def test_threads_and_order_of_rows_change_nothing(name):
    exposures = invented(500, seed=1)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = fs.cohort.lines_of_therapy(exposures, name).table
        numba.set_num_threads(min(2, before))
        two = fs.cohort.lines_of_therapy(exposures, name).table
    finally:
        numba.set_num_threads(before)
    pd.testing.assert_frame_equal(one, two)
    shuffled = exposures.sample(frac=1.0, random_state=2)
    pd.testing.assert_frame_equal(one, fs.cohort.lines_of_therapy(shuffled, name).table)


@pytest.mark.parametrize("block", [1, 100, 10_000])
@pytest.mark.parametrize("with_follow_up", [True, False])
def test_an_engine_gives_the_same_lines_block_by_block(block, with_follow_up):
    exposures = invented(200, seed=3)
    exposures["end"] = exposures["date"] + pd.to_timedelta(5, unit="D")
    exposures.loc[::3, "end"] = pd.NaT
    people = pd.DataFrame({"person": np.arange(200)})
    people["follow_up_end"] = pd.Timestamp("2030-01-01")
    people["death"] = pd.Series([pd.Timestamp("2026-05-01"), pd.NaT] * 100)
    in_memory = fs.cohort.lines_of_therapy(
        exposures, "ohdsi", follow_up=people if with_follow_up else None
    )
    engine = fs.cohort.connect("duckdb")
    as_dates = {"date": "date", "end": "date"}
    table = engine.register(exposures, table="exposure").cast(as_dates)
    follow_up = engine.register(people, table="person").cast(
        {"follow_up_end": "date", "death": "date"}
    )
    streamed = fs.cohort.lines_of_therapy(
        table,
        "ohdsi",
        follow_up=follow_up if with_follow_up else None,
        records_per_block=block,
    )
    engine.close()
    pd.testing.assert_frame_equal(in_memory.table, streamed.table)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("with_follow_up", [False, True])
def test_a_large_table_is_sorted_some_patients_at_a_time(text, with_follow_up, monkeypatch):
    exposures = invented(300, seed=4)
    people = pd.DataFrame({"person": np.arange(400), "follow_up_end": pd.Timestamp("2030-01-01")})
    if text:
        for frame in (exposures, people):
            frame["person"] = frame["person"].map("P{:03d}".format)
    at_once = fs.cohort.lines_of_therapy(
        exposures, "imwg", follow_up=people if with_follow_up else None
    ).table
    engine = fs.cohort.connect("duckdb")
    table = engine.register(exposures, table="exposure").cast({"date": "date"})
    follow_up = engine.register(people, table="person").cast({"follow_up_end": "date"})
    asked = []
    ranges = line_blocks._some_patients
    monkeypatch.setattr(line_blocks, "ROWS_TO_SORT", len(exposures) // 4)
    monkeypatch.setattr(
        line_blocks, "_some_patients", lambda *of: asked.extend(ranges(*of)) or asked
    )
    in_parts = fs.cohort.lines_of_therapy(
        table,
        "imwg",
        follow_up=follow_up if with_follow_up else None,
        records_per_block=50,
    ).table
    engine.close()
    bounds = [(span.low, span.high) for span in asked]
    assert len(bounds) >= 4
    assert bounds[0][0] is None
    assert bounds[-1][1] is None
    assert [high for _, high in bounds[:-1]] == [low for low, _ in bounds[1:]]
    pd.testing.assert_frame_equal(at_once, in_parts)
