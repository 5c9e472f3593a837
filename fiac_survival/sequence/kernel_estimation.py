r"""Kernels from lines of therapy.

Person-steps are aggregated to counts by (line, regimen, group, overlap level, step). Moving on and
death are competing discrete hazards: a multinomial logit (their sum cannot exceed 1), with splines in
time and partial pooling (see :mod:`fiac_survival.sequence.kernel_design`), or product-limit hazards in
each cell. Lines are weighted against confounding by indication (see
:mod:`fiac_survival.sequence.indication`). What the estimates need: consistency, positivity, no
unmeasured confounding given the confounders, and a **sufficient state**: the future does not depend on
earlier actions, their order or durations given (line, exposed classes, group);
:meth:`KernelEstimate.markov_check` tests it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.histories import Histories, Unit
from fiac_survival.sequence.kernel_design import DEVIATIONS, Deviation
from fiac_survival.sequence.kernel_fitting import Estimator, Fit, Form
from fiac_survival.sequence.lines_door import as_histories
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.refractory import refractory_share
from fiac_survival.sequence.relative_effects import RelativeEffects
from fiac_survival.sequence.solution import NOTE
from fiac_survival.sequence.support import SUPPORT_COLUMNS, effective_support, support_table

if TYPE_CHECKING:
    from fiac_survival.sequence.kernel_draws import KernelDraws, Resample

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class KernelEstimate(Result):
    """Kernels estimated from lines of therapy.

    Attributes
    ----------
    table : DataFrame
        Support in the data: line, regimen, group, overlap, patients, effective sample size, events, and the
        months up to which at least 5 patients were at risk.
    fit : Fit
        Kernels and coefficients.
    histories : Histories
        The lines.
    weights : (n,) float64
        Weights of the lines.
    estimator : Estimator
        What made them.
    simulated : bool
        Whether the data are simulated.
    """

    fit: Fit
    histories: Histories
    weights: Floats
    estimator: Estimator = field(repr=False)
    simulated: bool = False
    note: str = NOTE

    @property
    def formulary(self) -> Formulary:
        """The formulary."""
        return self.histories.formulary

    def supported(
        self,
        *,
        min_ess: float = 20.0,
        min_events: float = 5.0,
        together: Mapping[str, str] | None = None,
    ) -> tuple[NDArray[np.bool_], pd.DataFrame]:
        """Say which cells the data support, and list what is left out.

        Parameters
        ----------
        min_ess : float, default 20
            Smallest effective sample size of a cell.
        min_events : float, default 5
            Smallest number of events (next line or death) of a cell.
        together : mapping of str to str, optional
            Groups to be counted with another one, as where the hazards have no deviations of a regimen by
            group: every group of a pool has the support of the pool.

        Returns
        -------
        supported : (L, A, G, H) bool
            The observed care mix is supported wherever its line has patients.
        excluded : DataFrame
            Cells that the formulary allows and the data do not support, with the reason.

        Raises
        ------
        DataError
            If a group to be counted with another is unknown.
        """
        f = self.formulary
        shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
        ess, events = effective_support(self.histories, self.weights, together or {})
        short = np.zeros(shape, dtype=np.bool_)
        if self.estimator.form == "product_limit":
            alive = 1.0 - (self.fit.next_prob + self.fit.death_prob).sum(axis=-1)
            followed = self.table["followed"].to_numpy().reshape(shape)
            short = (alive > 1e-12) & (followed < f.n_steps)
        few, rare = ess < min_ess, events < min_events
        supported = ~(few | rare | short)
        if f.observed_care is not None:
            anyone = self.estimator.mix.sum(axis=(1, 3)) > 0
            supported[:, f.observed_care] = anyone[:, :, None]
        reason = np.where(
            ess == 0,
            "nobody was given it",
            np.where(
                few,
                f"effective sample size below {min_ess:g}",
                np.where(
                    rare,
                    f"fewer than {min_events:g} events",
                    "follow-up ends before the horizon (product-limit)",
                ),
            ),
        )
        occurs = f.levels_that_occur()
        if self.histories.overlap_counts == "refractory":  # as many classes, or fewer
            occurs = np.logical_or.accumulate(occurs[..., ::-1], axis=-1)[..., ::-1]
        out = f.allowed[..., None] & ~supported & occurs[:, :, None, :]
        excluded = self.table.loc[out.ravel(), list(SUPPORT_COLUMNS)].assign(reason=reason[out])
        return supported, excluded.reset_index(drop=True)

    def model(
        self,
        *,
        min_ess: float | None = 20.0,
        min_events: float = 5.0,
        together: Mapping[str, str] | None = None,
        effects: Any = None,
    ) -> SequenceModel:
        """Make the sequence model, with the regimens that the data support.

        Parameters
        ----------
        min_ess : float or None, default 20
            As in :meth:`supported`; None takes the formulary as it is, whatever the support.
        min_events, together
            As in :meth:`supported`.
        effects : RelativeEffects, optional
            External relative effects in place of the observed ones.

        Returns
        -------
        SequenceModel
            The model.

        Raises
        ------
        DataError
            If a state that can be reached has no regimen left, or product-limit follow-up of the time
            after the last line ends too early.
        """
        supported = None
        if min_ess is not None:
            self._require_followed_salvage()
            supported = self.supported(min_ess=min_ess, min_events=min_events, together=together)[0]
        onward, death = self.fit.next_prob, self.fit.death_prob
        if effects is not None:
            onward, death, supported = effects.apply(self.formulary, onward, death, supported)
        counts = self.histories.overlap_counts
        return self.formulary.model(
            onward,
            death,
            self.fit.salvage_death,
            supported=supported,
            simulated=self.simulated,
            next_refractory=refractory_share(self.histories) if counts == "refractory" else None,
            overlap_counts=counts,
        )

    def _require_followed_salvage(self) -> None:
        """Refuse a product-limit salvage kernel in which those not followed never die."""
        salvage, f = self.estimator.salvage, self.formulary
        if salvage is None or salvage.smooth:
            return
        alive = 1.0 - self.fit.salvage_death.sum(axis=1)
        short = (alive > 1e-12) & (salvage.followed < f.n_steps - f.lines)
        if short.any():
            g = int(np.flatnonzero(short)[0])
            raise DataError(
                "the time after the last line must be followed to the horizon",
                values={"group": f.groups[g], "steps": int(salvage.followed[g])},
                remedy='pass salvage_death=, or form="spline"',
            )

    def draws(
        self,
        n: int,
        *,
        seed: int,
        method: Resample = "bootstrap",
        model: SequenceModel | None = None,
        effects: RelativeEffects | None = None,
    ) -> KernelDraws:
        """Draw kernels from the uncertainty of their estimation.

        Parameters
        ----------
        n : int
            Number of draws.
        seed : int
            Root of the random streams; each draw has its own.
        method : {"bootstrap", "asymptotic"}, default "bootstrap"
            Bayesian bootstrap of patients (weights and all are fitted anew), or normal draws of the
            coefficients (spline form without weights only).
        model : SequenceModel, optional
            Model that the draws share states with; :meth:`model` by default.
        effects : RelativeEffects, optional
            Drawn too.

        Returns
        -------
        KernelDraws
            Models, one at a time.

        Raises
        ------
        DataError
            If n is not positive or the method does not fit the estimate.

        References
        ----------
        Rubin DB. The Bayesian bootstrap. Ann Stat 1981;9:130-134.
        """
        from fiac_survival.sequence.kernel_draws import draw_kernels

        return draw_kernels(self, n, seed=seed, method=method, model=model, effects=effects)

    def markov_check(self) -> pd.DataFrame:
        """Test whether the length of the line before still matters, given the state.

        Returns
        -------
        DataFrame
            outcome, line, odds ratio of each doubling of the previous line's length, its interval and p.

        Raises
        ------
        DataError
            If the kernels have another form than the spline.
        """
        from fiac_survival.sequence.kernel_checks import markov_check

        return markov_check(self)

    def calibration(self) -> pd.DataFrame:
        """Compare predicted with observed time to next treatment and survival, line by line.

        Returns
        -------
        DataFrame
            outcome, line, month, observed, lower, upper, predicted, at_risk.
        """
        from fiac_survival.sequence.kernel_checks import calibration

        return calibration(self)


@single_threaded_blas
def estimate_kernels(
    lines: pd.DataFrame | Histories,
    formulary: Formulary | None = None,
    *,
    confounders: Sequence[str] = (),
    form: Form = "spline",
    knots: int = 4,
    pooling_sd: float = 0.5,
    deviations: Sequence[Deviation] = DEVIATIONS,
    truncate: float | None = None,
    salvage_death: Any = None,
    unit: Unit = "days",
    other: str | None = None,
    refractory: str | None = None,
    simulated: bool = False,
) -> KernelEstimate:
    """Estimate the kernels of a sequence model from lines of therapy.

    Parameters
    ----------
    lines : DataFrame or Histories
        Table as :func:`read_histories` takes it, or what it made of one.
    formulary : Formulary, optional
        Names, lines, groups; needed with a table.
    confounders : sequence of str
        Columns, as at the line's start, that both the choice of the regimen and the outcome may depend on.
        Lines are then weighted by P(regimen | state) / P(regimen | state, previous line's length,
        confounders). None: unweighted.
    form : {"spline", "product_limit"}, default "spline"
        Smooth pooled hazards, or each cell's own.
    knots : int, default 4
        Knots of the spline in log time.
    pooling_sd : float, default 0.5
        Standard deviation of the normal prior of the deviations of regimens (log-odds): small values pool
        more.
    deviations : sequence of {"regimen:line", "regimen:group", "group:line"}
        Which two may deviate together from what each does by itself, pooled towards 0; the first two by
        default.
    truncate : float, optional
        Quantile at which weights are cut; by default they are not.
    salvage_death : (G, T) float, optional
        Salvage kernel, if not to be estimated.
    unit : {"days", "months", "steps"}, default "days"
        Unit of ttnt.
    other, refractory : str, optional
        As in :func:`read_histories`. With `refractory`, the model's states hold the refractory classes
        beside those given, and each regimen leaves its classes refractory as often as observed
        (:func:`~fiac_survival.sequence.refractory.refractory_share`).
    simulated : bool, default False
        Whether the lines are simulated; results then say so.

    Returns
    -------
    KernelEstimate
        Kernels, support, and what can be drawn from them.

    Raises
    ------
    DataError
        If the table breaks a rule.
    ConvergenceError
        If a model has no optimum.
    SupportError
        If a regimen was given with a probability that is not positive.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(500, seed=1)
    >>> kernels = fs.sequence.estimate_kernels(lines, formulary, unit="steps", simulated=True)
    >>> kernels.fit.next_prob.shape
    (2, 3, 2, 2, 48)
    """
    require_choice(form, Form, "form")
    for each in deviations:
        require_choice(each, Deviation, "deviations")
    h = as_histories(
        lines, formulary, unit=unit, covariates=confounders, other=other, refractory=refractory
    )
    if knots < 2 or not 0 < pooling_sd < np.inf:
        raise DataError(
            "knots must be at least 2 and pooling_sd positive",
            values={"knots": knots, "pooling_sd": pooling_sd},
        )
    if truncate is not None and not 0 <= truncate < 0.5:
        raise DataError(
            "truncate must be a quantile below 0.5",
            values={"truncate": truncate},
            remedy="0.01 cuts at the 1st and 99th percentile",
        )
    estimator = Estimator(
        h, confounders, form, knots, pooling_sd, truncate, salvage_death, deviations
    )
    fit = estimator.fit(np.ones(h.n_persons))
    return KernelEstimate(
        table=support_table(h, estimator.weights, estimator.cells),
        fit=fit,
        histories=h,
        weights=estimator.weights,
        estimator=estimator,
        simulated=simulated or h.formulary.simulated,
        n_iter=fit.hazard.n_iter if fit.hazard else 0,
    )
