"""Distances between sequences of states: plain twins, laws, blocks and files, bad input."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import (
    cluster_state_sequences,
    discrepancy,
    distance_problem,
    state_sequence_distances,
)
from fiac_survival.sequence.distance_problem import condensed_place
from tests.sequence import naive_distances as naive

STATES = "ABC"


def sequences(longest=8, most=6, equal=False):
    if equal:
        return st.integers(1, longest).flatmap(
            lambda n: st.lists(st.text(STATES, min_size=n, max_size=n), min_size=1, max_size=most)
        )
    return st.lists(st.text(STATES, min_size=1, max_size=longest), min_size=1, max_size=most)


@st.composite
def costs(draw, steps=None):
    size = 3 * (steps or 1)
    raw = draw(st.lists(st.floats(0, 5), min_size=size, max_size=size))
    out = np.zeros((steps or 1, 3, 3))
    for t, values in enumerate(np.reshape(raw, (-1, 3))):
        out[t][np.triu_indices(3, 1)] = values
        out[t] += out[t].T
    return out if steps else out[0]


def codes(rows):
    return [[STATES.index(s) for s in row] for row in rows]


def square(rows, distance):
    return np.array([[distance(x, y) for y in codes(rows)] for x in codes(rows)])


@settings(max_examples=150)
@given(sequences(), costs(), st.lists(st.floats(0.1, 3), min_size=3, max_size=3))
def test_optimal_matching(rows, cost, indel):
    found = state_sequence_distances(rows, substitution=cost, indel=indel, alphabet=STATES)
    expected = square(rows, lambda x, y: naive.edit(tuple(x), tuple(y), cost, indel))
    np.testing.assert_allclose(found.matrix(), expected, rtol=1e-13, atol=1e-13)
    assert found.condensed.tobytes() == squareform(found.matrix(), checks=False).tobytes()


@settings(max_examples=100)
@given(sequences(), st.sampled_from([0.5, 1.0, 1.5]), st.sampled_from([0.0, 0.7, 2.0, 3.0, 9.0]))
def test_dear_substitutions_are_common_subsequences(rows, indel, cost):
    """Where two indels are as cheap as a substitution another kernel computes the same numbers."""
    found = state_sequence_distances(rows, substitution_cost=cost, indel=indel, alphabet=STATES)
    table = cost * (1 - np.eye(3))
    expected = square(rows, lambda x, y: naive.edit(tuple(x), tuple(y), table, [indel] * 3))
    np.testing.assert_allclose(found.matrix(), expected, rtol=1e-14, atol=1e-14)


@settings(max_examples=100)
@given(sequences())
def test_common_subsequences(rows):
    found = state_sequence_distances(rows, method="lcs", alphabet=STATES)
    expected = square(rows, lambda x, y: len(x) + len(y) - 2 * naive.common(x, y))
    np.testing.assert_array_equal(found.matrix(), expected)


@settings(max_examples=100)
@given(sequences())
def test_common_prefixes_and_suffixes(rows):
    for method, turn in (("lcp", 1), ("rlcp", -1)):
        found = state_sequence_distances(rows, method=method, alphabet=STATES)
        expected = square(
            rows, lambda x, y, turn=turn: len(x) + len(y) - 2 * naive.prefix(x[::turn], y[::turn])
        )
        np.testing.assert_array_equal(found.matrix(), expected)


@settings(max_examples=150)
@given(
    sequences(),
    costs(),
    st.lists(st.floats(0.1, 3), min_size=3, max_size=3),
    st.floats(0, 2),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
def test_spells(rows, cost, indel, expansion, power):
    found = state_sequence_distances(
        rows,
        method="omspell",
        substitution=cost,
        indel=indel,
        expansion_cost=expansion,
        duration_power=power,
        alphabet=STATES,
    )
    expected = square(rows, lambda x, y: naive.spell_edit(x, y, cost, indel, expansion, power))
    np.testing.assert_allclose(found.matrix(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("length", [63, 64, 65, 127, 128, 129, 200])
def test_long_common_subsequences(length):
    """Words of 64 bits and what is carried between them."""
    rng = np.random.default_rng(length)
    rows = ["".join(rng.choice(list("AB"), n)) for n in rng.integers(length - 3, length + 1, 12)]
    rows += ["A" * length, "B" * (length - 1) + "A", "AB" * (length // 2)]
    found = state_sequence_distances(rows, method="lcs")
    slow = state_sequence_distances(rows, substitution=[[0, 2 - 1e-9], [2 - 1e-9, 0]])
    np.testing.assert_allclose(found.condensed, slow.condensed, atol=1e-6, rtol=0)


@settings(max_examples=100)
@given(sequences(equal=True), st.data())
def test_positional(rows, data):
    cost = data.draw(costs())
    found = state_sequence_distances(rows, method="hamming", substitution=cost, alphabet=STATES)
    each = [cost] * len(rows[0])
    expected = square(rows, lambda x, y: naive.positional(x, y, each))
    np.testing.assert_allclose(found.matrix(), expected, rtol=1e-13, atol=1e-13)
    over_time = data.draw(costs(steps=len(rows[0])))
    found = state_sequence_distances(rows, method="dhd", substitution=over_time, alphabet=STATES)
    expected = square(rows, lambda x, y: naive.positional(x, y, over_time))
    np.testing.assert_allclose(found.matrix(), expected, rtol=1e-13, atol=1e-13)


@settings(max_examples=100)
@given(sequences(equal=True))
def test_costs_from_rates(rows):
    plain = naive.rates(codes(rows), 3)
    found = state_sequence_distances(rows, substitution="transition_rates", alphabet=STATES)
    expected = np.where(np.eye(3, dtype=bool), 0.0, 2.0 - plain - plain.T)
    np.testing.assert_allclose(found.substitution, expected, atol=1e-14)
    if len(rows[0]) > 1:
        found = state_sequence_distances(rows, method="dhd", alphabet=STATES)
        np.testing.assert_allclose(
            found.substitution, naive.costs_over_time(codes(rows), 3, 4.0), atol=1e-14
        )


def many(n=400, length=20, seed=1, states="ABCDE"):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.choice(list(states), (n, length)))


OPTIONS = [
    {"method": "om"},
    {"method": "om", "substitution": "transition_rates", "indel": "auto"},
    {"method": "om", "substitution_cost": 1.3, "indel": 0.9},
    {"method": "lcs"},
    {"method": "hamming"},
    {"method": "dhd"},
    {"method": "lcs", "normalise": "geometric_mean"},
    {"method": "om", "normalise": "yujian_bo"},
    {"method": "lcp"},
    {"method": "rlcp", "normalise": "longer_length"},
    {"method": "omspell"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_laws(options):
    found = state_sequence_distances(many(60, 9), **options)
    d = found.matrix()
    assert d.tobytes() == d.T.copy().tobytes()
    assert (np.diag(d) == 0).all()
    assert (d >= 0).all()
    if options["method"] == "dhd" or options.get("normalise") == "geometric_mean":
        return  # no metric: costs from rates need not obey the triangle inequality at each step
    through = (d[:, :, None] + d[None, :, :]).min(axis=1)
    assert (d <= through + 1e-12).all()


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_same_for_any_number_of_threads_block_and_place(options, tmp_path, monkeypatch):
    states = many(150)
    one = state_sequence_distances(states, threads=1, **options)
    two = state_sequence_distances(states, threads=2, **options)
    assert one.condensed.tobytes() == two.condensed.tobytes()
    monkeypatch.setattr(distance_problem, "PAIRS_AT_ONCE", 700)
    parts = state_sequence_distances(states, keep=tmp_path / "distances.npy", **options)
    assert isinstance(parts.distinct, np.memmap)
    assert parts.condensed.tobytes() == one.condensed.tobytes()
    nothing = state_sequence_distances(states, keep="nothing", **options)
    whole = np.zeros((150, 150))
    for block in nothing.blocks(37):
        whole[block.rows.start : block.rows.stop, block.columns.start : block.columns.stop] = (
            block.distances
        )
    np.testing.assert_array_equal(
        squareform(np.triu(whole, 1) + np.triu(whole, 1).T), one.condensed
    )
    np.testing.assert_array_equal(
        nothing.matrix([3, 141, 3]), one.matrix()[np.ix_([3, 141, 3], [3, 141, 3])]
    )


def test_hamming_is_scipys():
    states = many(100)
    coded = states.apply(lambda c: c.map(ord)).to_numpy()
    found = state_sequence_distances(states, method="hamming")
    np.testing.assert_allclose(found.condensed, pdist(coded, "hamming") * 20, rtol=1e-13)


def test_repeated_rows_are_computed_once():
    states = many(40)
    again = pd.concat([states, states.iloc[::-1], states.iloc[:5]], ignore_index=True)
    once, found = state_sequence_distances(states), state_sequence_distances(again)
    assert (found.n_rows, found.n_distinct) == (85, 40)
    assert found.distinct.tobytes() == once.distinct.tobytes()
    assert found.table["n"].tolist() == [3] * 5 + [2] * 35
    np.testing.assert_array_equal(found.matrix()[:40, :40], once.matrix())
    np.testing.assert_array_equal(found.condensed, squareform(found.matrix()))
    # Rates count every row.
    rates = {"substitution": "transition_rates"}
    lopsided = pd.concat([states, states.iloc[:1], states.iloc[:1]])
    ours = state_sequence_distances(lopsided, **rates).substitution
    coded = [["ABCDE".index(s) for s in row] for row in lopsided.to_numpy()]
    plain = naive.rates(coded, 5)
    np.testing.assert_allclose(
        ours, np.where(np.eye(5, dtype=bool), 0.0, 2 - plain - plain.T), atol=1e-14
    )


def test_tables_arrays_lists_and_libraries():
    states = many(30)
    expected = state_sequence_distances(states).condensed
    for other in (
        states.to_numpy(),
        states.to_numpy().tolist(),
        ["".join(row) for row in states.to_numpy()],
        pl.from_pandas(states.rename(columns=str)),
        states.astype("category"),
    ):
        np.testing.assert_array_equal(state_sequence_distances(other).condensed, expected)
    numbers = states.apply(lambda c: c.map(ord))
    np.testing.assert_array_equal(state_sequence_distances(numbers).condensed, expected)
    ragged = pd.DataFrame([["A", "B", None], ["A", "B", "B"]])
    np.testing.assert_array_equal(
        state_sequence_distances(ragged).condensed,
        state_sequence_distances(["AB", "ABB"]).condensed,
    )
    assert state_sequence_distances(ragged).table["states"].tolist() == ["A:1 - B:1", "A:1 - B:2"]


def test_normalised():
    rows = ["AAB", "ABBBB", "A"]
    d = state_sequence_distances(rows, method="lcs").condensed
    m, n = np.array([3, 3, 5]), np.array([5, 1, 1])
    for name, expected in {
        "longer_length": d / np.maximum(m, n),
        "geometric_mean": 1 - (m + n - d) / 2 / np.sqrt(m * n),
        "yujian_bo": 2 * d / (m + n + d),
    }.items():
        found = state_sequence_distances(rows, method="lcs", normalise=name).condensed
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_places_beyond_32_bits():
    """46,342 sequences have more pairs than 32 bits count."""
    u = 100_000
    assert condensed_place(np.int64(0), u) + 1 == 0
    last = u * (u - 1) // 2 - 1
    assert condensed_place(np.int64(u - 2), u) + u - 1 == last > 2**32
    row = np.array([46_341, 99_997], dtype=np.int64)
    exact = [i * u - i * (i + 1) // 2 - i - 1 for i in row.tolist()]
    assert condensed_place(row, u).tolist() == exact


def test_more_sequences_than_32_bits_hold_pairs():
    """A block far down the table of 50,000 sequences, without the table."""
    rng = np.random.default_rng(0)
    states = rng.integers(0, 4, (50_000, 12)).astype(np.int8)
    found = state_sequence_distances(states, method="hamming", keep="nothing")
    assert found.n_distinct > 46_341
    u = found.n_distinct
    block = found.problem.block((u - 9, u), (u - 200, u))
    rows = states[found.table["first_row"].to_numpy()]
    expected = (rows[u - 9 :, None, :] != rows[None, u - 200 :, :]).sum(axis=2)
    np.testing.assert_array_equal(block, expected)
    with pytest.raises(DataError, match="distances were not kept"):
        _ = found.condensed


def test_one_sequence():
    found = state_sequence_distances(["AB", "AB"])
    assert found.condensed.tolist() == [0.0]
    assert found.distinct.size == 0
    assert found.matrix().tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_results_do_not_change():
    found = state_sequence_distances(["AB", "BB"])
    with pytest.raises(ValueError, match="read-only"):
        found.distinct[0] = 3.0
    assert "2 distinct of 2" in repr(found)
    assert "<table" in found._repr_html_()


GOOD = [[0.0, 1.0, 2.0], [1.0, 0.0, 1.5], [2.0, 1.5, 0.0]]


def changed(*places, value):
    out = np.array(GOOD)
    for place in places:
        out[place] = value
    return out


@pytest.mark.parametrize(
    ("states", "options", "rule"),
    [
        ([], {}, "at least one sequence"),
        (["AB", ""], {}, r"at least one state: 1 row .*row 1"),
        (pd.DataFrame([["A", None, "B"]]), {}, r"only after a sequence's end: .*row 0, step=1"),
        (pd.DataFrame([[None, "A"]]), {}, r"only after a sequence's end: .*row 0, step=0"),
        (np.array([[1.0, np.nan, 2.0]]), {}, "only after a sequence's end"),
        (["AB", "AX"], {"alphabet": "AB"}, r"in the alphabet: 1 row .*row 1, state=X"),
        (["AB"], {"alphabet": "ABA"}, "name each state once"),
        (["AB", "A"], {"method": "hamming"}, r"equal length: 1 row .*row 1, length=1"),
        (["AB", "A"], {"method": "dhd"}, "equal length"),
        (["A", "B"], {"method": "dhd"}, "at least two steps"),
        (["ABC"], {"method": "levenshtein"}, "method must be one of"),
        (["ABC"], {"normalise": "auto"}, "normalise must be one of"),
        (["ABC"], {"substitution": "rates"}, "substitution must be one of"),
        (["ABC"], {"substitution": "transition_rates", "substitution_cost": 1.0}, "at least 2"),
        (["ABC"], {"substitution_cost": -1.0}, "finite and at least 0"),
        (["ABC"], {"method": "lcs", "indel": 1.0}, "indel does not belong to lcs"),
        (["ABC"], {"method": "lcs", "substitution": GOOD}, "substitution does not belong"),
        (["ABC"], {"method": "hamming", "indel": 1.0}, "indel does not belong to hamming"),
        (["ABC"], {"method": "dhd", "substitution": "constant"}, "depend on time"),
        (["ABC"], {"method": "dhd", "substitution": GOOD}, r"at each step \(shape="),
        (["ABC"], {"substitution": GOOD, "substitution_cost": 2.0}, "does not belong"),
        (["ABC"], {"substitution": [[0.0, 1.0], [1.0, 0.0]]}, "one row and one column"),
        (["ABC"], {"substitution": [["a"]]}, "must be numbers"),
        (
            ["ABC"],
            {"substitution": changed((0, 1), value=3.0)},
            r"symmetric \(from=A, to=B, cost=3\)",
        ),
        (
            ["ABC"],
            {"substitution": changed((1, 2), (2, 1), value=-1.0)},
            r"negative \(from=B, to=C",
        ),
        (["ABC"], {"substitution": changed((1, 2), value=np.nan)}, "finite .*from=B, to=C"),
        (["ABC"], {"substitution": changed((2, 2), value=1.0)}, "against itself .*from=C"),
        (["ABC"], {"indel": 0.0}, r"positive cost \(state=A, indel=0\)"),
        (["ABC"], {"indel": [1.0, np.nan, 1.0]}, "positive cost .*state=B"),
        (["ABC"], {"indel": [1.0, 1.0]}, "one for each state"),
        (["ABC"], {"indel": "half"}, "'auto'"),
        (["ABC"], {"method": "lcp", "indel": 1.0}, "indel does not belong to lcp"),
        (["ABC"], {"method": "rlcp", "substitution_cost": 1.0}, "does not belong to rlcp"),
        (["ABC"], {"expansion_cost": 1.0}, "expansion_cost does not belong to om"),
        (["ABC"], {"method": "lcs", "duration_power": 1.0}, "duration_power does not belong"),
        (["ABC"], {"method": "omspell", "expansion_cost": -1.0}, "expansion_cost must be finite"),
        (["ABC"], {"method": "omspell", "duration_power": np.inf}, "duration_power must be finite"),
        (["ABC"], {"method": "omspell", "normalise": "yujian_bo"}, "spells are not normalised"),
        (["ABC"], {"normalise": "geometric_mean"}, "belongs to method='lcs'"),
        (["ABC"], {"method": "hamming", "normalise": "yujian_bo"}, "insertions and deletions"),
        (["ABC"], {"indel": [1, 2, 3], "normalise": "yujian_bo"}, "one cost of insertion"),
        (["ABC"], {"keep": "disk"}, "keep must be"),
        (["ABC"], {"threads": 0}, "threads must be at least 1"),
        (np.arange(300)[None, :], {}, "at most 250 states"),
        (np.zeros((2, 2, 2)), {}, "rows of a table"),
    ],
)
def test_bad_input(states, options, rule):
    with pytest.raises(DataError, match=rule):
        state_sequence_distances(states, **options)


def test_bad_files(tmp_path):
    with pytest.raises(DataError, match=r"end in \.npy"):
        state_sequence_distances(["AB", "BB"], keep=tmp_path / "distances.csv")
    with pytest.raises(DataError, match="at least two distinct"):
        state_sequence_distances(["AB", "AB"], keep=tmp_path / "distances.npy")
    assert not list(tmp_path.iterdir())
    found = state_sequence_distances(["AB", "BB"])
    with pytest.raises(DataError, match="rows must be among"):
        found.matrix([2])
    with pytest.raises(DataError, match="at least one row"):
        next(found.blocks(0))


# --- clusters -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from(["pam", "ward"]))
def test_clusters_and_their_quality(seed, k, method):
    states = many(12, 5, seed, "AB")
    distances = state_sequence_distances(states)
    if distances.n_distinct < k:
        return
    found = cluster_state_sequences(distances, k, method=method)
    matrix = distances.matrix()
    ours = found.quality.iloc[0].to_numpy(dtype=float)[1:]
    np.testing.assert_allclose(ours, naive.quality(matrix, found.labels), rtol=1e-9, atol=1e-12)
    assert found.table["n"].tolist() == np.bincount(found.labels)[1:].tolist()
    assert found.table["n"].is_monotonic_decreasing
    if method == "pam":
        medoids = found.table["medoid"].tolist()
        assert found.objective * 12 == pytest.approx(matrix[medoids].min(axis=0).sum())
        assert naive.swap_gain(matrix, medoids) <= 1e-9
        assert found.objective * 12 >= naive.best_medoids(matrix, k) - 1e-9


def test_clusters_that_are_there():
    rng = np.random.default_rng(5)
    rows = []
    for home in "ABC":
        rows += ["".join(np.where(rng.random(20) < 0.1, "D", home)) for _ in range(15)]
    distances = state_sequence_distances(rows)
    for method in ("pam", "ward"):
        found = cluster_state_sequences(distances, 3, method=method)
        assert len({tuple(found.labels[i : i + 15]) for i in (0, 15, 30)}) == 3
        assert found.quality["hubert_c"].iloc[0] == pytest.approx(0, abs=1e-12)
        assert found.quality["average_silhouette_width"].iloc[0] > 0.7
    one = state_sequence_distances(rows, threads=1)
    again = cluster_state_sequences(one, 3)
    pd.testing.assert_frame_equal(again.table, cluster_state_sequences(distances, 3).table)


def test_bad_clusters():
    distances = state_sequence_distances(["AB", "BB", "BA"])
    for k in (1, 4):
        with pytest.raises(DataError, match="at least 2 clusters"):
            cluster_state_sequences(distances, k)
    with pytest.raises(DataError, match="method must be one of"):
        cluster_state_sequences(distances, 2, method="kmeans")
    with pytest.raises(DataError, match="not kept"):
        cluster_state_sequences(
            state_sequence_distances(["AB", "BB", "BA"], keep="nothing"), 2, method="ward"
        )
    with pytest.raises(DataError, match="at least 2 groups"):
        discrepancy(distances, [1, 1, 1])
    with pytest.raises(DataError, match="one value per row"):
        fs.sequence.discrepancy(distances, [1, 2])


# --- descriptions -------------------------------------------------------------------------------


@settings(max_examples=100)
@given(sequences())
def test_descriptions(rows):
    found = fs.sequence.describe_state_sequences(rows, alphabet=STATES)
    assert found.table["row"].tolist() == list(range(len(rows)))
    for row, x in zip(found.table.itertuples(), codes(rows), strict=True):
        n = len(naive.spells(x))
        assert (row.length, row.spells, row.transitions) == (len(x), n, n - 1)
        assert row.entropy == pytest.approx(naive.entropy(x, 3), abs=1e-14)
        assert row.turbulence == pytest.approx(naive.turbulence(x), rel=1e-13)
        of_moves = (n - 1) / (len(x) - 1) if len(x) > 1 else 0.0
        assert row.complexity == pytest.approx(np.sqrt(of_moves * row.entropy), abs=1e-14)
    for at in found.over_time.itertuples():
        here = [x[at.step] for x in rows if len(x) > at.step]
        assert (at.n, at.observed) == (here.count(at.state), len(here))
        assert at.share == at.n / at.observed
    assert found.steps["step"].tolist() == list(range(max(map(len, rows))))
    whole = "".join(rows)
    assert found.states["mean_time"].tolist() == [whole.count(a) / len(rows) for a in STATES]
    assert found.states["share"].sum() == pytest.approx(1)
    assert found.frequent["n"].sum() == len(rows)
    rates = found.transition_rates["rate"].to_numpy().reshape(3, 3)
    np.testing.assert_allclose(rates, naive.rates(codes(rows), 3), atol=1e-15)


def test_the_number_of_subsequences_does_not_overflow():
    """2,000 changes between two states: Fibonacci numbers, beyond the largest double."""
    rows = ["AB" * 1_000]
    found = fs.sequence.describe_state_sequences(rows).table["turbulence"].iloc[0]
    a, b = 1, 2
    for _ in range(1_999):
        a, b = b, a + b + 1
    assert found == pytest.approx(math.log2(b), rel=1e-12)
    assert found > 1_024


def test_descriptions_of_a_single_state_and_unknown_ones():
    one = fs.sequence.describe_state_sequences(["A", "AA"])
    assert one.table["entropy"].tolist() == one.table["complexity"].tolist() == [0.0, 0.0]
    assert one.steps["modal_state"].tolist() == ["A", "A"]
    with pytest.raises(DataError, match="in the alphabet"):
        fs.sequence.describe_state_sequences(["AX"], alphabet="AB")
    assert "2 distinct" in repr(one)
