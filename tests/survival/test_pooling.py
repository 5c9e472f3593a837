"""Rubin's rules against published output, and on every kind of estimate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds
from fiac_survival.core.errors import DataError

# Printed by R's mice (pool), in the documentation of marginaleffects (five imputations of mtcars) and in a
# course on missing data (fifty imputations of airquality): m, within, between, total, df of the complete
# data, df, relative increase, lambda, fraction of missing information.
PUBLISHED = [
    (5, 7.093304e-04, 2.347331e-03, 3.526128e-03, 29, 2.920745, 3.971065, 0.7988359, 0.8667882),
    (5, 5.708603e-07, 1.375452e-06, 2.221403e-06, 29, 3.556844, 2.891325, 0.7430181, 0.8214040),
    (5, 1.080454e-04, 2.722234e-04, 4.347135e-04, 29, 3.458294, 3.023434, 0.7514561, 0.8284250),
    (50, 6.805400e00, 1.082784e00, 7.909840e00, 148, 119.6660, 0.1622887, 0.1396286, 0.1536564),
    (50, 5.224431e-04, 1.390522e-04, 6.642763e-04, 148, 103.7690, 0.2714807, 0.2135154, 0.2282479),
    (50, 4.461246e-05, 7.239493e-06, 5.199674e-05, 148, 119.1549, 0.1655207, 0.1420143, 0.1560619),
    (50, 4.024084e-02, 6.924729e-03, 4.730407e-02, 148, 117.5870, 0.1755237, 0.1493153, 0.1634244),
]


def with_spread(m: int, between: float) -> np.ndarray:
    """Values whose variance is that."""
    base = np.arange(m, dtype=float)
    return 1.0 + base * np.sqrt(between / base.var(ddof=1))


@pytest.mark.parametrize("row", PUBLISHED)
def test_published_output(row):
    m, within, between, total, complete_df, df, increase, share, missing = row
    pairs = [([q], [within]) for q in with_spread(m, between)]
    found = fs.survival.pool(pairs, complete_df=complete_df).table.iloc[0]
    assert found["std_error"] ** 2 == pytest.approx(total, rel=1e-6)
    assert found["df"] == pytest.approx(df, rel=1e-5)
    assert found["relative_increase"] == pytest.approx(increase, rel=1e-6)
    assert found["lambda"] == pytest.approx(share, rel=1e-6)
    assert found["fraction_missing"] == pytest.approx(missing, rel=1e-6)


def test_published_p_values():
    # Ozone, Solar.R and Wind of the same course.
    for estimate, row, p in ((0.0115144, 5, 1.129568e-01), (-0.3357630, 6, 1.253302e-01)):
        m, within, between, _, complete_df, *_ = PUBLISHED[row]
        q = with_spread(m, between)
        pairs = [([v - q.mean() + estimate], [within]) for v in q]
        found = fs.survival.pool(pairs, complete_df=complete_df).table.iloc[0]
        assert found["p_value"] == pytest.approx(p, rel=1e-4)


def test_equal_estimates_have_nothing_missing():
    found = fs.survival.pool([([2.0], [4.0])] * 3).table.iloc[0]
    assert found["std_error"] == 2.0
    assert found["df"] == np.inf
    assert found["fraction_missing"] == 0.0
    assert found["upper"] == pytest.approx(2 + 2 * 1.959964, rel=1e-6)
    finite = fs.survival.pool([([2.0], [4.0])] * 3, complete_df=10.0).table.iloc[0]
    assert finite["df"] == pytest.approx(11 / 13 * 10)


def samples(k: int, n: int = 200):
    rng = seeds.stream(7, "pooling", k)
    x = pd.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 2, n)})
    time = rng.exponential(np.exp(-0.3 * x["a"]))
    end = rng.uniform(0.5, 3.0, n)
    cause = np.where(time <= end, 1 + (rng.random(n) < 0.3), 0)
    return fs.Outcome(np.minimum(time, end), time <= end), x, np.minimum(time, end), cause


def test_models_are_pooled_with_their_covariance():
    models = [fs.survival.cox(y, x) for y, x, *_ in map(samples, range(4))]
    found = fs.survival.pool(models)
    coef = np.stack([m.coef for m in models])
    total = np.mean([m.covariance for m in models], axis=0) + 1.25 * np.cov(coef.T)
    np.testing.assert_allclose(found.covariance, total)
    np.testing.assert_allclose(found.table["estimate"], np.exp(coef.mean(axis=0)))
    np.testing.assert_allclose(found.coef, coef.mean(axis=0))
    pairs = fs.survival.pool([(m.coef, m.covariance) for m in models], scale="log")
    pd.testing.assert_frame_equal(pairs.table, found.table)
    weibull = fs.survival.pool(
        [fs.survival.parametric(y, X=x) for y, x, *_ in map(samples, range(3))]
    )
    assert weibull.table["term"].tolist()[:2] == ["shape", "scale"]


def test_curves_are_pooled_on_the_log_log_scale():
    curves = [fs.survival.kaplan_meier(y, group=x["b"]) for y, x, *_ in map(samples, range(3))]
    found = fs.survival.pool(curves, times=[0.5, 1.0]).table
    s = np.stack([c.at([0.5, 1.0])["survival"] for c in curves])
    expected = np.exp(-np.exp(np.log(-np.log(s)).mean(axis=0)))
    np.testing.assert_allclose(found["estimate"], expected, rtol=1e-12)
    one = curves[0].at([0.5, 1.0])
    same = fs.survival.pool([curves[0]] * 2, times=[0.5, 1.0]).table
    for name in ("lower", "upper"):
        np.testing.assert_allclose(same[name], one[name], rtol=1e-9)
    assert found["term"].iloc[0] == "survival, group=0, time=0.5"


def test_incidences_are_pooled_on_the_scale_of_their_intervals():
    curves = [fs.survival.aalen_johansen(fs.Outcome(t, c)) for *_, t, c in map(samples, range(2))]
    same = fs.survival.pool([curves[0]] * 2, times=[1.0]).table
    one = curves[0].at([1.0])
    for ours, theirs in (("estimate", "incidence"), ("lower", "lower"), ("upper", "upper")):
        np.testing.assert_allclose(same[ours], one[theirs], rtol=1e-9)


def test_means_milestones_effects_and_adjusted_curves():
    data = [samples(k) for k in range(3)]
    means = [fs.survival.rmst(y, tau=1.0, group=x["b"]) for y, x, *_ in data]
    found = fs.survival.pool(means).table.set_index("term")
    assert found.loc["rmst, group=0, tau=1.0", "estimate"] == pytest.approx(
        np.mean([m.table["rmst"].iloc[0] for m in means])
    )
    ratio = np.log([m.contrast["estimate"].iloc[1] for m in means]).mean()
    assert found.loc["group=1, reference=0, contrast=ratio", "estimate"] == pytest.approx(
        np.exp(ratio)
    )
    lost = fs.survival.pool(
        [fs.survival.rmtl(fs.Outcome(t, c), tau=1.0, group=x["b"]) for _, x, t, c in data]
    )
    assert "rmtl, group=0, cause=1, tau=1.0" in lost.table["term"].tolist()
    points = [fs.survival.milestone(y, times=[0.5], group=x["b"]) for y, x, *_ in data]
    assert len(fs.survival.pool(points).table) == 5
    effects = [fs.compare.effect(y, x["b"], measure="hazard_ratio") for y, x, *_ in data]
    pooled = fs.survival.pool(effects).table.iloc[0]
    assert pooled["estimate"] == pytest.approx(np.exp(np.mean([e.on_scale for e in effects])))
    adjusted = [
        fs.compare.standardised_survival(y, x["b"], x[["a"]], times=[0.5], tau=1.0)
        for y, x, *_ in data
    ]
    terms = fs.survival.pool(adjusted).table["term"].tolist()
    assert "survival, arm=1, time=0.5" in terms
    assert "rmst, arm=1, tau=1.0" in terms
    assert any("measure=rmst" in t and "contrast=difference" in t for t in terms)


CURVE = fs.survival.kaplan_meier(samples(0)[0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.survival.pool([([1.0], [1.0])]), "at least two estimates"),
        (lambda: fs.survival.pool([([1.0], [1.0]), ([1.0, 2.0], [1.0, 1.0])]), "the same terms"),
        (lambda: fs.survival.pool([([1.0], [1.0, 2.0])] * 2), "estimates and their covariance"),
        (lambda: fs.survival.pool([([1.0], [-1.0])] * 2), "variances must not be negative"),
        (lambda: fs.survival.pool([([np.nan], [1.0])] * 2), "must be finite.*term=x0"),
        (lambda: fs.survival.pool([3.0, 4.0]), "pool takes models"),
        (lambda: fs.survival.pool([CURVE] * 2), "curves are pooled at times"),
        (lambda: fs.survival.pool([CURVE] * 2, times=[0.0]), "no log"),
        (lambda: fs.survival.pool([([1.0], [1.0])] * 2, times=[1.0]), "times go with curves"),
        (lambda: fs.survival.pool([([1.0], [1.0])] * 2, scale="logit"), "scale must be one of"),
        (lambda: fs.survival.pool([([1.0], [1.0])] * 2, complete_df=0.0), "complete_df must be"),
        (lambda: fs.survival.pool([([1.0], [1.0])] * 2, level=95.0), "level must lie"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()
