# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A real course as a sequence: what can be described, and what cannot be optimised
#
# 2,279 real patients of the EBMT registry after a transplant. The tools that
# [`treatment_sequences`](treatment_sequences.py) shows on simulated patients are put on them: the course as a
# sequence of stays, kernels, the solver. The estimators of multistate models themselves are in
# [`multistate_ebmt4`](multistate_ebmt4.py). Nothing is defined here; every step is a call.
#
# **Nothing is optimised.** After the transplant the data record what happened to patients and not one decision.
# Those who published the data had simplified them for illustration: no clinical conclusion can be drawn.
# Research use, not medical advice.

# %%
import numpy as np
import pandas as pd

import fiac_survival as fs

ebmt = fs.datasets.load("ebmt4")
for caveat in ebmt.card.caveats:
    print("-", caveat)

# %%
data = fs.survival.TransitionData.from_wide(
    ebmt.frame,
    person="id",
    states={
        "transplant": None,
        "recovered": ("rec", "rec.s"),
        "adverse event": ("ae", "ae.s"),
        "both": ("recae", "recae.s"),
        "relapse": ("rel", "rel.s"),
        "death": ("srv", "srv.s"),
    },
    transitions={
        "transplant": ["recovered", "adverse event", "relapse", "death"],
        "recovered": ["both", "relapse", "death"],
        "adverse event": ["both", "relapse", "death"],
        "both": ["relapse", "death"],
    },
)
data.events()

# %% [markdown]
# ## The course as lines
#
# Each stay becomes a "line": it ends by the next one, by relapse or death (here one event, the end of
# relapse-free life), or by the end of follow-up. The state takes the place of the regimen. It is what happened
# to the patient: nobody chose it.

# %%
stays = data.intervals()
lines = pd.DataFrame(
    {
        "person": stays["person"],
        "line": stays.groupby("person").cumcount() + 1,
        "regimen": stays["from_state"],
        "ttnt": stays["exit"] - stays["entry"],
        "end_reason": stays["to_state"]
        .map({"relapse": "death", "death": "death"})
        .where(stays["to_state"].isin(["relapse", "death"]), "switch")
        .where(stays["to_state"].notna(), "censored"),
        "group": ebmt.frame["proph"]
        .map({"no": "no prophylaxis", "yes": "prophylaxis"})
        .to_numpy()[stays["row"]],
    }
)
pd.crosstab([lines["line"], lines["regimen"]], lines["end_reason"])

# %%
fs.report.alluvial_figure(
    fs.report.pathway_flows({"EBMT registry": lines}),
    title="The course after a transplant",
    note="“death” is relapse or death, whichever came first.",
)

# %% [markdown]
# Month by month, the first year, in those who were followed for it: how varied are the courses, which are
# frequent, and which kinds of course are there?

# %%
ended = stays[stays["to_state"].isin(["relapse", "death"])]
spells = pd.concat(
    [
        stays[["person", "from_state", "entry", "exit"]].set_axis(
            ["person", "state", "start", "end"], axis=1
        ),
        ended.assign(end=np.inf)[["person", "to_state", "exit", "end"]].set_axis(
            ["person", "state", "start", "end"], axis=1
        ),
    ]
)
months = pd.DataFrame(
    {
        month: spells[(spells["start"] <= 30.4375 * month) & (30.4375 * month < spells["end"])]
        .set_index("person")["state"]
        .reindex(ebmt.frame["id"])
        for month in range(13)
    }
).dropna()
described = fs.sequence.describe_state_sequences(months, alphabet=list(data.states))
print(f"{len(months)} of {len(ebmt.frame)} patients followed for a year")
described.states.round(2)

# %%
described.frequent.head(8)

# %%
distances = fs.sequence.state_sequence_distances(months, alphabet=list(data.states))
clusters = fs.sequence.cluster_state_sequences(distances, 4)
clusters.table.round(2)

# %% [markdown]
# ## Where patients are, and for how long
#
# State occupation needs no Markov property. Months of the first five years in each state:

# %%
occupation = fs.survival.state_occupation(data, group=ebmt.frame["proph"])
stay = occupation.length_of_stay(60 * 30.4375)
stay[["stay", "std_error", "lower", "upper"]] /= 30.4375
stay.pivot_table(index="state", columns="group", values=["stay", "std_error"], sort=False).round(2)

# %%
curves = occupation.table.rename(columns={"to_state": "state"})
fs.report.stacked_probability_figure(
    curves.assign(panel="prophylaxis: " + curves["group"], time=curves["time"] / 30.4375).query(
        "time <= 60"
    ),
    title="Where patients are after a transplant",
    time_label="months",
    tick=12,
    order=list(data.states),
)

# %% [markdown]
# ## Does the path matter? Landmark at day 100
#
# The first estimate takes all who are in a state at some later time as alike, however they came there; the
# second follows those who are in it at day 100. Where the process is Markov (in the time since the transplant)
# both estimate the same.

# %%
starts = ["recovered", "adverse event", "both"]
markov = fs.survival.transition_probabilities(data, start=starts, from_time=100)
landmark = fs.survival.transition_probabilities(data, start=starts, from_time=100, landmark=True)
held = markov.at([365, 1826]).merge(
    landmark.at([365, 1826]),
    on=["from_state", "to_state", "time"],
    suffixes=("_markov", "_landmark"),
)
held["difference"] = held["probability_landmark"] - held["probability_markov"]
held["in_standard_errors"] = held["difference"].abs() / held["std_error_landmark"]
held.query("to_state in ['relapse', 'death']")[
    ["from_state", "to_state", "time", "probability_markov", "difference", "in_standard_errors"]
].round(3)

