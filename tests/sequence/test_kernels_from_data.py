"""Kernels from data, against second implementations, closed forms and simulated truth."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import CubicSpline

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.sequence import (
    RelativeEffects,
    estimate_kernels,
    indication,
    parse_formulary,
    read_histories,
)
from fiac_survival.sequence.cohorts import truth
from fiac_survival.sequence.indication import RegimenModel, indication_weights
from fiac_survival.sequence.kernel_checks import expected_hazards
from fiac_survival.sequence.kernel_design import restricted_spline
from fiac_survival.sequence.kernel_fitting import to_kernels
from fiac_survival.sequence.multinomial import fit_multinomial, probabilities, scores
from fiac_survival.sequence.relative_effects import scale_rates

TWO = {
    "name": "two",
    "lines": 2,
    "horizon_months": 24,
    "classes": {"x": "class x", "y": "class y"},
    "regimens": [{"name": "A", "classes": ["x"]}, {"name": "B", "classes": ["y"]}],
}
ONE = TWO | {"lines": 1}


@functools.cache
def cohort(n, seed, confounding=1.6, censoring=24.0):
    return fs.sequence.examples.cohort(n, seed=seed, confounding=confounding, censoring=censoring)


@functools.cache
def estimated(n=1500, seed=1, form="spline", confounders=(), **options):
    return estimate_kernels(*cohort(n, seed), form=form, confounders=confounders, unit="steps")


# --- multinomial logit --------------------------------------------------------------------------


def choices(seed, n=300):
    rng = np.random.default_rng(seed)
    x = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    eta = np.column_stack([np.zeros(n), x @ [0.3, 1.0, -0.5], x @ [-0.4, 0.2, 0.6]])
    code = (eta + rng.gumbel(size=eta.shape)).argmax(axis=1)
    return x, (code[:, None] == np.arange(3)).astype(float), code


def test_multinomial_logit_equals_statsmodels():
    from statsmodels.discrete.discrete_model import MNLogit

    x, counts, code = choices(1)
    ours = fit_multinomial(x, counts)
    theirs = MNLogit(code, x).fit(method="newton", disp=0, tol=1e-14)
    assert ours.coef == pytest.approx(theirs.params.T, abs=1e-8)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)
    assert ours.covariance == pytest.approx(theirs.cov_params(), abs=1e-8)


def test_weights_are_replication():
    x, counts, _ = choices(2, 80)
    times = np.random.default_rng(3).integers(0, 4, 80)
    weighted = fit_multinomial(x, counts * times[:, None])
    repeated = fit_multinomial(np.repeat(x, times, axis=0), np.repeat(counts, times, axis=0))
    assert weighted.coef == pytest.approx(repeated.coef, abs=1e-10)
    assert weighted.information == pytest.approx(repeated.information, abs=1e-8)


def test_ridge_optimum():
    x, counts, _ = choices(4)
    ridge = np.array([0.0, 5.0, 50.0])
    fit = fit_multinomial(x, counts, ridge=ridge)
    gradient = scores(x, counts, fit.coef).sum(axis=0) - (ridge * fit.coef).ravel()
    assert np.abs(gradient).max() < 1e-7
    # The information is the derivative of the score.
    for j in range(fit.coef.size):
        step = np.zeros(fit.coef.size)
        step[j] = 1e-5
        ends = [
            scores(x, counts, fit.coef + s * step.reshape(fit.coef.shape)).sum(axis=0)
            - (ridge * (fit.coef + s * step.reshape(fit.coef.shape))).ravel()
            for s in (1, -1)
        ]
        assert (ends[1] - ends[0]) / 2e-5 == pytest.approx(fit.information[j], abs=1e-4)
    tight = fit_multinomial(x, counts, ridge=np.array([0.0, 1e9, 1e9]))
    assert np.abs(tight.coef[:, 1:]).max() < 1e-5
    share = counts.mean(axis=0)
    assert tight.coef[:, 0] == pytest.approx(np.log(share[1:] / share[0]), abs=1e-4)


def separated(kind):
    x = np.column_stack([np.ones(40), np.repeat([0.0, 1.0], 20)])
    counts = np.zeros((40, 2))
    if kind == "complete":
        counts[np.arange(40), np.repeat([0, 1], 20)] = 1
    elif kind == "in part":
        counts[np.arange(40), np.repeat([0, 1], 20)] = 1
        counts[0] = [0, 1]
    elif kind == "never":
        counts[:, 0] = 1
    else:
        x = np.column_stack([x, x[:, 1]])
        counts[np.arange(40), np.arange(40) % 2] = 1
    return x, counts


@pytest.mark.parametrize("kind", ["complete", "in part", "never", "the same column twice"])
def test_separation(kind):
    x, counts = separated(kind)
    with pytest.raises(ConvergenceError, match="the choice must have an optimum .rows=40") as error:
        fit_multinomial(x, counts, what="choice")
    assert "pool rare regimens, drop the covariate, or lower pooling_sd" in str(error.value)
    fit = fit_multinomial(x, counts, ridge=0.1)
    assert np.isfinite(fit.coef).all()


# --- design -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_knots", [3, 5])
def test_the_spline_is_a_natural_cubic_spline(n_knots):
    knots = np.sort(np.random.default_rng(n_knots).uniform(0, 4, n_knots))
    inside = np.linspace(knots[0], knots[-1], 50)
    assert restricted_spline(inside, knots).shape == (50, n_knots - 1)
    at_knots = restricted_spline(knots, knots)
    natural = CubicSpline(knots, at_knots, bc_type="natural")
    assert restricted_spline(inside, knots) == pytest.approx(natural(inside), abs=1e-12)
    for far in (np.linspace(-5, knots[0], 9), np.linspace(knots[-1], 20, 9)):
        bend = np.diff(restricted_spline(far, knots), n=2, axis=0)
        assert np.abs(bend).max() < 1e-10
    assert np.linalg.matrix_rank(restricted_spline(inside, knots)) == n_knots - 1


def test_the_linear_predictor_is_the_design_matrix_times_coefficients():
    kernels = estimated()
    design = kernels.estimator.design
    rng = np.random.default_rng(1)
    coef = rng.standard_normal((2, int(design.seen.sum())))
    eta = design.linear_predictor(coef)
    sizes = eta.shape[1:]
    cells = [rng.integers(0, n, 200) for n in sizes]
    assert eta[:, *cells] == pytest.approx(coef @ design.matrix(*cells).T, abs=1e-10)


def test_masses_never_exceed_one():
    kernels = estimated()
    rng = np.random.default_rng(2)
    for scale in (0.1, 3.0, 40.0):
        coef = scale * rng.standard_normal(kernels.fit.hazard.coef.shape)
        onward, death = kernels.estimator.kernels(coef)
        assert min(onward.min(), death.min()) >= 0
        assert (onward + death).sum(axis=-1).max() < 1 + 1e-12
    onward, death = to_kernels(np.array([0.2, 0.5, 0.5]), np.array([0.1, 0.5, 0.5]))
    assert onward == pytest.approx([0.2, 0.35, 0.0])
    assert death == pytest.approx([0.1, 0.35, 0.0])


# --- product-limit ------------------------------------------------------------------------------


def aalen_johansen(steps, ending, n_steps):
    """Cumulative incidence of both endings, step by step, as in a textbook."""
    alive, onward, death = 1.0, [], []
    for u in range(1, n_steps + 1):
        at_risk = sum(s >= u for s in steps)
        moved = sum(s == u and e == 1 for s, e in zip(steps, ending, strict=True))
        died = sum(s == u and e == 2 for s, e in zip(steps, ending, strict=True))
        onward.append(alive * moved / at_risk if at_risk else 0.0)
        death.append(alive * died / at_risk if at_risk else 0.0)
        alive -= onward[-1] + death[-1]
    return onward, death


def test_product_limit_kernels_are_aalen_johansen_cell_by_cell():
    lines, f = cohort(300, 5)
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    h = read_histories(lines, f, unit="steps")
    for cell in np.ndindex(2, 3, 2, 2):
        here = (
            (h.line == cell[0])
            & (h.regimen == cell[1])
            & (h.group == cell[2])
            & (h.level == cell[3])
        )
        onward, death = aalen_johansen(h.steps[here], h.ending[here], 48)
        assert kernels.fit.next_prob[cell] == pytest.approx(onward, abs=1e-12)
        assert kernels.fit.death_prob[cell] == pytest.approx(death, abs=1e-12)
    for g in range(2):
        here = (h.salvage_ending >= 0) & (h.salvage_group == g)
        _, death = aalen_johansen(h.salvage_steps[here], h.salvage_ending[here], 48)
        assert kernels.fit.salvage_death[g] == pytest.approx(death, abs=1e-12)


def test_product_limit_equals_lifelines_without_ties():
    from lifelines import AalenJohansenFitter

    rng = np.random.default_rng(4)
    n = 60
    time = rng.permutation(np.arange(1, n + 1)) * 1.0
    ending = rng.choice(["switch", "death", "censored"], n)
    lines = pd.DataFrame(
        {"person": np.arange(n), "line": 1, "regimen": "A", "ttnt": time, "end_reason": ending}
    )
    f = parse_formulary(ONE | {"horizon_months": 60})
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    code = pd.Series(ending).map({"censored": 0, "switch": 1, "death": 2})
    for event, kernel in ((1, kernels.fit.next_prob), (2, kernels.fit.death_prob)):
        fitter = AalenJohansenFitter(calculate_variance=False).fit(time, code, event)
        expected = fitter.cumulative_density_.iloc[:, 0].reindex(np.arange(1.0, 61.0))
        assert np.cumsum(kernel[0, 0, 0, 0]) == pytest.approx(expected.to_numpy(), abs=1e-10)


def test_what_happens_beyond_the_horizon_is_not_an_event():
    rows = [(1, 30.0, "death"), (2, 24.0, "death"), (3, 24.5, "censored"), (4, 3.0, "switch")]
    lines = pd.DataFrame(rows, columns=["person", "ttnt", "end_reason"])
    lines = lines.assign(line=1, regimen="A")
    kernels = estimate_kernels(lines, parse_formulary(ONE), form="product_limit", unit="steps")
    assert kernels.fit.death_prob[0, 0, 0, 0, 23] == pytest.approx(0.75 / 3)
    assert kernels.fit.death_prob[0, 0, 0, 0].sum() == pytest.approx(0.25)


# --- spline -------------------------------------------------------------------------------------


def test_splines_approach_the_truth():
    lines, f = cohort(40_000, 3, 0.0, None)
    kernels = estimate_kernels(lines, f, unit="steps", knots=6, pooling_sd=3.0)
    exact = truth()
    patients = kernels.table["patients"].to_numpy().reshape(2, 3, 2, 2)
    large = patients > 1500
    assert large.sum() > 8
    for ours, theirs in (
        (kernels.fit.next_prob, exact.next_prob),
        (kernels.fit.death_prob, exact.death_prob),
    ):
        apart = np.abs(np.cumsum(ours, axis=-1) - np.cumsum(theirs, axis=-1)).max(axis=-1)
        noise = 4 * np.sqrt(0.25 / patients[large])
        assert (apart[large] < noise).all()
    after = np.abs(np.cumsum(kernels.fit.salvage_death - exact.salvage_death, axis=-1))
    assert after.max() < 0.02
    model = kernels.model()
    for group in f.groups:
        assert model.solve().value(group) == pytest.approx(exact.solve().value(group), abs=0.3)


def geometric_lines(rates, n, seed, n_steps=24, line=1, person=0):
    """Complete geometric lines of several regimens: (moving on, death) in each step."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, (onward, death) in rates.items():
        time = rng.geometric(onward + death, n)
        dies = rng.random(n) < death / (onward + death)
        parts.append(
            pd.DataFrame(
                {
                    "regimen": name,
                    "ttnt": np.minimum(time, n_steps).astype(float),
                    "end_reason": np.where(
                        time > n_steps, "censored", np.where(dies, "death", "switch")
                    ),
                }
            )
        )
    out = pd.concat(parts, ignore_index=True)
    return out.assign(person=np.arange(len(out)) + person, line=line)


