"""Regimens in drug records: the recurrence, the best set of stretches, and what is refused."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.cohort import Regimen, align_regimens, read_regimens
from fiac_survival.core.errors import DataError
from tests.cohort import naive_alignment as naive

DRUGS = "ABCD"


def same(a, b):
    return 1.0 if a == b else -1.0


@st.composite
def problems(draw, events=6):
    """A short record and a few short schedules."""
    drug = st.sampled_from(DRUGS)
    gaps = draw(st.lists(st.tuples(st.integers(0, 9), drug), min_size=1, max_size=events))
    steps = st.lists(st.tuples(st.integers(0, 9), drug), min_size=1, max_size=3)
    regimens = [
        Regimen(name=str(k), steps=draw(steps), cycles=draw(st.integers(1, 2)))
        for k in range(draw(st.integers(1, 3)))
    ]
    day, rows = 0, set()
    for passed, name in gaps:
        day += passed
        rows.add((day, name))
    return sorted(rows), regimens


def aligned(rows, regimens, **options):
    table = pd.DataFrame(
        {"person": "p", "date": [d for d, _ in rows], "drug": [x for _, x in rows]}
    )
    return align_regimens(table, regimens, other_drugs="keep", **options).table


@settings(max_examples=200)
@given(
    problems(),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 0.4, 1.5]),
    st.sampled_from([0.0, 0.5, 2.0]),
    st.sampled_from([0.0, 0.7]),
)
def test_equal_to_the_plain_recurrence_and_to_every_set(problem, local, gap, rush, least):
    rows, regimens = problem
    found = aligned(
        rows,
        regimens,
        gap_penalty=gap,
        time_penalty=rush,
        extent="local" if local else "end_to_end",
        minimum_score=least,
    )
    days, drugs = [d for d, _ in rows], [x for _, x in rows]
    schedules = [regimen.schedule() for regimen in regimens]
    proposed = naive.stretches(days, drugs, schedules, gap, rush, local, same, least)
    assert found["score"].sum() == pytest.approx(total(days, proposed), abs=1e-9)
    for row in found.itertuples():
        whole = [
            c
            for c in proposed
            if regimens[c.regimen].name == row.regimen
            and (days[c.begin], days[c.end]) == (row.start, row.end)
            and c.score == row.score
            and (c.matched, c.first_step + 1, c.last_step + 1)
            == (row.n_drugs_matched, row.first_step, row.last_step)
        ]
        assert whole, "each alignment is a cell of the plain table"
    assert (found["start"].iloc[1:].to_numpy() > found["end"].iloc[:-1].to_numpy()).all()


def total(days, proposed):
    """By trying every set; of stretches over the same days only the best can matter."""
    best = {}
    for c in proposed:
        key = (days[c.begin], days[c.end])
        if key not in best or c.score > best[key].score:
            best[key] = c
    return naive.best_total(days, list(best.values()))


def test_not_greedy():
    """The highest score first would take the middle and lose both ends."""
    rows = list(zip(range(0, 60, 10), "ABCDAB", strict=True))
    regimens = [
        Regimen(name="left", steps=[(0, "A"), (10, "B"), (10, "C")]),
        Regimen(name="middle", steps=[(0, "B"), (10, "C"), (10, "D"), (10, "A")]),
        Regimen(name="right", steps=[(0, "D"), (10, "A"), (10, "B")]),
    ]
    found = aligned(rows, regimens)
    assert found["regimen"].tolist() == ["left", "right"]
    assert found["alignment"].tolist() == [1, 2]
    days, drugs = [d for d, _ in rows], [x for _, x in rows]
    proposed = naive.stretches(
        days, drugs, [r.schedule() for r in regimens], 0.4, 0.5, False, same, 0.0
    )
    assert found["score"].sum() == 6.0 > naive.greedy_total(days, proposed)


def test_by_hand():
    # Times add up through what is left out: A, A at day 10, without B between, against A +7 A.
    regimen = Regimen(name="AA", steps=[(7, "A")], cycles=2)
    (row,) = aligned([(0, "A"), (5, "B"), (10, "A")], [regimen]).itertuples()
    assert row.score == pytest.approx(1 - 0.4 + 1 - 0.5 * 3 / 10, abs=1e-15)
    assert (row.n_drugs_matched, row.n_records) == (2, 3)
    # A step of the schedule left out: A, A at day 14 against A +7 A +7 A.
    three = Regimen(name="AAA", steps=[(7, "A")], cycles=3)
    (row,) = aligned([(0, "A"), (14, "A")], [three]).itertuples()
    assert row.score == pytest.approx(1 - 0.4 + 1, abs=1e-15)
    assert (row.n_drugs_matched, row.n_drugs_planned) == (2, 3)
    # The last step is missing: it counts end to end, not locally.
    (row,) = aligned([(0, "A"), (7, "A")], [three]).itertuples()
    assert row.score == pytest.approx(2 - 0.4, abs=1e-15)
    (row,) = aligned([(0, "A"), (7, "A")], [three], extent="local").itertuples()
    assert row.score == 2.0


def cohort(n, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(n):
        size = rng.integers(1, 25)
        rows.append(
            pd.DataFrame(
                {
                    "person": person,
                    "date": rng.integers(0, 200, size),
                    "drug": rng.choice(list(DRUGS), size),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


REGIMENS = [
    Regimen(name="AB", steps=[(14, "A"), (0, "B"), (7, "A")], cycles=3),
    Regimen(name="C", steps=[(28, "C")], cycles=4),
    Regimen(name="D", steps=[(7, "D"), (3, "D")], cycles=2),
]


def test_same_for_any_number_of_threads_order_and_library():
    table = cohort(300)
    one = align_regimens(table, REGIMENS, threads=1).table
    pd.testing.assert_frame_equal(one, align_regimens(table, REGIMENS, threads=2).table)
    shuffled = table.sample(frac=1.0, random_state=3)
    pd.testing.assert_frame_equal(one, align_regimens(shuffled, REGIMENS).table)
    twice = pd.concat([table, table])
    pd.testing.assert_frame_equal(one, align_regimens(twice, REGIMENS).table)
    pd.testing.assert_frame_equal(one, align_regimens(pl.from_pandas(table), REGIMENS).table)
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS


def test_dates():
    table = cohort(30)
    dated = table.assign(date=pd.Timestamp("2020-01-01") + pd.to_timedelta(table["date"], "D"))
    plain = align_regimens(table, REGIMENS).table
    found = align_regimens(dated, REGIMENS).table
    assert (found["start"] - pd.Timestamp("2020-01-01")).dt.days.tolist() == plain["start"].tolist()
    by_hour = dated.assign(date=dated["date"] + pd.Timedelta(hours=13))
    pd.testing.assert_frame_equal(found, align_regimens(by_hour, REGIMENS).table)
    as_objects = dated.assign(date=dated["date"].dt.date)
    pd.testing.assert_frame_equal(found, align_regimens(as_objects, REGIMENS).table)


def test_persons_do_not_touch_each_other():
    table = cohort(40)
    together = align_regimens(table, REGIMENS, other_drugs="keep").table
    apart = [
        align_regimens(part, REGIMENS, other_drugs="keep").table
        for _, part in table.groupby("person")
    ]
    pd.testing.assert_frame_equal(
        together, pd.concat([a for a in apart if len(a)], ignore_index=True)
    )


def test_other_drugs():
    table = pd.DataFrame({"person": 1, "date": [0, 3, 7], "drug": ["A", "X", "A"]})
    regimens = [Regimen(name="A", steps=[(7, "A")], cycles=2)]
    with pytest.raises(
        DataError, match=r"every drug must be part of a regimen: 1 row breaks .*row 1, drug=X"
    ):
        align_regimens(table, regimens)
    assert align_regimens(table, regimens, other_drugs="drop").table["score"].tolist() == [2.0]
    assert align_regimens(table, regimens, other_drugs="keep").table["score"].tolist() == [1.6]


def test_similar_drugs():
    table = pd.DataFrame({"person": 1, "date": [0, 7], "drug": ["A", "B"]})
    regimens = [Regimen(name="AA", steps=[(7, "A")], cycles=2), Regimen(name="B", steps=[(0, "B")])]
    assert align_regimens(table, regimens[:1], other_drugs="drop").table["score"].tolist() == [0.6]
    alike = pd.DataFrame([[0.9]], index=["B"], columns=["A"])
    found = align_regimens(table, regimens, similarity=alike, minimum_score=1.0)
    assert found.table["score"].tolist() == [1.9]
    assert found.table["n_drugs_matched"].tolist() == [1]
    with pytest.raises(DataError, match="similarity must name drugs"):
        align_regimens(table, regimens, similarity=alike.rename(index={"B": "Q"}))


def test_nothing_found():
    table = pd.DataFrame({"person": [1, 2], "date": [0, 0], "drug": ["A", "A"]})
    far = [Regimen(name="long", steps=[(7, "A")], cycles=9)]
    found = align_regimens(table, far)
    assert len(found.table) == 0
    assert found.n_persons == 2
    assert "0 in 2 persons" in repr(found)


def good():
    return pd.DataFrame({"person": [1, 1], "date": [0, 7], "drug": ["A", "C"]})


BAD_TABLES = {
    "columns of person": lambda t: t.drop(columns="drug"),
    "at least one row": lambda t: t.iloc[:0],
    "date must not be missing": lambda t: t.assign(date=[0, None]),
    "date must be a date or a whole number": lambda t: t.assign(date=[0, 7.5]),
    "date must be numeric": lambda t: t.assign(date=["0", "tomorrow"]),
    "drug must not be missing": lambda t: t.assign(drug=["A", None]),
    "person must not be missing": lambda t: t.assign(person=[1, None]),
}


@pytest.mark.parametrize("rule", BAD_TABLES)
def test_bad_exposures(rule):
    with pytest.raises(DataError, match=rule):
        align_regimens(BAD_TABLES[rule](good()), REGIMENS)


def test_missing_date_names_the_row():
    dated = good().assign(date=[pd.Timestamp("2020-01-01"), pd.NaT])
    with pytest.raises(DataError, match=r"date must not be missing: 1 row .*row 1"):
        align_regimens(dated, REGIMENS)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"gap_penalty": -0.1}, "gap_penalty must be finite"),
        ({"time_penalty": float("nan")}, "time_penalty must be finite"),
        ({"minimum_score": float("inf")}, "minimum_score must be finite"),
        ({"extent": "half"}, "extent must be one of"),
        ({"other_drugs": "ignore"}, "other_drugs must be one of"),
        ({"threads": 0}, "threads must be at least 1"),
    ],
)
def test_bad_options(options, rule):
    with pytest.raises(DataError, match=rule):
        align_regimens(good(), REGIMENS, **options)


@pytest.mark.parametrize(
    ("regimens", "rule"),
    [
        ([], "at least one regimen"),
        ([{"name": "A", "steps": [(-7, "A")]}], "greater than or equal to 0"),
        ([{"name": "A", "steps": []}], "at least 1"),
        ([{"name": "A", "steps": [(0, "A")], "cycles": 0}], "greater than or equal to 1"),
        ([{"name": "A", "steps": [(0, "A")], "cycle": 2}], "Extra inputs"),
        ([{"name": "A", "steps": [(0, "A")]}] * 2, "names of their own"),
        (Regimen(name="A", steps=[(0, "A")]), "must be a list"),
    ],
)
def test_bad_regimens(regimens, rule):
    with pytest.raises(DataError, match=rule):
        align_regimens(good(), regimens)


def test_reading_regimens(tmp_path):
    path = tmp_path / "regimens.toml"
    path.write_text(
        '[[regimen]]\nname = "Vd"\ncycles = 2\n'
        'steps = [{days = 10, drug = "V"}, {days = 0, drug = "D"}, [3, "V"]]\n',
        encoding="utf-8",
    )
    (regimen,) = read_regimens(path)
    assert regimen.schedule() == [(0, "D"), (0, "V"), (3, "V"), (10, "D"), (0, "V"), (3, "V")]
    assert fs.cohort.Regimen.model_validate(regimen.model_dump()) == regimen
    for text, rule in (
        ("[[regimen]\n", "valid TOML"),
        ("regimens = 1\n", "tables"),
        (
            '[[regimen]]\nname = "V"\nsteps = [[-1, "V"]]\n',
            r"regimen=V, place=steps > 0 > days, value=-1",
        ),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=rule):
            read_regimens(path)
    with pytest.raises(DataError, match="must exist"):
        read_regimens(tmp_path / "none.toml")
