"""Drawing kernels from the uncertainty of their estimation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.seeds import stream
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.kernel_fitting import Estimator
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.multinomial import MultinomialFit
from fiac_survival.sequence.relative_effects import RelativeEffects

if TYPE_CHECKING:
    from fiac_survival.sequence.kernel_estimation import KernelEstimate

Floats = NDArray[np.float64]
Resample = Literal["bootstrap", "asymptotic"]


def _normal_draw(fit: MultinomialFit, rng: np.random.Generator) -> Floats:
    root = np.linalg.cholesky(fit.information)
    noise = np.linalg.solve(root.T, rng.standard_normal(fit.coef.size))
    return np.asarray(fit.coef + noise.reshape(fit.coef.shape))


@dataclass(frozen=True, eq=False)
class KernelDraws:
    """Models whose kernels are drawn from the uncertainty of their estimation.

    Iterating gives one :class:`~fiac_survival.sequence.SequenceModel` after the other, the same each
    time; only coefficients are kept in memory.

    Attributes
    ----------
    model : SequenceModel
        The point estimate; draws share its states.
    """

    model: SequenceModel
    estimator: Estimator = field(repr=False)
    fits: list[tuple[Any, ...]] = field(repr=False)
    effects: RelativeEffects | None
    seed: int

    def __len__(self) -> int:
        return len(self.fits)

    def __iter__(self) -> Iterator[SequenceModel]:
        for b, fit in enumerate(self.fits):
            if len(fit) == 3:
                onward, death, after = fit
            else:
                onward, death = self.estimator.kernels(fit[0])
                after = fit[1]
            if self.effects is not None:
                drawn = self.effects.draw(stream(self.seed, "effects", b))
                onward, death, _ = drawn.apply(self.estimator.h.formulary, onward, death, None)
            yield self.model.with_kernels(onward, death, after)


@single_threaded_blas
def draw_kernels(
    estimate: KernelEstimate,
    n: int,
    *,
    seed: int,
    method: Resample = "bootstrap",
    model: SequenceModel | None = None,
    effects: RelativeEffects | None = None,
) -> KernelDraws:
    """Draw kernels; see :meth:`KernelEstimate.draws`.

    Parameters
    ----------
    estimate : KernelEstimate
        What they are drawn around.
    n, seed, method, model, effects
        As there.

    Returns
    -------
    KernelDraws
        Models, one at a time.

    Raises
    ------
    DataError
        If n is not positive or the method does not fit the estimate.
    """
    require_choice(method, Resample, "method")
    if n < 1:
        raise DataError("the number of draws must be at least 1", values={"n": n})
    estimator = estimate.estimator
    if method == "asymptotic" and (estimator.design is None or estimator.regimens is not None):
        raise DataError(
            "asymptotic draws need the spline form and no confounders",
            values={"form": estimator.form},
            remedy='pass method="bootstrap"',
        )
    fits: list[tuple[Any, ...]] = []
    for b in range(n):
        rng = stream(seed, "kernels", b)
        if method == "bootstrap":
            of_person = rng.exponential(size=estimate.histories.n_persons)
            of_person *= of_person.size / of_person.sum()
            fit = estimator.fit(of_person, estimate.fit)
            if fit.hazard is not None:
                fits.append((fit.hazard.coef, fit.salvage_death))
            else:
                fits.append((fit.next_prob, fit.death_prob, fit.salvage_death))
        else:
            hazard, salvage = estimate.fit.hazard, estimate.fit.salvage
            assert hazard is not None
            coef = _normal_draw(hazard, rng)
            after = estimate.fit.salvage_death
            if salvage is not None and estimator.salvage is not None:
                after = estimator.salvage.kernel(_normal_draw(salvage, rng))
            fits.append((coef, after))
    if model is None:
        model = estimate.model(effects=effects)
    return KernelDraws(model, estimator, fits, effects, seed)