SAME_CLASSES = ONE | {
    "regimens": [
        {"name": "A", "classes": ["x"]},
        {"name": "A2", "classes": ["x"]},
        {"name": "B", "classes": ["y"]},
    ]
}


def test_partial_pooling_between_its_limits():
    f = parse_formulary(SAME_CLASSES)
    lines = geometric_lines({"A": (0.05, 0.02), "A2": (0.12, 0.05), "B": (0.1, 0.1)}, 150, 1)
    salvage = np.full((1, 24), 0.02)
    fits = {
        sd: estimate_kernels(lines, f, unit="steps", pooling_sd=sd, salvage_death=salvage).fit
        for sd in (1e-4, 0.05, 300.0)
    }
    near, middle, far = (fits[sd].next_prob[0, :, 0, 0].cumsum(axis=-1) for sd in fits)
    assert near[0] == pytest.approx(near[1], abs=1e-5)
    assert np.abs(near[0] - near[2]).max() > 0.01
    gaps = [np.abs(k[0] - k[1]).max() for k in (near, middle, far)]
    assert gaps[0] < 0.9 * gaps[1] < 0.8 * gaps[2]
    # Without pooling each regimen is fitted on its own, on the same spline.
    h = read_histories(lines, f, unit="steps")
    design = estimate_kernels(lines, f, unit="steps", salvage_death=salvage).estimator.design
    for a in range(3):
        here = h.regimen == a
        at_risk = np.array([(h.steps[here] >= u).sum() for u in range(1, 25)])
        events = [
            np.array([((h.steps == u) & (h.ending == k) & here).sum() for u in range(1, 25)])
            for k in (1, 2)
        ]
        x = np.column_stack([np.ones(24), design.basis])
        alone = fit_multinomial(x, np.column_stack([at_risk - sum(events), *events]), ridge=1e-6)
        p = probabilities(x, alone.coef)
        onward, death = to_kernels(p[:, 1], p[:, 2])
        assert fits[300.0].next_prob[0, a, 0, 0] == pytest.approx(onward, abs=2e-4)
        assert fits[300.0].death_prob[0, a, 0, 0] == pytest.approx(death, abs=2e-4)