# %% [markdown]
# ## Kernels of the real course
#
# The formulary says where each state can stand. It has no classes (nothing is given), and one more "regimen",
# the observed course: the mix of the states that patients of a group were in. Steps are weeks.

# %%
formulary = fs.sequence.parse_formulary(
    {
        "name": "EBMT, simplified for illustration",
        "lines": 3,
        "horizon_months": 60,
        "step_months": 0.25,
        "classes": {"none": "nothing is chosen after the transplant"},
        "groups": ["no prophylaxis", "prophylaxis"],
        "regimens": [
            {"name": "transplant", "lines": [1]},
            {"name": "recovered", "lines": [2]},
            {"name": "adverse event", "lines": [2]},
            {"name": "both", "lines": [3]},
            {"name": "observed course", "observed_care": True},
        ],
    }
)
after_last = np.zeros(
    (2, formulary.n_steps)
)  # nothing but relapse and death follows the last state
smooth = fs.sequence.estimate_kernels(lines, formulary, salvage_death=after_last)
exact = fs.sequence.estimate_kernels(
    lines, formulary, form="product_limit", salvage_death=after_last
)
smooth.table.query("patients > 0")[
    ["line", "regimen", "group", "patients", "next", "death", "months"]
].round(1)

# %%
fs.report.calibration_figure(
    smooth.calibration(),
    title="Observed and predicted: smooth kernels (death: relapse or death)",
    tick=12,
)

# %% [markdown]
# Kernels count time from the start of a state, and forget how long the states before took. Does that lose
# something? An odds ratio of 1 for each doubling of the stay before would say no. It is not 1: patients who
# were slow to recover, or to have an adverse event, are slow to have both. Time since the transplant matters as
# well as time in the state. (Nothing follows the third state but relapse and death.)

# %%
smooth.markov_check().query("not (line == 3 and outcome == 'next line')").round(3)

# %% [markdown]
# ## The solver on the observed course
#
# Followed, not optimised: the value of the observed course is the mean number of months without relapse within
# five years. Without a model it is the sum of the lengths of stay above. The model forgets how long the stays
# before were, and rounds to weeks; the smooth kernels also share information between cells, which fits the
# smaller group less well.

# %%
observed = ["observed course"] * 3
free = stay[~stay["state"].isin(["relapse", "death"])].groupby("group")["stay"].sum()
pd.DataFrame(
    {
        "without a model": free.rename({"no": "no prophylaxis", "yes": "prophylaxis"}),
        **{
            name: {
                group: kernels.model(min_ess=None).value_of(observed, group)
                for group in formulary.groups
            }
            for name, kernels in {"product-limit kernels": exact, "smooth kernels": smooth}.items()
        },
    }
).round(2)

# %% [markdown]
# What a course through recovery or through an adverse event is worth, in months without relapse of five years:

# %%
model = smooth.model(min_ess=None)
routes = {
    f"through {state}": {
        group: model.value_of(["transplant", state, "both"], group) for group in formulary.groups
    }
    for state in ("recovered", "adverse event", "observed course")
}
pd.DataFrame(routes).round(1)

# %% [markdown]
# `solve()` would "choose" the better of the two. That is no decision: nobody chooses to have an adverse event.
# What it returns is the value of good luck, an upper bound that no policy reaches.

# %%
solution = model.solve()
pd.DataFrame(
    {
        "observed course": {g: model.value_of(observed, g) for g in formulary.groups},
        "best of luck": {g: solution.value(g) for g in formulary.groups},
    }
).round(1)

# %% [markdown]
# ## Profiles
#
# Cox models of all transitions, and what they predict for two ages and both kinds of prophylaxis, recent
# transplant, no gender mismatch. Prophylaxis was not assigned at random: a description, and no effect.

# %%
cox = fs.survival.transition_cox(
    data,
    "C(match, Treatment('no gender mismatch')) + C(proph, Treatment('no'))"
    " + C(year, Treatment('1985-1989')) + C(agecl, Treatment('<=20'))",
    frame=ebmt.frame,
)
profiles = pd.DataFrame(
    {
        "match": "no gender mismatch",
        "proph": ["no", "yes", "no", "yes"],
        "year": "1995-1998",
        "agecl": ["<=20", "<=20", ">40", ">40"],
    },
    index=["20 and under", "20 and under, prophylaxis", "over 40", "over 40, prophylaxis"],
)
predicted = cox.predict(profiles, start="transplant", horizon=60 * 30.4375)
predicted.at([365, 1826]).query("to_state in ['relapse', 'death']")[
    ["group", "to_state", "time", "probability", "lower", "upper"]
].round(3)

# %% [markdown]
# ## What cannot be optimised here, and what could
#
# - **Not the course after the transplant.** No treatment given after it is recorded. A `SequenceModel` needs
#   actions; recovery and adverse events are none. What is shown above is the value of a course that happens.
# - **Not prophylaxis.** It is the one decision in the data, taken once, before the course. One choice is no
#   sequence; its effect is a question for `fs.compare.weights` and `fs.compare.effect`, and the three
#   covariates recorded do not remove confounding by the reasons for it.
# - **What would make it a decision problem:** treatment of each adverse event and of relapse, with dates. The
#   treatment would be the regimen; state and time since the transplant would go into the group, by
#   `group_updates`, as early relapse does in the myeloma formulary.
# - **What contradicts the model** stands above: at day 100 the path does not show (the landmark estimates differ
#   from the Markov ones by less than half a standard error), but kernels that restart the clock in each state
#   lose the time since the transplant. The mean over all patients hardly feels it, since what was observed is
#   averaged again; a policy that acts on single states might.
