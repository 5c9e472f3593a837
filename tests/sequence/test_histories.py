"""Lines of therapy on the grid of steps: rules, and tables that break them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fiac_survival.core.errors import DataError
from fiac_survival.sequence import parse_formulary, read_histories

MONTH = 30.4375


def formulary(**changes):
    return parse_formulary(
        {
            "name": "small",
            "lines": 2,
            "horizon_months": 24,
            "overlap_levels": 2,
            "classes": {"x": "class x", "y": "class y"},
            "regimens": [
                {"name": "A", "classes": ["x"]},
                {"name": "B", "classes": ["x", "y"]},
                {"name": "C"},
            ],
        }
        | changes
    )


def table(*rows, **more):
    """Rows of (person, regimen, ttnt, end_reason), lines counted as they come."""
    out = pd.DataFrame(rows, columns=["person", "regimen", "ttnt", "end_reason"])
    out["line"] = out.groupby("person").cumcount() + 1
    return out.assign(**more)


def read(*rows, f=None, unit="months", more=None, **options):
    return read_histories(table(*rows, **(more or {})), f or formulary(), unit=unit, **options)


# --- the grid -----------------------------------------------------------------------------------


def test_steps_of_a_line():
    h = read(
        (1, "A", 2.0, "death"),
        (2, "A", 2.1, "death"),
        (3, "A", 2.9, "censored"),
        (4, "A", 0.0, "death"),
        (5, "A", 0.4, "censored"),
    )
    assert h.steps.tolist() == [2, 3, 2, 1, 0]
    assert h.ending.tolist() == [2, 2, 0, 2, 0]
    assert h.salvage_ending.tolist() == [-1] * 5


def test_the_grid_is_that_of_elapsed_time():
    # 1.5 + 1.5 months: the first line ends in step 2, the second 3 months after the start, in step 3.
    h = read((1, "A", 1.5, "switch"), (1, "C", 1.5, "death"))
    assert h.steps.tolist() == [2, 1]
    assert h.start.tolist() == [0, 2]
    assert h.previous.tolist() == [0, 2]
    # Two lines end within the first step: each takes one.
    h = read((1, "A", 0.1, "switch"), (1, "C", 0.1, "death"))
    assert h.steps.tolist() == [1, 1]


def test_no_drift_over_lines():
    f = formulary(lines=20, horizon_months=60)
    rows = [(1, "A", 1.3, "switch")] * 19 + [(1, "A", 1.3, "death")]
    h = read(*rows, f=f)
    assert (h.start + h.steps).tolist() == [math.ceil(round(1.3 * k, 9)) for k in range(1, 21)]
    assert np.array_equal(h.start[1:], (h.start + h.steps)[:-1])
    # 20 times 1.1 is more than 22 by rounding, 20 times 1.15 less than 23.
    for length, ending, last in ((1.1, "death", 22), (1.15, "censored", 23)):
        rows = [(1, "A", length, "switch")] * 19 + [(1, "A", length, ending)]
        h = read(*rows, f=f)
        assert h.start[-1] + h.steps[-1] == last


@pytest.mark.parametrize("step_months", [0.5, 1.0, 3.0])
def test_units(step_months):
    f = formulary(step_months=step_months)
    rng = np.random.default_rng(2)
    months = np.round(rng.exponential(8, 40), 2)
    rows = [(i, "A", t, "death") for i, t in enumerate(months)]
    expected = [max(math.ceil(round(t / step_months, 9)), 1) for t in months]
    assert read(*rows, f=f).steps.tolist() == expected
    days = [(i, "A", t * MONTH, "death") for i, t in enumerate(months)]
    assert read(*days, f=f, unit="days").steps.tolist() == expected
    steps = [(i, "A", t / step_months, "death") for i, t in enumerate(months)]
    assert read(*steps, f=f, unit="steps").steps.tolist() == expected


# --- ends ---------------------------------------------------------------------------------------


def test_a_planned_stop_does_not_end_a_line():
    h = read(
        (1, "A", 5.0, "planned stop"),
        (1, "C", 4.0, "death"),
        (2, "A", 7.0, "planned stop"),
        (3, "A", 8.5, "planned stop"),
        more={"died": [None, None, True, False]},
    )
    assert h.ending.tolist() == [1, 2, 2, 0]
    assert h.steps.tolist() == [5, 4, 7, 8]


@pytest.mark.parametrize("values", [[True], [1], [1.0], ["yes"], [None], [2], [np.nan]])
def test_death_after_a_planned_stop_must_be_known(values):
    row = (7, "A", 5.0, "planned stop")
    if values[0] in (True, 1):
        assert read(row, more={"died": values}).ending.tolist() == [2]
        return
    with pytest.raises(DataError, match="died must be true or false .*person=7"):
        read(row, more={"died": values})


def test_a_planned_stop_needs_the_column():
    with pytest.raises(DataError, match="end of follow-up must be known.*person=7.*column died"):
        read((7, "A", 5.0, "planned stop"))


def test_lines_beyond_the_last():
    h = read(
        (1, "A", 5.0, "switch"),
        (1, "B", 3.0, "switch"),
        (1, "C", 2.5, "switch"),
        (1, "A", 4.0, "death"),
        (2, "A", 5.0, "switch"),
        (2, "B", 3.0, "switch"),
        (3, "A", 5.0, "switch"),
        (3, "B", 3.0, "switch"),
        (3, "A", 6.9, "censored"),
        (4, "A", 5.0, "censored"),
        (5, "A", 5.0, "switch"),
        (5, "B", 3.0, "switch"),
        (5, "A", 2.5, "switch"),
    )
    assert h.line.tolist() == [0, 1, 0, 1, 0, 1, 0, 0, 1]
    assert h.first.tolist() == [0, 2, 4, 6, 7]
    # Patient 1: elapsed 8 to 14.5 months, so 7 steps; patient 5 is known to be alive for 2 whole ones.
    assert h.salvage_steps.tolist() == [7, 0, 6, 0, 2]
    assert h.salvage_ending.tolist() == [2, 0, 0, -1, 0]
    assert h.ending.tolist() == [1, 1, 1, 1, 1, 1, 0, 1, 1]


# --- state --------------------------------------------------------------------------------------


def test_exposure_and_overlap():
    f = formulary(lines=4, overlap_levels=3)
    h = read(
        (1, "C", 1, "switch"),
        (1, "A", 1, "switch"),
        (1, "B", 1, "switch"),
        (1, "B", 1, "death"),
        (2, "B", 1, "switch"),
        (2, "A", 1, "switch"),
        (2, "C", 1, "death"),
        f=f,
    )
    assert h.exposed.tolist() == [0, 0, 1, 3, 0, 3, 3]
    assert h.level.tolist() == [0, 0, 1, 2, 0, 1, 0]


def test_groups_are_learnt():
    f = formulary(
        lines=2,
        groups=["good", "early", "late"],
        group_updates=[
            {"start": "good", "to": "early", "line": 1, "within_months": 6},
            {"start": "good", "to": "late", "line": 2, "within_months": 100},
        ],
    )
    h = read(
        (1, "A", 6.0, "switch"),
        (1, "A", 2.0, "switch"),
        (1, "A", 2.0, "death"),
        (2, "A", 6.1, "switch"),
        (2, "A", 2.0, "switch"),
        (3, "A", 90.0, "switch"),  # beyond the horizon: as in its last step
        (3, "A", 2.0, "switch"),
        (4, "A", 1.0, "switch"),
        (4, "A", 1.0, "death"),
        f=f,
        more={"group": ["good"] * 7 + ["late"] * 2},
    )
    assert h.group.tolist() == [0, 1, 0, 0, 0, 0, 2, 2]
    assert h.salvage_group.tolist() == [1, 2, 2, 0]


def test_one_group_need_not_be_named():
    assert read((1, "A", 1, "death")).group.tolist() == [0]


def test_other_regimens():
    rows = [(1, "A", 1, "switch"), (1, "Q", 1, "death")]
    assert read(*rows, other="C").regimen.tolist() == [0, 2]
    with pytest.raises(DataError, match='regimen must be .*row 1, person=1, regimen=Q.*other="'):
        read(*rows)
    with pytest.raises(DataError, match="other must be a regimen of the formulary .other=Z"):
        read(*rows, other="Z")


def test_columns_by_other_names():
    lines = table((1, "A", 2, "death"), (2, "B", 3, "death"))
    expected = read_histories(lines, formulary(), unit="months")
    mine = lines.rename(columns={"person": "id", "ttnt": "time"})
    names = {"person": "id", "ttnt": "time"}
    found = read_histories(mine, formulary(), unit="months", columns=names)
    assert found.persons.tolist() == expected.persons.tolist()
    assert found.steps.tolist() == expected.steps.tolist()
    # A column of ours that is not meant must not get in the way.
    found = read_histories(
        mine.assign(person="x", ttnt=-1.0), formulary(), unit="months", columns=names
    )
    assert found.steps.tolist() == expected.steps.tolist()
    swapped = lines.rename(columns={"person": "line", "line": "person"})
    names = {"person": "line", "line": "person"}
    found = read_histories(swapped, formulary(), unit="months", columns=names)
    assert found.persons.tolist() == [1, 2]


def test_rows_may_come_in_any_order():
    rows = [(i, "ABC"[i % 3], 1.5 + i, "switch") for i in range(6) for _ in (0, 1)]
    lines = table(*rows).assign(age=np.arange(12.0))
    shuffled = lines.sample(frac=1, random_state=3)
    one = read_histories(lines, formulary(), unit="months", covariates=["age"])
    two = read_histories(shuffled, formulary(), unit="months", covariates=["age"])
    for name in ("line", "regimen", "start", "steps", "exposed", "first", "person"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert one.covariates["age"].tolist() == list(range(12))
    pd.testing.assert_frame_equal(one.covariates, two.covariates)


def test_the_table_is_not_changed():
    lines = table((2, "A", 2, "death"), (1, "Q", 3, "death"))
    before = lines.copy()
    read_histories(lines, formulary(), unit="months", other="C")
    pd.testing.assert_frame_equal(lines, before)


# --- bad input ----------------------------------------------------------------------------------

GOOD = [(1, "A", 5.0, "switch"), (1, "C", 4.0, "death"), (2, "B", 7.0, "censored")]


def changed(row, column, value):
    out = table(*GOOD)
    out[column] = out[column].astype(object)
    out.loc[row, column] = value
    return out.infer_objects()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (changed(2, "ttnt", -1.0), r"ttnt must be a time.*row 2, person=2, ttnt=-1.*correct or"),
        (changed(1, "ttnt", np.inf), "ttnt must be a time, not negative"),
        (changed(1, "ttnt", np.nan), "ttnt must not be missing.*row 1, person=1.*impute or drop"),
        (changed(1, "ttnt", "long"), "ttnt must be numbers|ttnt must be numeric"),
        (changed(1, "line", 3), "counted 1, 2, .* without gaps.*row 1, person=1, line=3.*one row"),
        (changed(1, "line", 1), "counted 1, 2"),
        (changed(2, "line", 2), "counted 1, 2.*row 2, person=2"),
        (changed(0, "end_reason", "death"), "before the last must end by switch.*nothing follows"),
        (changed(0, "end_reason", "censored"), "before the last must end by switch"),
        (changed(2, "end_reason", "switch"), "must be followed by the next line.*person=2"),
        (changed(2, "end_reason", "moved"), "end_reason must be one of.*known: switch, death"),
        (changed(2, "regimen", None), "regimen must not be missing"),
        (changed(2, "person", None), "person must not be missing"),
        (table(*GOOD).drop(columns="line"), r"must have its columns .missing=line.*columns="),
        (table(*GOOD).iloc[:0], "must have rows"),
    ],
)
def test_refusals(lines, says):
    with pytest.raises(DataError, match=says):
        read_histories(lines, formulary(), unit="months")


def test_the_row_is_that_of_the_table_given():
    lines = table(*GOOD).iloc[::-1]
    lines["ttnt"] = [-7.0, 4.0, 5.0]
    with pytest.raises(DataError, match=r"row 0, person=2, ttnt=-7"):
        read_histories(lines, formulary(), unit="months")


def test_groups_and_covariates_that_break_rules():
    two = formulary(groups=["g", "h"])
    with pytest.raises(DataError, match="missing=group"):
        read_histories(table(*GOOD), two, unit="months")
    with pytest.raises(DataError, match="group must be one of the known.*group=z.*known: g, h"):
        read_histories(table(*GOOD, group=["g", "g", "z"]), two, unit="months")
    with pytest.raises(DataError, match="at the start of line 1.*person=1.*group_updates"):
        read_histories(table(*GOOD, group=["g", "h", "h"]), two, unit="months")
    with pytest.raises(DataError, match="missing=age"):
        read_histories(table(*GOOD), formulary(), unit="months", covariates=["age"])
    with pytest.raises(DataError, match="age must not be missing.*row 1"):
        read_histories(
            table(*GOOD, age=[50, None, 60]), formulary(), unit="months", covariates=["age"]
        )
    with pytest.raises(DataError, match="unit must be"):
        read_histories(table(*GOOD), formulary(), unit="weeks")


def test_nobody_is_treated_with_the_mix():
    f = formulary(regimens=[{"name": "A", "classes": ["x"]}, {"name": "C", "observed_care": True}])
    with pytest.raises(DataError, match="regimen must be one of the known names.*regimen=C"):
        read((1, "A", 5.0, "switch"), (1, "C", 1.0, "death"), f=f)


def test_other_libraries_are_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(DataError, match=r"pandas DataFrame .type=polars.*\.to_pandas"):
        read_histories(polars.from_pandas(table(*GOOD)), formulary(), unit="months")
    with pytest.raises(DataError, match="pandas DataFrame"):
        read_histories(table(*GOOD).to_dict("records"), formulary(), unit="months")


# --- subsets ------------------------------------------------------------------------------------


def test_a_subset_is_what_reading_a_subset_gives():
    rng = np.random.default_rng(5)
    rows = []
    for i in range(30):
        n_switches = rng.integers(1, 4)
        rows += [(i, "ABC"[rng.integers(3)], rng.exponential(6), "switch")] * n_switches
        rows.append((i, "A", 2.0, ["death", "censored"][rng.integers(2)]))
    lines = table(*rows).assign(age=rng.random(len(rows)))
    keep = rng.random(30) < 0.5
    whole = read_histories(lines, formulary(), unit="months", covariates=["age"])
    part = whole.subset(keep)
    again = read_histories(
        lines[keep[lines["person"]]], formulary(), unit="months", covariates=["age"]
    )
    assert part.n_persons == keep.sum()
    for name in (
        "persons", "first", "person", "line", "regimen", "exposed", "group", "level", "start",
        "steps", "ending", "previous", "salvage_steps", "salvage_ending", "salvage_group",
    ):  # fmt: skip
        assert np.array_equal(getattr(part, name), getattr(again, name)), name
    pd.testing.assert_frame_equal(part.covariates, again.covariates)
    assert np.array_equal(whole.of(keep), keep[whole.person])