def test_expected_events():
    kernels = estimated()
    table = expected_hazards(kernels)
    total = table.groupby("outcome")[["observed", "expected"]].sum()
    # The intercept has no prior: the whole is fitted exactly.
    assert total["expected"].to_numpy() == pytest.approx(total["observed"].to_numpy(), rel=1e-8)
    assert table["observed"].sum() == (kernels.histories.ending > 0).sum()
    with pytest.raises(DataError, match="spline form"):
        expected_hazards(estimated(300, 5, "product_limit"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"form": "weibull"}, "form must be"),
        ({"knots": 1}, "knots must be at least 2.*knots=1"),
        ({"pooling_sd": 0.0}, "pooling_sd positive .*pooling_sd=0"),
        ({"pooling_sd": np.inf}, "pooling_sd positive"),
        ({"truncate": 0.6}, "quantile below 0.5 .truncate=0.6.; 0.01 cuts"),
        ({"confounders": ["height"]}, "missing=height"),
        ({"formulary": None}, "needs a formulary"),
    ],
)
def test_refusals(options, says):
    lines, f = cohort(200, 1)
    with pytest.raises(DataError, match=says):
        estimate_kernels(lines, **({"formulary": f, "unit": "steps"} | options))


def test_data_without_events():
    lines = geometric_lines({"A": (0.1, 0.05)}, 30, 1).assign(end_reason="censored")
    with pytest.raises(DataError, match="lines must have events .lines=30"):
        estimate_kernels(lines, parse_formulary(ONE), unit="steps")
    switches = geometric_lines({"A": (0.1, 0.05)}, 30, 1).assign(end_reason="switch")
    with pytest.raises(DataError, match="after the last line must have deaths.*salvage_death="):
        estimate_kernels(switches, parse_formulary(ONE), unit="steps")
    # An outcome that never happens has a hazard next to nothing.
    found = estimate_kernels(
        switches, parse_formulary(ONE), unit="steps", salvage_death=np.full((1, 24), 0.01)
    )
    assert 0 < found.fit.death_prob.max() < 1e-4


