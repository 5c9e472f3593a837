"""A linkage: who is linked to whom, how, and what can be asked of it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.linkage_bias import (
    LinkageBias,
    LinkageWeights,
    compare_linked,
    weigh_linked,
)
from fiac_survival.cohort.linkage_quality import (
    STRATA,
    LinkageQuality,
    against_truth,
    by_model,
    clerical_sample,
    read_truth,
)
from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result

Method = Literal["deterministic", "probabilistic", "both"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Linkage(Result):
    """A one-to-one linkage of two sources.

    Attributes
    ----------
    table : DataFrame
        The flow: kind ("persons", "pass", "candidates", "probability", "ambiguous", "unlinked",
        "linked"), step, n, share (of the private persons), expected_false.
    pairs : DataFrame
        private, public, method, pass, probability (of being the person's record), confidence (that no
        other matching of the persons involved is better), bits. Ordered by private person.
    ambiguous : DataFrame
        private, public, probability, confidence, reason: pairs probable on their own that were not
        linked since another fits nearly as well. Not in `pairs`.
    passes : DataFrame
        Every pass that was tried: keys, complete persons, rivals, false_share, linked, used.
    blocking : DataFrame
        Rules that chose the pairs to compare, their number of pairs, and what they can find.
    model : DataFrame
        comparison, level, m, u, bits.
    keys : DataFrame
        Missing and distinct values of each key on both sides.
    candidates : DataFrame
        private, public, probability, bits of every pair that could matter.
    method : {"deterministic", "probabilistic", "both"}
        How it was made.
    threshold : float
        Smallest confidence of a probabilistic link.
    share_present : float
        Share of private persons who the model thinks are on the public side; NaN without a model.
    frames : (DataFrame, DataFrame)
        Both sides' persons and keys as compared.
    """

    pairs: pd.DataFrame
    ambiguous: pd.DataFrame
    passes: pd.DataFrame
    blocking: pd.DataFrame
    model: pd.DataFrame
    keys: pd.DataFrame
    candidates: pd.DataFrame
    method: Method
    threshold: float
    share_present: float
    frames: tuple[pd.DataFrame, pd.DataFrame]

    @property
    def rate(self) -> float:
        """Share of the private persons who are linked."""
        return len(self.pairs) / len(self.frames[0])

    def quality(
        self, truth: Any = None, *, level: float = 0.95, per_stratum: int = 20, seed: int = 0
    ) -> LinkageQuality:
        """Say how good the linkage is.

        Parameters
        ----------
        truth : DataFrame, optional
            private and public of the persons on both sides. Without it the model's probabilities serve.
        level : float, default 0.95
            Confidence level.
        per_stratum : int, default 20
            Size of the clerical sample in each stratum of probability.
        seed : int, default 0
            Of the sample.

        Returns
        -------
        LinkageQuality
            Precision, recall and F1 with intervals; without truth also the sample.

        Raises
        ------
        DataError
            If there is neither truth nor a model.
        """
        if truth is not None:
            known = read_truth(truth, self.frames)
            return LinkageQuality(
                table=against_truth(self.pairs, known, level), clerical=pd.DataFrame()
            )
        if not len(self.model):
            raise DataError(
                "quality needs known persons, or a model",
                values={"method": self.method},
                remedy='pass truth, link with method="both", or take clerical_sample()',
            )
        pairs = self._scored()
        linked = pairs["linked"].to_numpy(dtype=bool)
        probability = pairs["probability"].to_numpy(dtype=np.float64)
        return LinkageQuality(
            table=by_model(probability[linked], probability[~linked], level),
            clerical=self.clerical_sample(per_stratum=per_stratum, seed=seed),
        )

    def clerical_sample(self, *, per_stratum: int = 20, seed: int = 0) -> pd.DataFrame:
        """Draw pairs for a person to judge.

        Parameters
        ----------
        per_stratum : int, default 20
            Pairs of each stratum: of probability, or without a model of the pass.
        seed : int, default 0
            Of the draw.

        Returns
        -------
        DataFrame
            stratum, stratum_pairs, private, public, linked, probability, each key on both sides.
        """
        pairs = self._scored()
        if len(self.model):
            names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(STRATA)]
            strata = pd.cut(pairs["probability"], list(STRATA), labels=names, include_lowest=True)
        else:
            number = self.pairs["pass"].astype("int64")
            strata = "pass " + number.astype(str).str.zfill(3)
        return clerical_sample(pairs, strata, self.frames, per_stratum=per_stratum, seed=seed)

    def linked_vs_unlinked(self, frame: Any, *, person: str = "person") -> LinkageBias:
        """Compare the private persons who are linked with those who are not.

        Parameters
        ----------
        frame : DataFrame
            Private persons and what to compare: numbers, or levels.
        person : str, default "person"
            Column of the person; the others are compared.

        Returns
        -------
        LinkageBias
            Means or shares, counts, standardised differences.

        Raises
        ------
        DataError
            If a person is unknown or repeated, or all or none are linked.
        """
        rows, linked = self._flag(frame, person)
        return compare_linked(rows, linked, person)

    def linkage_weights(
        self, frame: Any, covariates: Any, *, person: str = "person", stabilised: bool = False
    ) -> LinkageWeights:
        """Weight the linked persons to stand for all private persons.

        Parameters
        ----------
        frame : DataFrame
            Private persons and covariates.
        covariates : list of str or str
            Numeric columns, or a formula such as ``"age + C(stage)"``.
        person : str, default "person"
            Column of the person.
        stabilised : bool, default False
            Multiply by the share linked.

        Returns
        -------
        LinkageWeights
            1 / P(linked | covariates) for the linked, with effective sample size and balance.

        Raises
        ------
        DataError
            If a person is unknown or repeated, a covariate missing, or all or none are linked.
        ConvergenceError
            If covariates tell perfectly who is linked.
        """
        rows, linked = self._flag(frame, person)
        return weigh_linked(rows, linked, covariates, person, stabilised=stabilised)

    def _scored(self) -> pd.DataFrame:
        """Linked pairs and candidates, each once, with probability 0 where a link was no candidate."""
        columns = ["private", "public", "probability"]
        linked = self.pairs[columns].assign(linked=True)
        if not len(self.candidates):
            return linked[["private", "public", "linked", "probability"]]
        both = pd.concat([linked, self.candidates[columns].assign(linked=False)])
        both = both.drop_duplicates(["private", "public"], ignore_index=True)
        both["probability"] = both["probability"].fillna(0.0)
        return both[["private", "public", "linked", "probability"]]

    def _flag(self, frame: Any, person: str) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
        """Say who of a frame's persons is linked."""
        rows = nw.from_native(frame, eager_only=True).to_pandas().reset_index(drop=True)
        if person not in rows.columns:
            raise DataError(
                "the frame must have the person",
                values={"missing": person},
                remedy="name its column in person=",
            )
        unknown = ~rows[person].isin(self.frames[0]["person"])
        for rule, bad in (
            ("every person of the frame must have been in the private file", unknown),
            ("the frame must have one row a person", rows[person].duplicated()),
        ):
            place = np.flatnonzero(bad.to_numpy())
            if place.size:
                raise DataError(rule, count=int(place.size), row=int(place[0]))
        linked = rows[person].isin(self.pairs["private"]).to_numpy()
        if min(int(linked.sum()), int((~linked).sum())) < 2:
            raise DataError(
                "at least two persons must be linked, and two not",
                values={"linked": int(linked.sum()), "unlinked": int((~linked).sum())},
                remedy="there is nothing to compare",
            )
        return rows, linked
