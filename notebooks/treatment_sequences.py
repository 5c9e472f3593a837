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
# # Which treatment first? From lines of therapy to a sequence, and back to the patients
#
# **Simulated data.** 5,000 patients of an invented disease. The frail are given the gentle regimen more often
# and die earlier: who compares what was given without asking to whom, is misled. The truth is known, so every
# step can be checked against it. Research use, not medical advice.

# %%
import numpy as np
import pandas as pd

import fiac_survival as fs

lines, formulary = fs.sequence.examples.cohort(5_000, seed=1)
lines.head(6)

# %%
lines.groupby(["line", "regimen"])["frail"].agg(["size", "mean"]).round(2)

# %% [markdown]
# ## Pathways as observed

# %%
months = lines.assign(end=lines.groupby("person")["ttnt"].cumsum())
months = months.assign(start=months["end"] - months["ttnt"])
flows = fs.report.pathway_flows({"observed": lines})
figure = fs.report.alluvial_figure(flows, title="Lines of therapy (simulated)")
fs.report.mark_simulated(figure, simulated=True)
figure

# %%
figure = fs.report.sequence_index_figure(
    months, title="One bar a patient (simulated)", most_patients=200, seed=1
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %% [markdown]
# ## Kernels: how long each line lasts, and how it ends
#
# Moving on and death are competing hazards in each month. Frailty confounds: lines are weighted by the
# probability of the regimen given the state over that given the state and frailty.

# %%
kernels = fs.sequence.estimate_kernels(
    lines, formulary, confounders=["frail"], unit="steps", simulated=True
)
crude = fs.sequence.estimate_kernels(lines, formulary, unit="steps", simulated=True)
kernels.table[["line", "regimen", "group", "overlap", "patients", "ess", "next", "death"]].head(12)

# %% [markdown]
# What the data do not support cannot be recommended; the list of what is left out comes with it.

# %%
supported, excluded = kernels.supported(min_ess=100)
excluded[["line", "regimen", "group", "overlap", "ess", "reason"]]

# %% [markdown]
# Is the state sufficient (does the length of the line before still matter)? Do predictions agree with what
# was observed?

# %%
kernels.markov_check().round(3)

# %%
figure = fs.report.calibration_figure(
    crude.calibration(), title="Observed and predicted (simulated)", tick=12
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %% [markdown]
# ## The optimum, and the proof that it is one

# %%
model = kernels.model()
solution = model.solve()
best = model.best_sequences(5, "standard risk", solution=solution)
print(best.certificate)
best.table.round(2)

# %%
figure = fs.report.policy_map_figure(
    solution.map(), title="Policy in the estimated model (simulated)", group="standard risk"
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %% [markdown]
# The naive analysis recommends another sequence. In the true model it costs months.

# %%
truth = fs.sequence.examples.cohort_truth()
naive = crude.model().best_sequences(1, "standard risk").sequences[0]
weighted = best.sequences[0]
pd.DataFrame(
    {
        "analysis": ["naive", "weighted", "truth"],
        "recommends": [" → ".join(s) for s in (naive, weighted)]
        + [" → ".join(truth.best_sequences(1, "standard risk").sequences[0])],
        "true months": [truth.value_of(s, "standard risk") for s in (naive, weighted)]
        + [truth.solve().value("standard risk")],
    }
).round(2)

# %% [markdown]
# ## How sure is it?

# %%
draws = kernels.draws(200, seed=1)
sure = fs.sequence.uncertainty(draws, group="standard risk")
print(f"value of perfect information: {sure.evpi:.3f} months (MC error {sure.evpi_error:.3f})")
sure.table.round(3)

# %%
figure = fs.report.probability_best_figure(
    sure.probabilities, title="Probability of being best (simulated)"
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %%
figure = fs.report.regret_figure(sure.regret, title="Months lost if it is not (simulated)")
fs.report.mark_simulated(figure, simulated=True)
figure

# %%
fs.sequence.robust_policy(model, fs.sequence.l1_radius(draws)).table.round(2)

# %% [markdown]
# ## Would it have worked in these patients?
#
# Three estimators on the observed patients. The intervals are for a policy that was specified beforehand; for
# one that was chosen on the same data, the choice is made on some patients and reported on others.

# %%
evaluation = fs.sequence.evaluate(
    lines,
    {"gentle, then strong": ("gentle", "strong"), "strong twice": ("strong", "strong")},
    formulary=formulary,
    confounders=["frail"],
    unit="steps",
    simulated=True,
)
evaluation.table.round(2)

# %%
evaluation.support.round(3)

# %%
evaluation.contrast("gentle, then strong", "observed care").round(3)

# %%
report = fs.sequence.split_report(
    lines, formulary, confounders=["frail"], unit="steps", repeats=3, simulated=True
)
report.table.round(2)

# %% [markdown]
# ## Saying it

# %%
fs.sequence.recommend(solution, "high risk", draws=draws, estimate=kernels).text

# %%
tree = fs.sequence.policy_tree(solution, leaves=4)
print(f"the tree loses {tree.loss:.3f} of {tree.optimal:.2f} months")
figure = fs.report.policy_tree_figure(tree.table, title="The policy as a tree (simulated)")
fs.report.mark_simulated(figure, simulated=True)
figure

# %%
occupied = pd.concat(
    fs.sequence.occupation(model, list(sequence), "standard risk").assign(policy=name)
    for name, sequence in {"optimal": weighted, "naive": naive}.items()
)
figure = fs.report.state_occupation_figure(
    occupied, title="Where patients are (simulated)", tick=12
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %% [markdown]
# ## What it costs
#
# The prices are invented. Strong regimens are given for twelve months, and are free of treatment after.

# %%
frontier = model.frontier(mix={"standard risk": 1.0})
pareto = model.pareto("standard risk")
figure = fs.report.value_against_budget_figure(
    fs.report.budget_table(frontier, pareto),
    title="Months against money (simulated)",
    value_label="months within 48",
    cost_label="cost, invented units",
)
fs.report.mark_simulated(figure, simulated=True)
figure

# %%
run = model.simulate(solution, 20_000, seed=1, group="standard risk")
error = run.months.mean() - solution.value("standard risk")
print(f"microsimulation - solver: {error:+.3f}, Monte Carlo error {run.table['std_error'][0]:.3f}")
np.isfinite(error)