def test_histories_need_their_covariates():
    h = read_histories(*cohort(200, 1), unit="steps")
    with pytest.raises(DataError, match="columns of the histories .missing=frail.*covariates="):
        estimate_kernels(h, confounders=["frail"])
    assert estimate_kernels(h).fit.next_prob.shape == (2, 3, 2, 2, 48)


# --- confounding by indication ------------------------------------------------------------------


def confounded(n, seed, strength):
    rng = np.random.default_rng(seed)
    sick = rng.random(n) < 0.4
    gets_b = rng.random(n) < np.where(sick, 0.5 + strength, 0.5 - strength)
    hazard = np.where(sick, 0.15, 0.03)
    time = rng.geometric(hazard + 0.05)
    dies = rng.random(n) < hazard / (hazard + 0.05)
    return pd.DataFrame(
        {
            "person": np.arange(n),
            "line": 1,
            "regimen": np.where(gets_b, "B", "A"),
            "sick": sick,
            "ttnt": time.astype(float),
            "end_reason": np.where(dies, "death", "switch"),
        }
    )


def test_indication_weights_by_hand(monkeypatch):
    monkeypatch.setattr(indication, "RIDGE", 1e-9)
    lines = confounded(400, 1, 0.3)
    h = read_histories(lines, parse_formulary(ONE), unit="steps", covariates=["sick"])
    rng = np.random.default_rng(2)
    for base in (np.ones(400), rng.exponential(size=400)):
        found = indication_weights(RegimenModel(h, ["sick"]), base)
        share = pd.Series(base).groupby(lines["regimen"]).transform("sum") / base.sum()
        both = pd.Series(base).groupby([lines["regimen"], lines["sick"]]).transform("sum")
        given_sick = both / pd.Series(base).groupby(lines["sick"]).transform("sum")
        assert found == pytest.approx((share / given_sick).to_numpy(), abs=1e-5)
        assert np.average(found, weights=base) == pytest.approx(1.0, abs=1e-6)


def test_indication_weights_without_confounding():
    lines, f = cohort(8000, 4, 0.0)
    kernels = estimate_kernels(lines, f, confounders=["frail"], unit="steps")
    assert np.abs(kernels.weights - 1).max() < 0.25
    assert kernels.weights.std() < 0.05
    strong = estimate_kernels(*cohort(8000, 4), confounders=["frail"], unit="steps")
    assert strong.weights.std() > 0.3
    for line in (0, 1):
        mean = strong.weights[strong.histories.line == line].mean()
        assert mean == pytest.approx(1.0, abs=0.02)


def test_truncated_weights():
    whole = estimate_kernels(*cohort(1500, 1), confounders=["frail"], unit="steps")
    cut = estimate_kernels(*cohort(1500, 1), confounders=["frail"], unit="steps", truncate=0.05)
    low, high = np.quantile(whole.weights, [0.05, 0.95])
    assert cut.weights == pytest.approx(np.clip(whole.weights, low, high))


def test_text_and_numbers_are_confounders():
    lines, f = cohort(1500, 1)
    as_text = lines.assign(frail=lines["frail"].map({0: "no", 1: "yes"}))
    one = estimate_kernels(lines, f, confounders=["frail"], unit="steps")
    two = estimate_kernels(as_text, f, confounders=["frail"], unit="steps")
    assert one.weights == pytest.approx(two.weights, abs=1e-8)
    constant = lines.assign(sex=1)
    three = estimate_kernels(constant, f, confounders=["frail", "sex"], unit="steps")
    assert one.weights == pytest.approx(three.weights, abs=1e-8)
    with pytest.raises(DataError, match="confounders must be finite .confounder=age"):
        estimate_kernels(lines.assign(age=np.inf), f, confounders=["age"], unit="steps")


def test_weights_remove_confounding():
    lines = confounded(8000, 7, 0.35)
    f, salvage = parse_formulary(ONE), np.full((1, 24), 0.02)
    exact = 0.0
    for share, hazard in ((0.4, 0.15), (0.6, 0.03)):
        total = hazard + 0.05
        exact += share * hazard / total * (1 - (1 - total) ** 24)
    found = {}
    for confounders in ((), ("sick",)):
        kernels = estimate_kernels(
            lines, f, confounders=confounders, unit="steps", salvage_death=salvage
        )
        # The regimen does nothing: both must have the same mortality.
        found[confounders] = kernels.fit.death_prob[0, :, 0, 0].sum(axis=-1) - exact
    assert found[()][0] < -0.08
    assert found[()][1] > 0.08
    assert np.abs(found["sick",]).max() < 0.02


# --- support ------------------------------------------------------------------------------------


