r"""Probabilistic linkage: the Fellegi-Sunter model, estimated and applied by Splink.

For each level :math:`l` of a comparison, :math:`m_l` is its probability among pairs of one person and
:math:`u_l` among pairs of two; a pair weighs :math:`\sum \log_2 (m_l/u_l)` bits. :math:`u` comes from
pairs taken at random (all of them, if few), :math:`m` from expectation-maximisation on pairs that agree
on the keys of a training rule, :math:`u` held fixed. Both are then smoothed as proportions with half a
pair added to each level (Jeffreys), so that a level never seen does not rule a pair out, and rounded to
twelve digits.

Splink's own probability asks whether two records taken at random are one person. A private person has at
most one record on the other side, so the probability given here compares a candidate with the person's
other candidates and with having none: with :math:`\pi` the share of private persons that the public side
holds and :math:`B_{ij}` the ratio of likelihoods,

.. math:: p_{ij}=\frac{\pi B_{ij}/n_2}{1-\pi+\sum_k \pi B_{ik}/n_2},\qquad
          \hat\pi=\frac{1/2+\sum_{ij}p_{ij}}{n_1+1},

iterated until :math:`\hat\pi` stands still. Estimation runs on one thread of a DuckDB of its own whatever
the engine, scoring is done pair by pair in the engine: the result does not depend on threads.

Source: Fellegi and Sunter 1969; Linacre et al. 2022 (Splink); Sadinle 2017 for at most one record a
person.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.dialects import fresh
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.linkage_blocking import Blocking, Rule
from fiac_survival.cohort.linkage_comparisons import Comparison, column_of, engine_frame
from fiac_survival.cohort.linkage_keys import SIDES, LinkageKeys
from fiac_survival.core.errors import ConvergenceError, DataError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
RANDOM_PAIRS = 1_000_000
ITERATIONS = 2_000
TOLERANCE = 1e-4
LEAST_FREQUENCY = 1e-4
LEAST_PROBABILITY = 1e-4
Values = dict[str, list[tuple[float, float]]]


@dataclass(frozen=True, eq=False)
class Scored:
    """Pairs with their weights.

    Attributes
    ----------
    private, public : int64 arrays
        Rows, in order.
    bits : float64 array
        Log2 of the ratio of likelihoods.
    probability : float64 array
        Of being the private person's record.
    odds : float64 array
        Log2 odds of the pair on its own.
    share : float
        Private persons estimated to be on the public side.
    model : DataFrame
        comparison, level, m, u, bits.
    n_iter : int
        Iterations of the longest estimation.
    """

    private: Ints
    public: Ints
    bits: Floats
    probability: Floats
    odds: Floats
    share: float
    model: pd.DataFrame
    n_iter: int


def require_splink() -> None:
    """Refuse where Splink is not installed.

    Raises
    ------
    DataError
        Naming what to install.
    """
    try:
        import splink  # noqa: F401
    except ImportError as cause:
        raise DataError(
            "probabilistic linkage needs Splink",
            remedy='pip install "fiac_survival[linkage]", or ask for method="deterministic"',
        ) from cause


def score_pairs(
    keys: LinkageKeys,
    compared: list[Comparison],
    blocking: Blocking,
    engine: Engine,
    *,
    seed: int,
) -> Scored:
    """Estimate the model and weigh the pairs of the rules.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    compared : list of Comparison
        What is compared.
    blocking : Blocking
        Rules.
    engine : Engine
        DuckDB or Spark.
    seed : int
        For the random pairs.

    Returns
    -------
    Scored
        Pairs that could reach a probability of 0.0001, in the order of their rows.

    Raises
    ------
    ConvergenceError
        If the estimation does not settle, or finds no pairs that belong together.
    """
    require_splink()
    with _quiet():
        local = connect("duckdb", threads=1)
        try:
            with _registered(keys, local) as sides:
                values, n_iter = _estimate(keys, compared, blocking, sides, seed)
        finally:
            local.close()
        most = min(keys.n) / (keys.n[0] * keys.n[1])
        with _registered(keys, engine) as sides:
            rows = _predict(keys, compared, blocking.candidates, sides, values, min(most, 0.5))
    order = np.lexsort((rows["public"], rows["private"]))
    private, public = rows["private"][order], rows["public"][order]
    bits = np.round(rows["bits"][order], 9)
    probability, odds, share = _posterior(private, bits, keys.n)
    model = pd.DataFrame(
        [
            {"comparison": c.name, "level": level.label, "m": m, "u": u, "bits": np.log2(m / u)}
            for c in compared
            for level, (m, u) in zip(
                (x for x in c.levels if not x.missing), values[c.name], strict=True
            )
        ]
    )
    return Scored(private, public, bits, probability, odds, share, model, n_iter)


def _posterior(private: Ints, bits: Floats, n: tuple[int, int]) -> tuple[Floats, Floats, float]:
    """Probability of each pair among its private person's, log2 odds on its own, and the share present."""
    ratio = np.exp2(np.minimum(bits, 900.0)) / n[1]
    share = 0.5
    for _ in range(ITERATIONS):
        mine = share * ratio
        total = 1.0 - share + np.bincount(private, weights=mine, minlength=n[0])
        probability = mine / total[private]
        new = (0.5 + float(probability.sum())) / (n[0] + 1.0)
        if abs(new - share) < 1e-12:
            break
        share = new
    else:
        raise ConvergenceError(
            "the share of persons on both sides must settle",
            values={"share": share},
            remedy="the keys hardly tell persons apart: pass further keys",
        )
    return probability, bits + np.log2(share / (1.0 - share) / n[1]), share


