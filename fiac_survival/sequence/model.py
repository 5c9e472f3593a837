r"""The treatment-sequence model: what is known before anything is optimised.

A patient goes through lines of therapy :math:`\ell=1..L`. At the start of a line the state is the set E
of drug classes that the patient has been exposed to, a group g (risk, frailty, eligibility, and what has
been learnt since), and the steps r that remain to the horizon. The action is a regimen a. Its **kernel**
gives, for each step u = 1, 2, ... since the line began, the probability that the line ends in step u by
moving on to the next line, :math:`\mathrm{next}[u]`, or by death, :math:`\mathrm{death}[u]`; with
:math:`S(0)=1,\ S(u)=S(u-1)-\mathrm{next}[u]-\mathrm{death}[u]`. The kernel depends on (ℓ, a, g) and on an
overlap level: how many of the regimen's classes the patient has been exposed to already (or the level
that a table gives). After the last line a salvage kernel of death alone follows.

When a line ends the group may change, :math:`g'=\gamma(\ell,g,u)` (early relapse, say): a property of the
past, never of the group in which line 1 starts. With ``next_refractory``, the share of each ending that
is progression on treatment, the classes of the regimen become refractory with that share, and the state
has the set R of refractory classes too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fiac_survival.sequence.parts import ModelParts

if TYPE_CHECKING:
    from fiac_survival.sequence.budget import Frontier
    from fiac_survival.sequence.fixed import Adaptivity, BestSequences
    from fiac_survival.sequence.microsimulation import Microsimulation
    from fiac_survival.sequence.objectives import Objective
    from fiac_survival.sequence.pareto import ParetoSet
    from fiac_survival.sequence.solution import Solution


class SequenceModel(ModelParts):
    """Formulary, kernels and horizon.

    Parameters
    ----------
    classes : sequence of str, length C
        Drug classes.
    regimens : sequence of str, length A
        Regimens. "No further therapy" and "observed care" are regimens without classes.
    regimen_classes : sequence of length A
        For each regimen a bitmask of its classes, or the names of its classes.
    allowed : (L, A, G) bool
        Where label, eligibility and support in the data allow a regimen.
    groups : sequence of str, length G
        Groups.
    next_prob, death_prob : (L, A, G, H, T) float
        Kernels by overlap level 0..H-1 and step 1..T.
    salvage_death : (G, T) float
        Probability of death in each step after the last line.
    group_after : (L, G, T) int, optional
        Group in which the next line starts, given the step in which the line ended.
    overlap_level : (A, 2**C) int, optional
        Replaces the count of classes that overlap.
    next_refractory : (L, A, G, H, T) float, optional
        Share of `next_prob` that is progression on treatment; its classes become refractory.
    step_months : float, default 1
        Length of a step.
    overlap_counts : {"exposed", "refractory"}, default "exposed"
        Which classes the overlap level counts.
    constraints : Constraints, optional
        What a sequence must not do; carried in the state.
    utility, cost : (L, A, G, H, T) float, optional
        Utility and cost of a step spent in a line, by step since its start.
    start_cost : (L, A, G) float, optional
        Cost of starting a line.
    salvage_utility, salvage_cost : (G, T) float, optional
        The same after the last line.
    simulated : bool, default False
        Whether the kernels come from simulated data; results then say so.
    supported : (L, A, G, H) bool, optional
        Where data support a regimen at an overlap level; all by default. It narrows `allowed`.

    Raises
    ------
    DataError
        If a shape, a probability or a name breaks a rule, or a state that can be reached has no allowed
        regimen.

    Examples
    --------
    >>> import numpy as np
    >>> import fiac_survival as fs
    >>> T = 4
    >>> model = fs.sequence.SequenceModel(
    ...     classes=["x", "y"], regimens=["A", "B"], regimen_classes=[("x",), ("y",)],
    ...     allowed=np.ones((2, 2, 1), bool), groups=["all"],
    ...     next_prob=np.full((2, 2, 1, 1, T), 0.1), death_prob=np.full((2, 2, 1, 1, T), 0.05),
    ...     salvage_death=np.full((1, T), 0.2))
    >>> model
    SequenceModel(2 classes, 2 regimens, 2 lines, 1 group, 4 steps of 1 month, 3 states)
    """

    def solve(
        self,
        *,
        objective: Objective = "life_time",
        at: float | None = None,
        discount: float = 0.0,
        background: Any = None,
        willingness_to_pay: float | None = None,
        threads: int | None = None,
    ) -> Solution:
        """Find the policy that is best in every state, exactly.

        Parameters
        ----------
        objective : {"life_time", "milestone", "quality_adjusted", "cost", "net_benefit"}
            Expected months alive within the horizon; probability of being alive `at` a time;
            quality-adjusted months; cost (minimised); net benefit.
        at : float, optional
            Months of the milestone.
        discount : float, default 0
            Annual effective discount rate.
        background : (T+1,) or (G, T+1) float, optional
            Background survival, if the kernels are of excess mortality.
        willingness_to_pay : float, optional
            Currency per quality-adjusted year.
        threads : int, optional
            Threads; results are the same to the last bit for any number.

        Returns
        -------
        Solution
            Values and policy for every line, exposed set, group and remaining time.

        Raises
        ------
        DataError
            If options are missing or exclude each other.

        References
        ----------
        Puterman ML. Markov Decision Processes. Wiley, 1994 (backward induction; here over lines of
        therapy with holding times).

        Examples
        --------
        >>> import fiac_survival as fs
        >>> model = fs.sequence.examples.textbook()
        >>> solution = model.solve()
        >>> solution.policy("all"), round(solution.value("all"), 3)
        ('A', 18.067)
        """
        from fiac_survival.sequence.solution import solve

        return solve(
            self,
            objective=objective,
            at=at,
            discount=discount,
            background=background,
            willingness_to_pay=willingness_to_pay,
            threads=threads,
        )

    def value_of(self, sequence: Sequence[str], group: str, **options: Any) -> float:
        """Value of a fixed sequence of regimens, exactly.

        Parameters
        ----------
        sequence : sequence of str
            One regimen a line.
        group : str
            Group in which line 1 starts.
        **options
            Objective, as in :meth:`solve`.

        Returns
        -------
        float
            In months, as a probability or in currency, by objective.

        Raises
        ------
        DataError
            If the length is wrong, a name is unknown, or a regimen is not allowed where it would be given.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> round(fs.sequence.examples.textbook().value_of(["B", "A"], "all"), 3)
        14.775
        """
        from fiac_survival.sequence.fixed import value_of

        return value_of(self, sequence, group, **options)

    def best_sequences(
        self,
        k: int,
        group: str,
        *,
        solution: Solution | None = None,
        threads: int | None = None,
        **options: Any,
    ) -> BestSequences:
        """Find the k best fixed sequences, with the proof that none was missed.

        Parameters
        ----------
        k : int
            How many.
        group : str
            Group in which line 1 starts.
        solution : Solution, optional
            Solution under the same objective, if there is one already.
        threads : int, optional
            For solving.
        **options
            Objective, as in :meth:`solve`.

        Returns
        -------
        BestSequences
            In order, with the certificate.

        Raises
        ------
        DataError
            If k is not positive or no sequence is allowed.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> best = fs.sequence.examples.textbook().best_sequences(2, "all")
        >>> best.sequences[0], best.certificate["proved"]
        (('A', 'A'), True)
        """
        from fiac_survival.sequence.fixed import best_sequences

        return best_sequences(self, k, group, solution=solution, threads=threads, **options)

    def adaptivity(self, group: str, *, threads: int | None = None, **options: Any) -> Adaptivity:
        """Say what adapting to the course of the disease is worth.

        Parameters
        ----------
        group : str
            Group in which line 1 starts.
        threads : int, optional
            For solving.
        **options
            Objective, as in :meth:`solve`.

        Returns
        -------
        Adaptivity
            Optimal value minus that of the best fixed sequence; labelled a horizon effect where nothing
            but the remaining time can be adapted to.

        Raises
        ------
        DataError
            If no fixed sequence is allowed.
        """
        from fiac_survival.sequence.fixed import adaptivity

        return adaptivity(self, group, threads=threads, **options)

    def frontier(
        self,
        *,
        cost: Mapping[str, float] | None = None,
        mix: Mapping[str, float] | None = None,
        objective: Objective = "life_time",
        discount: float = 0.0,
        threads: int | None = None,
        most: int = 1_000,
    ) -> Frontier:
        """Trace value against cost: all supported points of the frontier of policies.

        Parameters
        ----------
        cost : mapping, optional
            Cost of a month of each regimen; the model's own costs by default.
        mix : mapping, optional
            Share of each group; equal shares by default.
        objective : {"life_time", "quality_adjusted"}, default "life_time"
            Value.
        discount : float, default 0
            Annual rate for value and cost.
        threads : int, optional
            For solving.
        most : int, default 1000
            Largest number of points.

        Returns
        -------
        Frontier
            From the cheapest to the most valuable, with all breakpoints.

        Raises
        ------
        DataError
            If shares or costs break a rule, or there are more points than `most`.
        """
        from fiac_survival.sequence.budget import frontier

        return frontier(
            self,
            cost=cost,
            mix=mix,
            objective=objective,
            discount=discount,
            threads=threads,
            most=most,
        )

    def pareto(
        self,
        group: str | None = None,
        *,
        cost: Mapping[str, float] | None = None,
        objective: Objective = "life_time",
        discount: float = 0.0,
        most: int = 200_000,
    ) -> ParetoSet:
        """Find the exact Pareto set of fixed sequences in value and cost.

        Parameters
        ----------
        group : str, optional
            Group in which line 1 starts; may be left out if there is one.
        cost : mapping, optional
            Cost of a month of each regimen; the model's own costs by default.
        objective : {"life_time", "quality_adjusted"}, default "life_time"
            Value.
        discount : float, default 0
            Annual rate for value and cost.
        most : int, default 200000
            Largest number of suffixes to keep.

        Returns
        -------
        ParetoSet
            By ascending cost; those on the concave hull are marked as supported.

        Raises
        ------
        DataError
            If the model has refractory classes, or more suffixes than `most` are not dominated.
        """
        from fiac_survival.sequence.pareto import pareto

        return pareto(
            self,
            self.only_group(group),
            cost=cost,
            objective=objective,
            discount=discount,
            most=most,
        )

    def simulate(
        self,
        policy: Any,
        n: int,
        seed: int,
        *,
        group: str | None = None,
        background: Any = None,
        level: float = 0.95,
    ) -> Microsimulation:
        """Walk simulated patients through the lines under a policy.

        Parameters
        ----------
        policy : Solution, sequence of str, list of arrays, or callable
            An optimal policy, one fixed sequence, regimens as the solver keeps them, or a function of
            (group, line, exposed class names, remaining months) that names a regimen.
        n : int
            Patients.
        seed : int
            Root of the patients' random streams.
        group : str, optional
            Group in which line 1 starts; may be left out if there is one.
        background : (T+1,) or (G, T+1) float, optional
            Background survival.
        level : float, default 0.95
            Confidence level of the Monte Carlo interval.

        Returns
        -------
        Microsimulation
            Summary with its Monte Carlo error, and the patients.

        Raises
        ------
        DataError
            If n is below 2, the group is missing, or the policy gives a regimen that is not allowed.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> model = fs.sequence.examples.textbook()
        >>> run = model.simulate(["A", "B"], 20_000, seed=1)
        >>> error = run.months.mean() - model.value_of(["A", "B"], "all")
        >>> bool(abs(error) < 4 * run.table["std_error"][0])
        True
        """
        from fiac_survival.sequence.microsimulation import simulate

        return simulate(self, policy, n, seed, group=group, background=background, level=level)