def test_the_support_table_by_hand():
    kernels = estimated(confounders=("frail",))
    h, w = kernels.histories, kernels.weights
    f = kernels.formulary
    assert len(kernels.table) == 2 * 3 * 2 * 2
    for row in kernels.table.itertuples():
        rows = [
            i
            for i in range(h.line.size)
            if h.line[i] == row.line - 1
            and f.regimen_names[h.regimen[i]] == row.regimen
            and f.groups[h.group[i]] == row.group
            and h.level[i] == row.overlap
        ]
        assert row.patients == len(rows)
        square = sum(w[i] ** 2 for i in rows)
        assert row.ess == pytest.approx(sum(w[i] for i in rows) ** 2 / square if rows else 0.0)
        assert row.next == sum(h.ending[i] == 1 for i in rows)
        assert row.death == sum(h.ending[i] == 2 for i in rows)
        fifth = sorted((min(h.steps[i], 48) for i in rows), reverse=True)[4:5]
        assert row.months == (fifth[0] if fifth else 0)


def test_exclusions_are_listed_with_their_reasons():
    kernels = estimate_kernels(*cohort(50, 3), unit="steps")
    table = kernels.table
    f = kernels.formulary
    ess, events = table["ess"], table["next"] + table["death"]
    least = 4.0
    supported, excluded = kernels.supported(min_ess=least, min_events=7)
    expected = (ess >= least) & (events >= 7)
    assert supported.ravel().tolist() == expected.tolist()
    occurs = f.levels_that_occur()
    wanted = []
    for i, row in table[~expected].iterrows():
        if not occurs[row["line"] - 1, f.regimen_names.index(row["regimen"]), row["overlap"]]:
            continue
        reason = "fewer than 7 events"
        if row["ess"] < least:
            reason = f"effective sample size below {least:g}"
        if row["patients"] == 0:
            reason = "nobody was given it"
        wanted.append((*row[["line", "regimen", "group", "overlap"]], reason))
    columns = ["line", "regimen", "group", "overlap", "reason"]
    assert list(excluded[columns].itertuples(index=False, name=None)) == wanted
    assert excluded["reason"].nunique() == 3


def test_product_limit_needs_follow_up_to_the_horizon():
    lines = geometric_lines({"A": (0.02, 0.01), "B": (0.3, 0.1)}, 100, 2)
    lines.loc[lines["regimen"] == "A", "ttnt"] = lines["ttnt"].clip(upper=10)
    long = (lines["regimen"] == "A") & (lines["ttnt"] == 10)
    lines.loc[long, "end_reason"] = "censored"
    f = parse_formulary(ONE)
    kernels = estimate_kernels(
        lines, f, form="product_limit", unit="steps", salvage_death=np.full((1, 24), 0.02)
    )
    supported, excluded = kernels.supported()
    assert supported.ravel().tolist() == [False, True]
    assert excluded["reason"].tolist() == ["follow-up ends before the horizon (product-limit)"]
    assert kernels.model().solve().policy("all") == "B"


def test_nobody_is_immortal_after_the_last_line():
    lines, f = cohort(300, 5)
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    short = kernels.estimator.salvage.followed
    for g in range(2):
        here = (kernels.histories.salvage_ending >= 0) & (kernels.histories.salvage_group == g)
        assert short[g] == kernels.histories.salvage_steps[here].max()
    with pytest.raises(DataError, match='followed to the horizon .group=standard.*form="spline"'):
        kernels.model(min_ess=0.0, min_events=0.0)
    assert kernels.model(min_ess=None).n_steps == 48


def test_a_state_without_support_is_named():
    with pytest.raises(
        DataError, match="must have an allowed regimen .line=1, exposed=nothing.*observed care mix"
    ):
        estimated().model(min_ess=1e6)
    assert estimated().model(min_ess=None).supported is None


def with_the_mix(f):
    """The formulary without its figures, and with observed care."""
    regimens = [{"name": r.name, "classes": r.classes} for r in f.regimens]
    return parse_formulary(
        f.model_dump() | {"regimens": [*regimens, {"name": "mix", "observed_care": True}]}
    )


def test_observed_care_is_the_mix():
    lines, f = cohort(1500, 1)
    f = with_the_mix(f)
    for form in ("spline", "product_limit"):
        kernels = estimate_kernels(lines, f, form=form, unit="steps")
        h, fit = kernels.histories, kernels.fit
        for line, group in np.ndindex(2, 2):
            here = np.flatnonzero((h.line == line) & (h.group == group))
            for kernel in (fit.next_prob, fit.death_prob):
                mean = np.mean(
                    [kernel[line, h.regimen[i], group, h.level[i]] for i in here], axis=0
                )
                for level in range(2):
                    assert kernel[line, 3, group, level] == pytest.approx(mean, abs=1e-12)
        assert (fit.next_prob + fit.death_prob).sum(axis=-1).max() < 1 + 1e-12
    supported, excluded = kernels.supported(min_ess=1e6)
    assert supported[:, 3].all()
    assert not supported[:, :3].any()
    assert "mix" not in set(excluded["regimen"])
    solution = kernels.model(min_ess=1e6).solve()
    assert solution.policy("high risk") == "mix"


# --- draws --------------------------------------------------------------------------------------


