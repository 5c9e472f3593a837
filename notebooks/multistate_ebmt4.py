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
# # After a transplant: a model of six states
#
# 2,279 patients of the EBMT registry. From the transplant (Tx) on they recover (Rec), have an adverse event
# (AE) or both, relapse (Rel) or die. How likely is each state over time, how long is spent in it, does the
# past matter beyond the present state, and what does age change? Nothing is defined here; every step is a
# call. The data were simplified for illustration by those who published them: the numbers show a method, not
# what happens to patients today.

# %%
import pandas as pd

import fiac_survival as fs

ebmt = fs.datasets.load("ebmt4")
print(ebmt.card.title, ebmt.frame.shape)
for caveat in ebmt.card.caveats:
    print("-", caveat)

# %% [markdown]
# ## From one row per patient to stays in states
#
# Each state has a time and a status. The structure says where each state leads; relapse and death end the
# path.

# %%
data = fs.survival.TransitionData.from_wide(
    ebmt.frame,
    person="id",
    states={
        "Tx": None,
        "Rec": ("rec", "rec.s"),
        "AE": ("ae", "ae.s"),
        "Rec+AE": ("recae", "recae.s"),
        "Rel": ("rel", "rel.s"),
        "Death": ("srv", "srv.s"),
    },
    transitions={
        "Tx": ["Rec", "AE", "Rel", "Death"],
        "Rec": ["Rec+AE", "Rel", "Death"],
        "AE": ["Rec+AE", "Rel", "Death"],
        "Rec+AE": ["Rel", "Death"],
    },
)
data.events()

# %% [markdown]
# ## Where patients are
#
# State occupation needs no Markov property. Standard errors by the infinitesimal jackknife, patient by
# patient.

# %%
occupation = fs.survival.state_occupation(data)
at = occupation.at([30, 100, 365, 1826])
at.pivot_table(index="time", columns="to_state", values="probability", sort=False).round(3)

# %%
at.query("to_state == 'Death'")[["time", "probability", "std_error", "lower", "upper"]].round(3)

# %% [markdown]
# ## Days spent in each state, of the first five years

# %%
occupation.length_of_stay(1826)[["state", "stay", "std_error", "lower", "upper"]].round(1)

# %% [markdown]
# The same by prophylaxis against graft-versus-host disease: a description, since prophylaxis was not
# assigned at random.

# %%
by_prophylaxis = fs.survival.state_occupation(data, group=ebmt.frame["proph"])
by_prophylaxis.length_of_stay(1826).pivot_table(
    index="state", columns="group", values="stay", sort=False
).round(1)

# %% [markdown]
# ## Does the past matter? Landmark at day 100
#
# The Aalen-Johansen estimator takes all who are in a state at any later time as exchangeable. The landmark
# estimator follows only those who are in it at day 100. If the process is Markov both estimate the same.

# %%
starts = ["Tx", "Rec", "AE", "Rec+AE"]
markov = fs.survival.transition_probabilities(data, start=starts, from_time=100)
landmark = fs.survival.transition_probabilities(data, start=starts, from_time=100, landmark=True)
both = markov.at([365, 1826]).merge(
    landmark.at([365, 1826]),
    on=["from_state", "to_state", "time"],
    suffixes=("_markov", "_landmark"),
)
both["difference"] = both["probability_landmark"] - both["probability_markov"]
columns = ["from_state", "time", "probability_markov", "difference", "std_error_landmark"]
both.query("to_state == 'Death'")[columns].round(3)

# %% [markdown]
# The largest difference of all states, in standard errors of the landmark estimate. It is no test, since both
# estimates stand on the same patients; a difference well above 1 would be a warning.

# %%
held = both.query("std_error_landmark > 0")
(held["difference"].abs() / held["std_error_landmark"]).max().round(2)

# %% [markdown]
# ## A Cox model for each transition

# %%
covariates = (
    "C(match, Treatment('no gender mismatch')) + C(proph, Treatment('no'))"
    " + C(year, Treatment('1985-1989')) + C(agecl, Treatment('<=20'))"
)
model = fs.survival.transition_cox(data, covariates, frame=ebmt.frame)
model.tests.round(4)

# %% [markdown]
# Age over 40 against 20 and under, on each transition:

# %%
older = model.table[model.table["term"].str.contains(">40", regex=False)]
older[["from_state", "to_state", "hazard_ratio", "lower", "upper", "p_value"]].round(3)

# %% [markdown]
# ## Two profiles
#
# The same recent transplant at two ages. Standard errors carry the uncertainty of the baseline hazards and
# that of the coefficients, through all times.

# %%
profiles = pd.DataFrame(
    {
        "match": "no gender mismatch",
        "proph": "no",
        "year": "1995-1998",
        "agecl": ["<=20", ">40"],
    },
    index=["20 and under", "over 40"],
)
predicted = model.predict(profiles, start="Tx", horizon=1826)
predicted.at([100, 365, 1826]).query("to_state in ['Rel', 'Death']")[
    ["group", "to_state", "time", "probability", "std_error", "lower", "upper"]
].round(3)

# %%
predicted.length_of_stay(1826).pivot_table(
    index="state", columns="group", values="stay", sort=False
).round(1)
