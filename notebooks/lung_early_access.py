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
# # Forms and claims of the same patients, step by step
#
# The study `lung_early_access` in short, with simulated data: a durvalumab early-access programme and the claims
# of the same patients. Nothing is defined here; every step is a call.

# %%
from pathlib import Path

import numpy as np
import pandas as pd

import fiac_survival as fs
from fiac_survival.core.protocol import read_protocol

found = fs.simulate.lung_early_access(457, seed=20261122)
tables = ["person", "exposure", "event", "linkage_key"]
forms = fs.cohort.from_frames({name: getattr(found.forms, name) for name in tables})
claims = fs.cohort.from_frames({name: getattr(found.claims, name) for name in tables})
found.simulated

# %% [markdown]
# ## Two cohorts, one protocol

# %%
protocol = read_protocol(Path("studies/lung_early_access/study.toml"))
private = fs.cohort.build(forms, protocol, source="early_access")
public = fs.cohort.build(claims, protocol, source="claims")
pd.concat([private.attrition, public.attrition])[["source", "label", "n_after"]]

# %% [markdown]
# ## Linkage without a common identifier

# %%
birth = ["sex", "birth_year", "birth_month"]
passes = [[*birth, "centre", "department"], [*birth, "centre"], [*birth, "department"]]
linkage = fs.cohort.link(forms, claims, passes=passes, method="deterministic")
linkage.table

# %%
truth = found.truth.pairs.dropna(subset=["claims_person"]).drop_duplicates("claims_person")
truth = truth.rename(columns={"form_person": "private", "claims_person": "public"})
linkage.quality(truth.astype({"public": "int64"})).table

# %%
linkage.linked_vs_unlinked(private.table[["person", "age", "sex", "stage", "pdl1"]]).table

# %% [markdown]
# ## The same patients' survival in both sources
#
# Taken for strangers, linked patients have intervals several times too wide.

# %%
columns = ["person", "time", "event"]
linked = linkage.pairs[["private", "public"]]
linked = linked.merge(private.table[columns], left_on="private", right_on="person")
linked = linked.merge(
    public.table[columns], left_on="public", right_on="person", suffixes=("_forms", "_claims")
)
y_forms = fs.Outcome(linked["time_forms"] / 30.4375, linked["event_forms"])
y_claims = fs.Outcome(linked["time_claims"] / 30.4375, linked["event_claims"])
curves = fs.compare.paired_survival(y_forms, y_claims, times=np.arange(0.0, 31.0))
curves.table.loc[[12, 24]].round(4)

# %%
at_24_forms = fs.compare.one_arm(y_forms, measure="milestone", tau=24)
at_24_claims = fs.compare.one_arm(y_claims, measure="milestone", tau=24)
ids = linked["private"]
agreement = fs.compare.agreement(
    at_24_forms, at_24_claims, margin=0.05, patient_private=ids, patient_public=ids
)
agreement.verdicts

# %%
shown = curves.table.assign(
    panel="Overall survival", private_label="Forms", public_label="Claims", margin=0.05
)
figure = fs.report.paired_survival_figure(
    shown, title="The same patients", time_label="months", survival_label="alive", tick=6
)
fs.report.mark_simulated(figure, simulated=True)

# %%
forms.engine.close()
claims.engine.close()

# %% [markdown]
# The whole study, with events, rules of integration, decomposition, bias analysis and figures:
# `fiac run lung_early_access`.