def same(one, two):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for a, b in zip(one, two, strict=True)
        for name in ("next_prob", "death_prob", "salvage_death")
    )


@pytest.mark.parametrize(
    ("form", "method", "confounders"),
    [
        ("spline", "bootstrap", ("frail",)),
        ("spline", "asymptotic", ()),
        ("product_limit", "bootstrap", ()),
    ],
)
def test_draws_are_those_of_their_seed(form, method, confounders):
    kernels = estimated(1500, 1, form, confounders)
    model = kernels.model(min_ess=None)
    draws = kernels.draws(3, seed=4, method=method, model=model)
    assert len(draws) == 3
    models = list(draws)
    assert same(models, draws)
    assert same(models, kernels.draws(3, seed=4, method=method, model=model))
    assert same(models[:2], kernels.draws(2, seed=4, method=method, model=model))
    other = list(kernels.draws(3, seed=5, method=method, model=model))
    assert not any(same([a], [b]) for a in models for b in other)
    assert not same(models[:1], models[1:2])
    assert all(m.states is model.states and m.simulated for m in models)


def test_draws_refuse():
    kernels = estimated(1500, 1, "product_limit")
    with pytest.raises(DataError, match="at least 1 .n=0"):
        kernels.draws(0, seed=1)
    with pytest.raises(DataError, match="method must be"):
        kernels.draws(2, seed=1, method="jackknife")
    for one in (kernels, estimated(1500, 1, "spline", ("frail",))):
        with pytest.raises(DataError, match='spline form and no confounders.*"bootstrap"'):
            one.draws(2, seed=1, method="asymptotic")


def test_the_bootstrap_has_the_binomial_standard_deviation():
    f = parse_formulary(ONE)
    lines = geometric_lines({"A": (0.2, 0.1)}, 400, 3)
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    n = 400
    drawn = np.array(
        [
            (m.next_prob[0, 0, 0, 0, 0], m.death_prob[0, 0, 0, 0, 0])
            for m in kernels.draws(500, seed=6, model=kernels.model(min_ess=None))
        ]
    )
    p = np.array([kernels.fit.next_prob[0, 0, 0, 0, 0], kernels.fit.death_prob[0, 0, 0, 0, 0]])
    assert drawn.std(axis=0, ddof=1) == pytest.approx(np.sqrt(p * (1 - p) / n), rel=0.15)
    assert drawn.mean(axis=0) == pytest.approx(p, abs=4 * np.sqrt(0.25 / n / 500))


def test_asymptotic_and_bootstrap_draws_agree():
    f = parse_formulary(ONE)
    # B is moved on from and then dies: the time after the last line is estimated too.
    lines = geometric_lines({"A": (0.1, 0.05), "B": (0.05, 0.08)}, 500, 8)
    onward = lines[lines["end_reason"] == "switch"]
    rng = np.random.default_rng(1)
    later = onward.assign(line=2, ttnt=rng.geometric(0.2, len(onward)) * 1.0, end_reason="death")
    kernels = estimate_kernels(pd.concat([lines, later]), f, unit="steps", pooling_sd=1.0)
    model = kernels.model(min_ess=None)
    spread = {}
    for method in ("bootstrap", "asymptotic"):
        drawn = np.array(
            [
                [*m.next_prob[0, :, 0, 0].sum(axis=-1), m.salvage_death[0, :12].sum()]
                for m in kernels.draws(150, seed=9, method=method, model=model)
            ]
        )
        spread[method] = drawn.std(axis=0, ddof=1)
    assert spread["bootstrap"] == pytest.approx(spread["asymptotic"], rel=0.3)


# --- checks -------------------------------------------------------------------------------------


def two_lines(n, seed, penalty):
    """The death rate of line 2 is `penalty` times as large after an early end of line 1."""
    rng = np.random.default_rng(seed)
    first = rng.geometric(0.12, n)
    hazard = np.where(first <= 6, 0.06 * penalty, 0.06)
    second = rng.geometric(hazard + 0.06)
    dies = rng.random(n) < hazard / (hazard + 0.06)
    base = {"person": np.arange(n), "regimen": np.where(rng.random(n) < 0.5, "A", "B")}
    one = pd.DataFrame(base | {"line": 1, "ttnt": first * 1.0, "end_reason": "switch"})
    lost = rng.random(n) < 0.1
    one.loc[lost, "end_reason"] = "death"
    two = pd.DataFrame(
        base | {"line": 2, "ttnt": second * 1.0, "end_reason": np.where(dies, "death", "switch")}
    )[~lost]
    three = two[two["end_reason"] == "switch"].assign(line=3, ttnt=3.0, end_reason="death")
    return pd.concat([one, two, three], ignore_index=True)


@pytest.mark.parametrize(
    ("penalty", "update", "found"), [(2.5, False, True), (2.5, True, False), (1.0, False, False)]
)
def test_the_markov_check(penalty, update, found):
    content = TWO | {"horizon_months": 48}
    if update:
        content |= {
            "groups": ["all", "early"],
            "group_updates": [{"start": "all", "to": "early", "line": 1, "within_months": 6}],
        }
    lines = two_lines(3000, 12, penalty).assign(group="all")
    table = estimate_kernels(lines, parse_formulary(content), unit="steps").markov_check()
    assert table["outcome"].tolist() == ["next line", "death"]
    assert table["line"].tolist() == [2, 2]
    death = table.set_index("outcome").loc["death"]
    assert (death["p_value"] < 1e-6) == found
    if found:
        assert death["upper"] < 1  # longer first lines, fewer deaths
    else:
        assert table["p_value"].min() > 0.01
        assert ((table["lower"] < 1) & (table["upper"] > 1)).all()
    assert (table["lower"] < table["odds_ratio"]).all()


