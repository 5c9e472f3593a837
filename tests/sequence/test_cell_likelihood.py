"""The hazard model fitted cell by cell against the same model row by row; support of pooled groups."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence.cell_likelihood import CellLikelihood
from fiac_survival.sequence.multinomial import DenseLikelihood

ALL = ("regimen:line", "regimen:group", "group:line")


@pytest.fixture(scope="module", params=[ALL[:2], (ALL[0], ALL[2]), ALL, ()])
def kernels(request):
    lines, formulary = fs.sequence.examples.cohort(600, seed=5)
    return fs.sequence.estimate_kernels(
        lines,
        formulary,
        confounders=["frail"],
        unit="steps",
        deviations=request.param,
        simulated=True,
    )


def test_value_gradient_and_information_are_those_of_the_rows(kernels):
    design, cells = kernels.estimator.design, kernels.estimator.cells
    counts = cells.counts(kernels.weights)
    row, step = np.nonzero(counts.at_risk > 0)
    x = design.of_cells(counts.cell[row], step)
    stay = counts.at_risk - counts.onward - counts.death
    table = np.stack([stay, counts.onward, counts.death], axis=-1)[row, step]
    by_row = DenseLikelihood(x, np.maximum(table, 0.0))
    by_cell = CellLikelihood(design, counts.cell, counts.at_risk, counts.onward, counts.death)
    coef = np.random.default_rng(1).normal(0.0, 0.3, (2, x.shape[1]))
    (one, p), (other, q) = by_row.value(coef), by_cell.value(coef)
    assert other == pytest.approx(one, rel=1e-12)
    np.testing.assert_allclose(q[:, row, step].T, p[:, 1:], rtol=1e-11)
    for a, b in zip(by_cell.derivatives(q), by_row.derivatives(p), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * np.abs(b).max())
    gradient = by_row.derivatives(by_row.value(kernels.fit.hazard.coef)[1])[0]
    penalty = design.ridge[design.seen] * kernels.fit.hazard.coef
    np.testing.assert_allclose(gradient, penalty, atol=1e-5)


def test_groups_counted_together_have_the_support_of_both(kernels):
    f = kernels.formulary
    first, second = f.groups[:2]
    alone = kernels.table.groupby(["line", "regimen", "overlap"])["patients"].sum()
    most = int(alone.max())
    apart, _ = kernels.supported(min_ess=0.0, min_events=most / 2)
    pooled, _ = kernels.supported(min_ess=0.0, min_events=most / 2, together={second: first})
    assert (pooled[:, :, 0] == pooled[:, :, 1]).all()
    assert (pooled[:, :, :2] >= apart[:, :, :2]).all()
    assert pooled.sum() > apart.sum()
    with pytest.raises(DataError, match="groups counted together must be the formulary's"):
        kernels.supported(together={"none": first})


def test_a_deviation_must_be_known():
    lines, formulary = fs.sequence.examples.cohort(50, seed=5)
    with pytest.raises(DataError, match="deviations"):
        fs.sequence.estimate_kernels(lines, formulary, unit="steps", deviations=["group:regimen"])