def _estimate(
    keys: LinkageKeys,
    compared: list[Comparison],
    blocking: Blocking,
    sides: list[Any],
    seed: int,
) -> tuple[Values, int]:
    """Estimate m and u, and smooth them."""
    from splink import Linker

    settings = _settings(keys, compared, [()])
    linker: Any = Linker(sides, settings, log_level=None, validate_settings=False)
    linker.training.estimate_u_using_random_sampling(
        max_pairs=RANDOM_PAIRS, seed=seed, min_count_per_level=None
    )
    n_iter = 0
    for rule in blocking.training:
        session = linker.training.estimate_parameters_using_expectation_maximisation(
            _sql(keys, rule), estimate_without_term_frequencies=True
        )
        done = len(session._core_model_settings_history) - 1
        n_iter = max(n_iter, done)
        if done >= ITERATIONS:
            raise ConvergenceError(
                "the estimation of m must settle",
                values={"rule": " + ".join(rule) or "all pairs", "iterations": done},
                remedy="pass further keys, or name fewer: two may say the same",
            )
    found = linker.misc.save_model_to_json()
    by_name = {c["output_column_name"]: c["comparison_levels"] for c in found["comparisons"]}
    drawn = min(float(RANDOM_PAIRS), float(keys.n[0]) * keys.n[1])
    values = {
        c.name: [
            tuple(pair)
            for pair in np.column_stack(
                [
                    _smooth(by_name[c.name], "m_probability", float(min(keys.n))),
                    _smooth(by_name[c.name], "u_probability", drawn),
                ]
            ).tolist()
        ]
        for c in compared
    }
    for c in compared:
        m, u = values[c.name][0]
        if m <= u:
            raise ConvergenceError(
                "agreement must be more frequent in pairs of one person than in others",
                values={"comparison": c.name, "m": m, "u": u},
                remedy="the two sides may hold no person in common; else leave this key out",
            )
    return values, n_iter


def _smooth(levels: list[dict[str, Any]], which: str, n: float) -> Floats:
    raw = [float(x.get(which) or 0.0) for x in levels if not x.get("is_null_level")]
    shares = np.asarray(raw) / sum(raw)
    return np.round((n * shares + 0.5) / (n + 0.5 * shares.size), 12)