def test_the_markov_check_refuses():
    with pytest.raises(DataError, match="spline form and two lines.*form=product_limit"):
        estimated(300, 5, "product_limit").markov_check()
    one = geometric_lines({"A": (0.1, 0.05)}, 100, 1)
    kernels = estimate_kernels(
        one, parse_formulary(ONE), unit="steps", salvage_death=np.full((1, 24), 0.01)
    )
    with pytest.raises(DataError, match="two lines or more .*lines=1"):
        kernels.markov_check()


def test_calibration_on_simulated_data():
    lines, f = cohort(6000, 2, 0.0)
    table = estimate_kernels(lines, f, unit="steps").calibration()
    assert list(dict.fromkeys(table["outcome"])) == ["next line or death", "survival"]
    assert set(table["line"]) == {1, 2}
    well = table[table["at_risk"] >= 200]
    assert np.abs(well["predicted"] - well["observed"]).max() < 0.03
    inside = (well["predicted"] >= well["lower"]) & (well["predicted"] <= well["upper"])
    assert inside.mean() > 0.8
    figure = fs.report.calibration_figure(table, title="Calibration")
    assert len([a for a in figure.axes if a.get_lines()]) == 4


def test_calibration_sees_a_wrong_model():
    lines, f = cohort(3000, 2, 0.0)
    kernels = estimate_kernels(lines, f, unit="steps")
    kernels.fit.death_prob[:] *= 0.3
    table = kernels.calibration()
    assert (table["predicted"] - table["observed"]).max() > 0.1


def test_calibration_with_what_is_learnt():
    content = TWO | {
        "horizon_months": 48,
        "groups": ["all", "early"],
        "group_updates": [{"start": "all", "to": "early", "line": 1, "within_months": 6}],
    }
    lines = two_lines(4000, 13, 2.5).assign(group="all")
    table = estimate_kernels(lines, parse_formulary(content), unit="steps", knots=5).calibration()
    well = table[(table["at_risk"] >= 150) & (table["outcome"] == "survival")]
    assert np.abs(well["predicted"] - well["observed"]).max() < 0.03


def test_what_calibration_observes_is_kaplan_meier():
    from lifelines import KaplanMeierFitter

    lines, f = cohort(300, 5)
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    table, h = kernels.calibration(), kernels.histories
    for line in (0, 1):
        here = h.line == line
        fitter = KaplanMeierFitter().fit(h.steps[here], h.ending[here] > 0)
        part = table[(table["outcome"] == "next line or death") & (table["line"] == line + 1)]
        month = part["month"].to_numpy()
        expected = fitter.survival_function_at_times(month).to_numpy()
        assert part["observed"].to_numpy() == pytest.approx(expected, abs=1e-12)
        band = fitter.confidence_interval_.reindex(month, method="ffill").to_numpy()
        inner = (expected < 1) & (expected > 0)
        assert part[["lower", "upper"]].to_numpy()[inner] == pytest.approx(band[inner], abs=1e-8)
        at_risk = [(h.steps[here] >= m).sum() for m in month]
        assert part["at_risk"].tolist() == at_risk
    # With nobody censored and one cell, the product-limit prediction is what was observed.
    f = parse_formulary(ONE)
    lines = geometric_lines({"A": (0.2, 0.1)}, 200, 3)
    table = estimate_kernels(lines, f, form="product_limit", unit="steps").calibration()
    part = table[table["outcome"] == "next line or death"]
    assert part["predicted"].to_numpy() == pytest.approx(part["observed"].to_numpy(), abs=1e-12)


# --- relative effects ---------------------------------------------------------------------------


def effects(**changes):
    base = {
        "regimen": ["B"],
        "reference": ["A"],
        "hazard_ratio_next": [0.6],
        "hazard_ratio_death": [0.8],
        "source": ["a meta-analysis"],
    }
    return pd.DataFrame(base | changes)


def exponential(onward, death, n_steps=30):
    before = np.exp(-(onward + death) * np.arange(n_steps))
    leave = -np.expm1(-(onward + death)) * before
    return leave * onward / (onward + death), leave * death / (onward + death)


def test_exponential_rates_are_scaled_exactly():
    for ratio_next, ratio_death in ((0.6, 0.8), (3.0, 0.1), (1.0, 1.0)):
        found = scale_rates(*exponential(0.2, 0.05), ratio_next, ratio_death)
        expected = exponential(0.2 * ratio_next, 0.05 * ratio_death)
        assert found[0] == pytest.approx(expected[0], abs=1e-14)
        assert found[1] == pytest.approx(expected[1], abs=1e-14)


