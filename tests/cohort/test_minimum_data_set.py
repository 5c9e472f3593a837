"""The fewest identifiers: counts against a naive twin, precision, Pareto subsets, targets."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.cohort.linkage_pairs import PUBLISHED, sources


def naive(private, public, subset, truth):
    sides = [f.replace({"sex": {"unknown": None}}).dropna(subset=subset) for f in (private, public)]
    counts = [s.groupby(subset)["person"].agg(["size", "first"]) for s in sides]
    both = counts[0].join(counts[1], how="inner", lsuffix="_a", rsuffix="_b")
    links = both[(both["size_a"] == 1) & (both["size_b"] == 1)]
    partner = dict(zip(truth["private"], truth["public"], strict=True))
    right = [partner.get(a) == b for a, b in zip(links["first_a"], links["first_b"], strict=True)]
    alone = [
        (c["size"] == 1).sum() / len(f) for c, f in zip(counts, (private, public), strict=True)
    ]
    return len(links), sum(right), *alone


@pytest.mark.parametrize("seed", [0, 1])
def test_every_subset_against_a_naive_twin(seed):
    private, public, truth = sources(seed, 120, 200, centres=20)
    found = fs.cohort.minimum_data_set(private, public, candidates=PUBLISHED, truth=truth)
    assert len(found.table) == 2 ** len(PUBLISHED) - 1
    assert found.basis == "truth"
    for row in found.table.itertuples():
        subset = row.identifiers.split(" + ")
        linked, right, alone_a, alone_b = naive(private, public, subset, truth)
        assert (row.linked, row.correct) == (linked, right), subset
        np.testing.assert_allclose([row.unique_private, row.unique_public], [alone_a, alone_b])
        np.testing.assert_allclose(row.rate, linked / len(private))
        np.testing.assert_allclose(row.recall, right / len(truth))
        if linked:
            np.testing.assert_allclose(row.precision, right / linked)
            assert row.precision_lower <= row.precision <= row.precision_upper
        else:
            assert np.isnan(row.precision)


def test_against_the_full_set():
    private, public, _ = sources(3, 200, 300)
    found = fs.cohort.minimum_data_set(private, public, candidates=PUBLISHED)
    assert found.basis == "full set"
    full = found.table.iloc[-1]
    assert full["n_identifiers"] == len(PUBLISHED)
    assert full["precision"] == full["recall"] == 1.0
    assert (found.table["judged"] <= found.table["linked"]).all()
    link = fs.cohort.link(private, public, passes=[PUBLISHED], method="deterministic").pairs
    assert full["linked"] == len(link)
    truth = link[["private", "public"]]
    for row in found.table.itertuples():
        _, right, *_ = naive(private, public, row.identifiers.split(" + "), truth)
        assert row.correct == right


def test_pareto_subsets_and_the_smallest():
    private, public, truth = sources(5)
    found = fs.cohort.minimum_data_set(
        private,
        public,
        candidates=[*PUBLISHED, "drug"],
        truth=truth,
        targets={"rate": 0.75, "precision": 0.99},
    )
    table = found.table
    for row in table.itertuples():
        beaten = (
            (table["n_identifiers"] <= row.n_identifiers)
            & (table["rate"] >= row.rate)
            & (table["precision"] >= row.precision)
            & (
                (table["n_identifiers"] < row.n_identifiers)
                | (table["rate"] > row.rate)
                | (table["precision"] > row.precision)
            )
        )
        assert row.pareto == (not beaten.any() and row.precision == row.precision)
    reached = table[(table["rate"] >= 0.75) & (table["precision"] >= 0.99)]
    assert found.smallest["n_identifiers"].nunique() == 1
    assert found.smallest["n_identifiers"].iloc[0] == reached["n_identifiers"].min()
    assert found.smallest["rate"].is_monotonic_decreasing
    impossible = fs.cohort.minimum_data_set(
        private, public, candidates=PUBLISHED, targets={"rate": 1.0}
    )
    assert len(impossible.smallest) == 0


def test_the_smallest_set_is_that_of_other_seeds():
    sizes, sets = set(), []
    for seed in range(6):
        private, public, truth = sources(seed, 450, 666)
        found = fs.cohort.minimum_data_set(
            private,
            public,
            candidates=PUBLISHED,
            truth=truth,
            targets={"rate": 0.74, "precision": 0.98},
        ).smallest
        sizes.add(int(found["n_identifiers"].iloc[0]))
        sets.append(set(found["identifiers"]))
    assert sizes == {3}
    assert "birth_year + birth_month + centre" in set.intersection(*sets)


def test_order_and_engine_change_nothing():
    private, public, truth = sources(7, 150, 200)
    found = fs.cohort.minimum_data_set(private, public, candidates=PUBLISHED, truth=truth)
    engine = fs.cohort.connect("duckdb", threads=2)
    again = fs.cohort.minimum_data_set(
        private.sample(frac=1.0, random_state=0),
        public.sample(frac=1.0, random_state=1),
        candidates=PUBLISHED,
        truth=truth.sample(frac=1.0, random_state=2),
        engine=engine,
    )
    assert engine.backend.list_tables() == []
    engine.close()
    pd.testing.assert_frame_equal(found.table, again.table, check_exact=True)


def test_refusals():
    private, public, truth = sources(0, 30, 40)
    call = fs.cohort.minimum_data_set
    with pytest.raises(DataError, match="one to 10 identifiers"):
        call(private, public, candidates=[f"k{n}" for n in range(11)])
    with pytest.raises(DataError, match="each once"):
        call(private, public, candidates=["sex", "sex"])
    with pytest.raises(DataError, match="one to 10 identifiers"):
        call(private, public, candidates=[])
    with pytest.raises(DataError, match="must have the columns"):
        call(private, public, candidates=["sex", "height"])
    with pytest.raises(DataError, match="share of a known measure"):
        call(private, public, candidates=["sex"], targets={"beauty": 0.5})
    with pytest.raises(DataError, match="share of a known measure"):
        call(private, public, candidates=["sex"], targets={"rate": 80})
    with pytest.raises(DataError, match="columns private and public"):
        call(private, public, candidates=["sex"], truth=truth[["private"]])
    with pytest.raises(DataError, match="must not be missing for all"):
        call(private.assign(centre=None), public, candidates=["centre"])

    class Elsewhere:
        name = "postgres"

    with pytest.raises(DataError, match="must be DuckDB"):
        call(private, public, candidates=["sex"], engine=Elsewhere())


def test_all_subsets_are_there():
    private, public, _ = sources(0, 40, 50)
    found = fs.cohort.minimum_data_set(private, public, candidates=PUBLISHED[:3])
    names = {" + ".join(s) for k in (1, 2, 3) for s in itertools.combinations(PUBLISHED[:3], k)}
    assert set(found.table["identifiers"]) == names
