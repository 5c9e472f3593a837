"""Tables of counts: rules by hand, and generated tables held against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.disclosure import Cell, LinearOutputs, Released, audit, find_profile
from fiac_survival.disclosure.feasible import System
from tests.disclosure.naive import widths

CountTable = fs.cohort.CountTable
control = fs.cohort.control_disclosure


def two_way(counts: np.ndarray) -> tuple[pd.DataFrame, list[str], list[str]]:
    rows = [f"r{i}" for i in range(counts.shape[0])]
    columns = [f"c{j}" for j in range(counts.shape[1])]
    cells = [(r, c, counts[i, j]) for i, r in enumerate(rows) for j, c in enumerate(columns)]
    cells += [(r, "all", counts[i].sum()) for i, r in enumerate(rows)]
    cells += [("all", c, counts[:, j].sum()) for j, c in enumerate(columns)]
    cells.append(("all", "all", counts.sum()))
    return pd.DataFrame(cells, columns=["x", "y", "n"]), rows, columns


def controlled(counts: np.ndarray, **options):
    table, _, _ = two_way(counts)
    return control(CountTable(table, counts=["n"], by={"x": "all", "y": "all"}), **options)


# --- by hand ------------------------------------------------------------------------------------


def test_a_margin_takes_a_second_cell_with_it():
    table = pd.DataFrame({"stage": ["I", "II", "III", "all"], "n": [4, 30, 25, 59]})
    safe = control(CountTable(table, counts=["n"], by={"stage": "all"}))
    # One more cell must go; the smaller of the two loses less than the larger, and than the total.
    assert safe.table["n"].isna().tolist() == [True, False, True, False]
    assert safe.actions["cells"].tolist() == [1, 1]


def test_without_a_margin_one_cell_is_enough():
    table = pd.DataFrame({"stage": ["I", "II"], "n": [4, 30]})
    safe = control(CountTable(table, counts=["n"], by=["stage"]))
    assert safe.table["n"].isna().tolist() == [True, False]


def test_zero_and_the_threshold_itself_leave():
    table = pd.DataFrame({"stage": ["I", "II", "III"], "n": [0, 11, 10]})
    safe = control(CountTable(table, counts=["n"], by=["stage"]))
    assert safe.table["n"].isna().tolist() == [False, False, True]


def test_two_small_cells_whose_sum_is_small_take_a_third():
    table = pd.DataFrame({"stage": ["I", "II", "III", "all"], "n": [2, 3, 40, 45]})
    safe = control(CountTable(table, counts=["n"], by={"stage": "all"}))
    assert safe.table["n"].isna().sum() == 3


def test_columns_that_add_up():
    table = pd.DataFrame(
        {"arm": ["a", "b"], "n": [40, 50], "n_event": [37, 20], "n_censor": [3, 30]}
    )
    safe = control(
        CountTable(
            table,
            counts=["n", "n_event", "n_censor"],
            by=["arm"],
            column_totals={"n": ["n_event", "n_censor"]},
        )
    ).table
    assert safe["n_censor"].isna().tolist() == [True, False]
    assert safe[["n", "n_event"]].isna().sum(axis=1).tolist() == [1, 0]


def test_a_flow_of_patients():
    flow = pd.DataFrame({"step": [0, 1, 2], "n_after": [100, 97, 60]})
    safe = control(CountTable(flow, counts=["n_after"], by=["step"], steps={"n_after": None}))
    assert safe.table["n_after"].isna().sum() == 1  # 100 - 97 = 3 must not be seen
    assert not safe.table["n_after"].isna()[2]


def test_the_attrition_of_a_cohort():
    engine = fs.cohort.connect("duckdb")
    people = pd.DataFrame({"age": [30] * 4 + [60] * 50 + [80] * 40})
    from fiac_survival.core.population import Criterion

    steps = [
        Criterion(label="Adults over 40", column="age", operator=">", value=40),
        Criterion(label="Under 70", column="age", operator="<", value=70),
    ]
    _, attrition = fs.cohort.apply_eligibility(
        engine.register(people, table="people"), steps, source="people"
    )
    engine.close()
    safe = control(
        CountTable(
            attrition,
            counts=["n_before", "n_excluded", "n_after"],
            by=["step", "source"],
            column_totals={"n_before": ["n_excluded", "n_after"]},
            steps={"n_after": "n_excluded"},
        )
    ).table
    # 94 - 90 = 4 is small; 90 stands at two places, and 90 = 40 + 50 gives it back unless 40 goes too.
    assert safe["n_excluded"].isna().tolist() == [False, True, True]
    assert safe["n_after"].isna().tolist() == [False, True, False]
    assert safe["n_before"].isna().tolist() == [False, False, True]


def test_ratios_and_statistics_follow_the_counts():
    table = pd.DataFrame(
        {
            "arm": ["a", "b"],
            "n": [40, 50],
            "dead": [3, 20],
            "share": [0.075, 0.4],
            "age": [61.234, 62.345],
        }
    )
    safe = control(
        CountTable(
            table,
            counts=["n", "dead"],
            by=["arm"],
            ratios={"share": ("dead", "n")},
            statistics=["age"],
        )
    ).table
    assert safe["share"].isna().tolist() == [True, False]
    assert safe["share"][1] == 0.4
    assert safe["age"].isna().tolist() == [True, False]
    assert safe["age"][1] == 62.3


@pytest.mark.parametrize(
    ("profile", "rounding", "count", "released", "interval"),
    [
        ("snds", None, 11, 11, (11, 11)),
        ("snds", None, 10, None, None),
        ("snds", "midpoint", 12, None, None),
        ("snds", "midpoint", 13, 18, (13, 24)),
        ("snds", "nearest", 12, 10, (11, 12)),
        ("opensafely", None, 7, None, None),
        ("opensafely", None, 8, 10, (8, 12)),
        ("opensafely", None, 13, 15, (13, 17)),
        ("opensafely", "midpoint", 13, 15, (13, 18)),
        ("opensafely", "midpoint", 18, 15, (13, 18)),
        ("none", None, 1, 1, (1, 1)),
        ("snds", "midpoint", 0, 0, (0, 0)),
    ],
)
def test_profiles(profile, rounding, count, released, interval):
    rules = find_profile(profile, rounding=rounding)
    assert rules.interval(count) == interval
    assert rules.released(count) == released or (released is None and interval is None)


@pytest.mark.parametrize("rounding", ["none", "nearest", "midpoint"])
@pytest.mark.parametrize("name", ["snds", "opensafely"])
def test_intervals_are_the_counts_that_are_released_alike(name, rounding):
    rules = find_profile(name, rounding=rounding)
    for count in range(200):
        known = rules.interval(count)
        alike = [c for c in range(300) if c and rules.released(c) == rules.released(count)]
        if known is not None and count:
            assert (min(alike), max(alike)) == known


def test_public_data_leave_as_they_are():
    safe = controlled(np.array([[1, 2], [3, 4]]), profile="none")
    assert safe.table["n"].tolist() == two_way(np.array([[1, 2], [3, 4]]))[0]["n"].tolist()
    assert safe.actions.empty


def test_three_keys():
    rng = np.random.default_rng(3)
    inner = pd.DataFrame(
        [(a, b, c, rng.poisson(14)) for a in "pq" for b in "rs" for c in "tuv"],
        columns=["x", "y", "z", "n"],
    )
    parts = []
    for keys in itertools.product([True, False], repeat=3):
        copy = inner.copy()
        for name, keep in zip("xyz", keys, strict=True):
            if not keep:
                copy[name] = "all"
        parts.append(copy.groupby(["x", "y", "z"], as_index=False)["n"].sum())
    table = pd.concat(parts, ignore_index=True)
    safe = control(CountTable(table, counts=["n"], by=dict.fromkeys("xyz", "all")))
    assert audit(safe.outputs).passed
    assert (table["n"] < 11).any()


# --- generated, against enumeration ----------------------------------------------------------------


@settings(max_examples=60)
@given(
    counts=st.one_of(
        st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=2), min_size=2, max_size=2),
        st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=2), min_size=3, max_size=3),
    ),
    threshold=st.integers(2, 3),
    rounding=st.sampled_from(["none", "midpoint", "nearest"]),
)
def test_no_small_count_can_be_solved_back(counts, threshold, rounding):
    array = np.array(counts)
    safe = controlled(array, threshold=threshold, rounding=rounding)
    table, rows, columns = two_way(array)
    rules = safe.rules
    released = table.set_index(["x", "y"])[["n"]]
    released["low"], released["high"] = 0, -1
    for cell, n in table.set_index(["x", "y"])["n"].items():
        if not pd.isna(safe.table.set_index(["x", "y"])["n"][cell]):
            released.loc[cell, ["low", "high"]] = rules.interval(n)
    cap = int(array.max()) + 2 * threshold
    found = widths(released[["low", "high"]], cap, rows, columns)
    for cell, n in released["n"].items():
        if 1 <= n < threshold:
            assert found[cell] >= threshold, (cell, n)


@settings(max_examples=40)
@given(
    counts=st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=2), min_size=2, max_size=2),
    shown=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_the_audit_finds_what_enumeration_finds(counts, shown):
    table, rows, columns = two_way(np.array(counts))
    cells = CountTable(table, counts=["n"], by={"x": "all", "y": "all"})
    from fiac_survival.disclosure.count_tables import cells_of

    known = cells_of(cells)
    shown[-1] = True  # the grand total bounds everything
    released = table.set_index(["x", "y"])[["n"]]
    released["low"], released["high"] = 0, -1
    out = []
    for row, show in enumerate(shown):
        if show:
            n = int(table["n"][row])
            released.iloc[row, 1:] = n
            out.append(Released(known.at[row, "n"], n, n))
    system = System(LinearOutputs(tuple(out), known.sums, known.truth))
    total = int(table["n"].iloc[-1])
    expected = widths(released[["low", "high"]], total, rows, columns)
    for row, cell in enumerate(table[["x", "y"]].itertuples(index=False, name=None)):
        low, high = system.interval(known.at[row, "n"])
        assert high - low == expected[cell]
        for width in range(1, 6):
            assert system.wide(known.at[row, "n"], width) == (expected[cell] >= width)


@settings(max_examples=25)
@given(counts=st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=2), min_size=2, max_size=2))
def test_no_smaller_choice_would_do(counts):
    """Every set of cells smaller than the one chosen leaves a count that can be solved back."""
    array, threshold = np.array(counts), 3
    safe = controlled(array, threshold=threshold)
    table, _, _ = two_way(array)
    from fiac_survival.disclosure.count_tables import cells_of

    known = cells_of(CountTable(table, counts=["n"], by={"x": "all", "y": "all"}))
    values = table["n"].to_numpy()
    small = (values >= 1) & (values < threshold)
    chosen = int(safe.table["n"].isna().sum()) - int(small.sum())
    free = np.flatnonzero(~small)
    for size in range(chosen):
        for extra in itertools.combinations(free, size):
            hidden = small.copy()
            hidden[list(extra)] = True
            out = tuple(
                Released(known.at[r, "n"], int(n), int(n))
                for r, n in enumerate(values)
                if not hidden[r]
            )
            outputs = LinearOutputs(out, known.sums, known.truth)
            assert not audit(outputs, threshold=threshold).passed


# --- what is refused --------------------------------------------------------------------------------

GOOD = pd.DataFrame({"sex": ["F", "M", "all"], "n": [14, 30, 44]})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: control(GOOD), "which columns are counts.*wrap the table"),
        (lambda: control(safe_table(), profile="sndz"), "profile must be known.*sndz.*choose"),
        (lambda: control(safe_table(), threshold=0), "at least 1.*threshold=0.*leave it out"),
        (lambda: control(safe_table(), threshold=2.5), "whole number of at least 1"),
        (lambda: control(safe_table(), threshold=True), "whole number of at least 1"),
        (lambda: control(safe_table(), rounding="up"), "rounding must be known.*choose"),
        (lambda: safe_table(n=[-1, 30, 29]), "whole number of at least 0.*row 0"),
        (lambda: safe_table(n=[1.5, 30, 31.5]), "whole number of at least 0.*row 0"),
        (lambda: control(safe_table(n=[14, 30, 45])), "sum of their parts.*row 2.*correct"),
        (lambda: control(safe_table(n=[14, None, 44])), "must all be counted.*write 0"),
        (lambda: safe_table(n=["a", "b", "c"]), "must be a number"),
        (lambda: safe_table(sex=["F", "F", "all"]), "name each row once.*row 1"),
        (lambda: CountTable(GOOD, counts=[], by=["sex"]), "must have counts.*EstimateTable"),
        (lambda: CountTable(GOOD, counts=["m"], by=["sex"]), "must exist.*missing=m"),
        (
            lambda: CountTable(GOOD.assign(p=0.5), counts=["n"], by=["sex"]),
            "numeric column must have a role.*column=p",
        ),
        (
            lambda: CountTable(GOOD, counts=["n"], by=["sex"], ratios={"n": ("sex", "n")}),
            "are of counts",
        ),
        (
            lambda: CountTable(GOOD[:1][["n"]], counts=["n"], by=[], steps={"n": None}),
            "along the first key",
        ),
        (lambda: CountTable([1], counts=["n"], by=["sex"]), "data frame or a result"),
    ],
)
def test_what_is_refused(make, says):
    with pytest.raises(DataError, match=says):
        make()


def safe_table(**columns):
    return CountTable(GOOD.assign(**columns), counts=["n"], by={"sex": "all"})


def test_cells_have_names_for_readers():
    assert str(Cell("trial", "n", (("sex", "F"),))) == "n of trial (sex F)"