def test_ratios_of_one_change_nothing():
    rng = np.random.default_rng(1)
    raw = rng.dirichlet(np.ones(21), 50)
    onward, death = raw[:, :10], raw[:, 10:20]
    found = scale_rates(onward, death, 1.0, 1.0)
    assert found[0] == pytest.approx(onward, abs=1e-12)
    assert found[1] == pytest.approx(death, abs=1e-12)
    # A kernel that ends for certain, and one that has no events.
    for kernel in (np.array([0.5, 0.5, 0.0]), np.zeros(3)):
        found = scale_rates(kernel, np.zeros(3), 1.0, 2.0)
        assert found[0] == pytest.approx(kernel, abs=1e-12)
        assert np.abs(found[1]).max() == 0
    a, b = scale_rates(onward, death, 5.0, 7.0)
    assert (a + b).sum(axis=-1).max() < 1 + 1e-12


def test_effects_stand_on_their_reference():
    kernels = estimated()
    f, fit = kernels.formulary, kernels.fit
    supported = kernels.supported()[0]
    table = effects(regimen=["both"], reference=["gentle"], line=[2])
    onward, death, support = RelativeEffects(table).apply(
        f, fit.next_prob, fit.death_prob, supported
    )
    expected = scale_rates(fit.next_prob[1, 1], fit.death_prob[1, 1], 0.6, 0.8)
    assert np.array_equal(onward[1, 2], expected[0])
    assert np.array_equal(death[1, 2], expected[1])
    assert np.array_equal(support[1, 2], supported[1, 1])
    assert np.array_equal(onward[0], fit.next_prob[0])
    assert np.array_equal(onward[1, :2], fit.next_prob[1, :2])
    everywhere = RelativeEffects(table.drop(columns="line"))
    onward, _, support = everywhere.apply(f, fit.next_prob, fit.death_prob, None)
    assert support is None
    assert np.array_equal(onward[1, 2], expected[0])
    assert not np.array_equal(onward[0, 2], fit.next_prob[0, 2])
    model = kernels.model(effects=everywhere, min_ess=None)
    assert np.array_equal(model.next_prob, onward)


def test_effects_are_drawn():
    table = effects(log_se_next=[0.2])
    rng = np.random.default_rng(3)
    drawn = [RelativeEffects(table).draw(rng).table.iloc[0] for _ in range(400)]
    log_next = np.log([d["hazard_ratio_next"] for d in drawn])
    assert log_next.mean() == pytest.approx(np.log(0.6), abs=0.04)
    assert log_next.std() == pytest.approx(0.2, rel=0.12)
    assert {d["hazard_ratio_death"] for d in drawn} == {0.8}
    kernels = estimated()
    external = RelativeEffects(
        effects(regimen=["both"], reference=["gentle"], log_se_next=[0.5], log_se_death=[0.5])
    )
    draws = kernels.draws(
        3,
        seed=2,
        method="asymptotic",
        model=kernels.model(min_ess=None, effects=external),
        effects=external,
    )
    models = list(draws)
    assert same(models, draws)
    plain = list(kernels.draws(3, seed=2, method="asymptotic", model=draws.model))
    for one, two in zip(models, plain, strict=True):
        assert np.array_equal(one.next_prob[:, :2], two.next_prob[:, :2])
        assert not np.array_equal(one.next_prob[:, 2], two.next_prob[:, 2])


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (effects().drop(columns="source"), "must have their columns .missing=source"),
        (effects(hazard_ratio_next=[0.0]), "hazard_ratio_next must be positive.*row 0"),
        (effects(hazard_ratio_death=[np.nan]), "hazard_ratio_death must be positive"),
        (effects(hazard_ratio_death=["low"]), "hazard_ratio_death must"),
        (effects(log_se_death=[-0.1]), "log_se_death must not be negative .row 0"),
        (effects(log_se_next=[np.nan]), "log_se_next must not be negative"),
        (effects(source=[""]), "must name its source .row 0"),
        (effects(source=[None]), "must name its source"),
    ],
)
def test_effects_refused(table, says):
    with pytest.raises(DataError, match=says):
        RelativeEffects(table)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"regimen": ["Z"]}, "regimen must be one of the formulary's.*regimen=Z"),
        ({"reference": ["Z"]}, "reference must be one of the formulary's"),
        ({"reference": ["B"]}, "reference must be observed.*reference=B.*chain"),
        ({"line": [3]}, "line must be one of the formulary's .line=3, lines=2"),
        ({"line": [0]}, "line must be one of the formulary's"),
    ],
)
def test_effects_that_do_not_fit(changes, says):
    f = parse_formulary(TWO)
    kernel = np.full((2, 2, 1, 1, 24), 0.01)
    with pytest.raises(DataError, match=says):
        RelativeEffects(effects(**changes)).apply(f, kernel, kernel, None)
    twice = pd.concat([effects(line=[1]), effects(line=[2]), effects(line=[1])])
    with pytest.raises(DataError, match="one external effect in a line .regimen=B, line=1"):
        RelativeEffects(twice).apply(f, kernel, kernel, None)


def test_simulated_is_carried():
    lines, f = cohort(300, 5)
    kernels = estimate_kernels(lines, f, form="product_limit", unit="steps")
    assert kernels.simulated
    assert kernels.model(min_ess=None).simulated
    real = parse_formulary(f.model_dump() | {"simulated": False})
    for said in (False, True):
        kernels = estimate_kernels(lines, real, form="product_limit", unit="steps", simulated=said)
        assert kernels.simulated is said
        assert kernels.model(min_ess=None).simulated is said