def _predict(
    keys: LinkageKeys,
    compared: list[Comparison],
    rules: list[Rule],
    sides: list[Any],
    values: Values,
    prior: float,
) -> dict[str, NDArray[Any]]:
    """Weigh the pairs of the rules with Splink."""
    from splink import Linker

    settings = _settings(keys, compared, rules, values, prior)
    linker: Any = Linker(sides, settings, log_level=None, validate_settings=False)
    least = float(np.log2(LEAST_PROBABILITY / (1.0 - LEAST_PROBABILITY)))
    table = linker.inference.predict(threshold_match_weight=least).as_pyarrow_table()
    sources = set(table["source_dataset_l"].unique().to_pylist())
    turned = any("public" in str(source) for source in sources)
    ids = [
        table[f"unique_id_{s}"].to_numpy().astype(np.int64)
        for s in (("r", "l") if turned else ("l", "r"))
    ]
    weight = table["match_weight"].to_numpy().astype(np.float64)
    return {
        "private": ids[0],
        "public": ids[1],
        "bits": weight - np.log2(prior / (1.0 - prior)),
    }


def _settings(
    keys: LinkageKeys,
    compared: list[Comparison],
    rules: list[Rule],
    values: Values | None = None,
    prior: float | None = None,
) -> dict[str, Any]:
    """Write the model as Splink reads it."""
    said = [
        {
            "output_column_name": c.name,
            "comparison_levels": _levels(c, None if values is None else values[c.name]),
        }
        for c in compared
    ]
    start = 0.5 * min(keys.n) / (keys.n[0] * keys.n[1])
    return {
        "link_type": "link_only",
        "unique_id_column_name": "unique_id",
        "comparisons": said,
        "blocking_rules_to_generate_predictions": [_sql(keys, rule) for rule in rules],
        "probability_two_random_records_match": start if prior is None else prior,
        "em_convergence": TOLERANCE,
        "max_iterations": ITERATIONS,
        "retain_matching_columns": False,
        "retain_intermediate_calculation_columns": False,
    }


def _levels(
    comparison: Comparison, values: list[tuple[float, float]] | None
) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    rank = 0
    for level in comparison.levels:
        said: dict[str, Any] = {"sql_condition": level.sql, "label_for_charts": level.label}
        if level.missing:
            out.append(said | {"is_null_level": True})
            continue
        if values is not None:
            said["m_probability"], said["u_probability"] = values[rank]
            if level.frequency:
                said["tf_adjustment_column"] = level.frequency
                said["tf_minimum_u_value"] = LEAST_FREQUENCY
                said["disable_tf_exact_match_detection"] = True
        rank += 1
        out.append(said)
    return out


def _sql(keys: LinkageKeys, rule: Rule) -> str:
    columns = [column_of(keys, k) for k in rule]
    return " AND ".join(f"l.{c} = r.{c}" for c in columns) or "1=1"


@contextlib.contextmanager
def _registered(keys: LinkageKeys, engine: Engine) -> Iterator[list[Any]]:
    """Put both sides into the engine for Splink, and take all that was made out again afterwards."""
    api: Any
    match engine.name:
        case "duckdb":
            from splink.backends.duckdb import DuckDBAPI

            api = DuckDBAPI(connection=engine.backend.con)
        case "pyspark":
            import splink.backends.spark as backend

            # Kept in memory: files would need a checkpoint folder that the session may not have.
            spark: Any = backend.SparkAPI
            api = spark(
                spark_session=engine.backend._session,
                break_lineage_method="persist",
                register_udfs_automatically=False,
            )
        case other:
            raise DataError(
                "the engine of a probabilistic linkage must be DuckDB or Spark",
                values={"engine": other},
                remedy="leave engine out: the keys are then linked in DuckDB",
            )
    import pyarrow as pa

    names = [fresh(f"linkage_{side}") for side in SIDES]
    try:
        yield [
            api.register(
                pa.Table.from_pandas(engine_frame(keys, k), preserve_index=False),
                table_name=name,
                dataset_display_name=SIDES[k],
            )
            for k, name in enumerate(names)
        ]
    finally:
        api.delete_tables_created_by_splink_from_db()
        for name in names:
            engine.backend.drop_view(name, force=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Splink's log to errors."""
    logger = logging.getLogger("splink")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
