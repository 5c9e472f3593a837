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
# # A trial and a registry, step by step
#
# The study `trial_vs_registry` in short: hormone therapy and recurrence-free survival in node-positive
# breast cancer, in the GBSG trial and in the Rotterdam tumour bank. Nothing is defined here; every step is
# a call.

# %%
import numpy as np

import fiac_survival as fs

gbsg = fs.datasets.load("gbsg")
rotterdam = fs.datasets.load("rotterdam")
print(gbsg.card.title, gbsg.frame.shape)
print(rotterdam.card.title, rotterdam.frame.shape)
for caveat in rotterdam.card.caveats:
    print("-", caveat)

# %% [markdown]
# ## Outcomes
#
# Months, and in the registry the conservative rule: a death after the end of recurrence follow-up is
# censored when that follow-up ended.

# %%
trial = gbsg.frame
y_trial = fs.Outcome(trial["rfstime"] / 30.4375, trial["status"])

registry = rotterdam.frame.query("nodes > 0")
recurred, died = registry["recur"] == 1, registry["death"] == 1
late = ~recurred & died & (registry["rtime"] < registry["dtime"])
y_registry = fs.Outcome(
    np.where(recurred | late, registry["rtime"], registry["dtime"]) / 30.4375,
    (recurred | died) & ~late,
)
print(y_trial)
print(y_registry)

# %% [markdown]
# ## Curves as they are

# %%
curve = fs.survival.kaplan_meier(y_trial, group=trial["hormon"])
curve.quantile(0.5)

# %%
fs.survival.milestone(y_registry, times=[36, 60], group=registry["hormon"]).table

# %% [markdown]
# ## Weights and balance in the registry

# %%
covariates = "age + meno + C(size) + grade + nodes + np.log(pgr + 1) + np.log(er + 1)"
weights = fs.compare.weights(covariates, registry["hormon"], data=registry, stabilised=True)
weights

# %%
balance = fs.compare.balance(covariates, registry["hormon"], data=registry, weights=weights)
balance.table[["covariate", "smd_before", "smd_after"]].round(3)

# %%
balance.gates

# %% [markdown]
# ## The same estimand in both

# %%
effect_trial = fs.compare.effect(y_trial, trial["hormon"], measure="rmst", tau=60)
effect_registry = fs.compare.effect(
    y_registry, registry["hormon"], measure="rmst", tau=60, weights=weights
)
effect_trial.table[["estimate", "lower", "upper"]].round(2)

# %%
effect_registry.table[["estimate", "lower", "upper", "weight_variance"]].round(2)

# %% [markdown]
# ## Do they agree?
#
# Not significantly different is not the same as agreeing: equivalence has to be shown.

# %%
agreement = fs.compare.agreement(effect_trial, effect_registry, margin=3.0)
agreement.verdicts

# %% [markdown]
# The whole study, with every method, figures and record: `fiac run trial_vs_registry`.
