"""State sequences against R's TraMineR."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.sequence.state_codes import read_states
from fiac_survival.sequence.substitution_costs import overall_transition_rates, transition_rates
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("sequences")
TIGHT = 1e-12
MVAD = ["employment", "FE", "HE", "joblessness", "school", "training"]
EBMT = ["Tx", "Rec", "AE", "RecAE", "Rel", "Death"]
METHODS = {
    "OM_const_indel1": {},
    "OM_trate_indel1": {"substitution": "transition_rates"},
    "OM_const_norm": {"normalise": "longer_length"},
    "LCS": {"method": "lcs"},
    "LCS_norm": {"method": "lcs", "normalise": "geometric_mean"},
    "HAM": {"method": "hamming"},
    "DHD": {"method": "dhd"},
    "LCP": {"method": "lcp"},
    "RLCP": {"method": "rlcp"},
    "OMspell": {"method": "omspell", "expansion_cost": 0.5, "duration_power": 1.0},
}


def mvad() -> pd.DataFrame:
    return rows("mvad").loc[:, "Sep.93":"Jun.99"]


def biofam() -> pd.DataFrame:
    return rows("biofam300")


def ebmt4() -> pd.DataFrame:
    """Where the first 400 patients are every 30 days; missing after censoring."""
    d = rows("ebmt4").iloc[:400]
    out = pd.DataFrame(index=d.index)
    for t in range(0, 721, 30):
        state = pd.Series("Tx", index=d.index, dtype=object)
        for name, time, event in (
            ("Rec", "rec", "rec.s"),
            ("AE", "ae", "ae.s"),
            ("RecAE", "recae", "recae.s"),
            ("Rel", "rel", "rel.s"),
        ):
            state[(d[event] == 1) & (t >= d[time])] = name
        state[(d["srv.s"] == 0) & (t > d["srv"])] = None
        state[(d["srv.s"] == 1) & (t >= d["srv"])] = "Death"
        out[t] = state
    return out


DATA = {"mvad": (mvad, MVAD), "biofam300": (biofam, None), "ebmt4_400": (ebmt4, EBMT)}
DISTANCES = [
    name
    for name in EXPECTED
    if name.startswith("seqdist_") and any(name.endswith(f"_{m}") for m in METHODS)
]


def compare(matrix, expected):
    assert matrix.shape == (expected["n"],) * 2
    agree(matrix[:6, :6], expected["first6"], TIGHT)
    agree([matrix.sum(), matrix.max()], [expected["sum"], expected["max"]], TIGHT)
    if "checks" in expected:
        pairs = {"d_1_2": (0, 1), "d_10_500": (9, 499), "d_300_712": (299, 711)}
        ours = {name: matrix[pair] for name, pair in pairs.items()}
        agree([ours[name] for name in expected["checks"]], expected["checks"], TIGHT)
        agree(matrix[0].sum(), expected["row1_sum"], TIGHT)
        upper = matrix[np.triu_indices(len(matrix), 1)]
        agree(upper.mean(), expected["mean_offdiag"], TIGHT)


@pytest.mark.parametrize("name", DISTANCES)
def test_distances(name):
    data = next(key for key in DATA if name.startswith(f"seqdist_{key}_"))
    make, alphabet = DATA[data]
    options = METHODS[name.removeprefix(f"seqdist_{data}_")]
    found = fs.sequence.state_sequence_distances(make(), alphabet=alphabet, **options)
    assert found.n_distinct < found.n_rows
    compare(found.matrix(), EXPECTED[name])


@pytest.mark.parametrize("name", ["seqdist_ebmt4_400_OM_const_indel1", "seqdist_ebmt4_400_LCS"])
def test_real_courses_of_unequal_length(name):
    expected, courses = EXPECTED[name], ebmt4()
    lengths = courses.notna().sum(axis=1)
    assert lengths.tolist()[:10] == expected["lengths_first10"]
    assert lengths.nunique() > 1
    assert int(courses.isna().sum().sum()) == expected["missing"]
    counts = pd.Series(courses.to_numpy().ravel()).value_counts()
    assert {state: int(counts[state]) for state in EBMT} == expected["state_counts"]


def test_geometric_distances_are_hamming_with_costs_over_time():
    """At one step a period the Euclidean and chi-squared distances are roots of sums over time."""
    courses = mvad()
    share = np.array([[(courses.iloc[:, t] == a).mean() for a in MVAD] for t in range(70)])
    apart = ~np.eye(6, dtype=bool)
    with np.errstate(divide="ignore"):
        inverse = np.where(share > 0, 1.0 / share, 0.0)
    chi = np.where(apart, inverse[:, :, None] + inverse[:, None, :], 0.0)
    for name, costs in (("EUCLID", np.broadcast_to(2.0 * apart, chi.shape)), ("CHI2", chi)):
        found = fs.sequence.state_sequence_distances(
            courses, method="dhd", substitution=costs, alphabet=MVAD
        )
        compare(np.sqrt(found.matrix()), EXPECTED[f"seqdist_mvad_{name}"])


def test_costs_from_transition_rates():
    expected = EXPECTED["seqdist_mvad_submatrix"]
    sequences = read_states(mvad(), alphabet=MVAD)
    agree(overall_transition_rates(sequences), expected["transition_rates"], TIGHT)
    found = fs.sequence.state_sequence_distances(
        mvad(), alphabet=MVAD, substitution="transition_rates", keep="nothing"
    )
    agree(found.substitution, expected["trate_costs"], TIGHT)
    assert transition_rates(sequences).shape == (69, 6, 6)
    # Costs from frequencies: each state has its own cost of insertion, log(2 / (1 + share).
    share = mvad().stack().value_counts(normalize=True)[MVAD].to_numpy()
    indel = np.log(2.0 / (1.0 + share))
    agree(indel, expected["indelslog_indel"], TIGHT)
    costs = numbers(expected["indelslog_sm"])
    both = fs.sequence.state_sequence_distances(
        mvad(), alphabet=MVAD, substitution=costs, indel=indel, keep="nothing"
    )
    np.testing.assert_allclose(both.substitution, np.where(costs > 0, indel[:, None] + indel, 0.0))


def test_clusters():
    expected = EXPECTED["seq_cluster_mvad"]
    distances = fs.sequence.state_sequence_distances(mvad(), alphabet=MVAD)
    ward = fs.sequence.cluster_state_sequences(distances, 4, method="ward")
    agree(ward.heights[-5:], expected["ward_heights_last5"], TIGHT)
    assert sorted(ward.table["n"]) == sorted(expected["sizes"])
    agree(ward.quality["average_silhouette_width"], expected["mean_silhouette"], TIGHT)
    pam = fs.sequence.cluster_state_sequences(distances, 4)
    theirs = np.array(expected["pam_medoids"]) - 1
    between = distances.matrix([*pam.table["medoid"], *theirs])[:4, 4:]
    assert (np.sort(between, axis=0)[0] == 0).all()  # the same sequences, perhaps of other rows
    agree(pam.objective, expected["pam_objective"][1], TIGHT)
    agree(pam.quality["average_silhouette_width"], expected["pam_sil"], TIGHT)
    found = fs.sequence.discrepancy(distances, rows("mvad")["gcse5eq"]).iloc[0]
    anova = expected["discrepancy_anova"]
    agree(found[["between", "within", "total"]], anova["SS"], TIGHT)
    statistics = dict(zip(expected["pseudo"]["row"], expected["pseudo"]["t0"], strict=True))
    agree(found["pseudo_f"], statistics["Pseudo F"], TIGHT)
    agree(found["share_of_discrepancy"], statistics["Pseudo R2"], TIGHT)


def test_descriptions():
    expected = EXPECTED["seq_descriptives_mvad"]
    found = fs.sequence.describe_state_sequences(mvad(), alphabet=MVAD)
    ours = found.table
    for name in ("entropy", "turbulence", "complexity", "transitions"):
        agree(ours[name].iloc[:10], expected[f"{name}_first10"], TIGHT)
        if f"{name}_mean" in expected:
            agree(ours[name].mean(), expected[f"{name}_mean"], TIGHT)
    agree(ours["spells"].iloc[:10], expected["dss_length_first10"], TIGHT)
    agree(found.states["mean_time"], expected["mean_time"], TIGHT)
    share = found.over_time.pivot_table(index="state", columns="step", values="share")
    agree(share.loc[MVAD, 0], expected["state_freq_t1"], TIGHT)
    agree(share.loc[MVAD, 69], expected["state_freq_t70"], TIGHT)
    agree(found.steps["entropy"], expected["entropy_t"], TIGHT)
    top = found.frequent.iloc[:5]
    assert top["n"].tolist() == expected["top5_freq"]
    short = dict(zip(["EM", "FE", "HE", "JL", "SC", "TR"], MVAD, strict=True))
    for mine, theirs in zip(top["states"], expected["top5"], strict=True):
        spells = [spell.split("/") for spell in theirs.split("-")]
        assert mine == " - ".join(f"{short[state]}:{steps}" for state, steps in spells)
    rates = EXPECTED["seqdist_mvad_submatrix"]["transition_rates"]
    agree(found.transition_rates["rate"], np.ravel(numbers(rates)), TIGHT)


def test_every_record_is_used():
    used = set(DISTANCES) | {
        "seqdist_mvad_EUCLID",
        "seqdist_mvad_CHI2",
        "seqdist_mvad_submatrix",
        "seq_cluster_mvad",
        "seq_descriptives_mvad",
    }
    assert used == set(EXPECTED)
