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
# # Myeloma: what the study found
#
# **Simulated data.** The study `myeloma_sequences` goes from claims of 15,000 simulated patients to the sequence
# that prolongs life. This notebook reads what it published. Research use, not medical advice.

# %%
from pathlib import Path

import fiac_survival as fs

root = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "studies").is_dir())
study = fs.study.load("myeloma_sequences", project=root)
results = root / study.layout().results
print(study.protocol.question)

# %% [markdown]
# ## Who is misled, and by how much
#
# Months of life within 84 that the policy of each analysis would really give, averaged over the patients.

# %%
realised = fs.core.released.read_table(results / "realised.csv")
realised[realised["profile"] == "all"].round(2)

# %%
fs.report.mark_simulated(
    fs.report.gain_waterfall_figure(
        fs.core.released.read_table(root / study.layout().figures / "gain.csv"),
        title="What each analysis would really give",
    ),
    simulated=True,
)

# %% [markdown]
# ## What is recommended, and how sure it is

# %%
fs.core.released.read_table(results / "decision.csv").round(2)

# %%
fs.report.mark_simulated(
    fs.report.sequence_values_figure(
        fs.core.released.read_table(root / study.layout().figures / "top_sequences.csv"),
        title="The two best sequences of each profile",
    ),
    simulated=True,
)

# %% [markdown]
# ## What moves it
#
# Never giving an anti-CD38 antibody twice and ignoring severity cost most; cutting lines by gaps breaks a
# transplant's maintenance off line 1. The second table has the sequences that a choice changes.

# %%
fs.core.released.read_table(results / "sensitivity.csv").round(2)

# %%
fs.core.released.read_table(results / "sensitivity_changed.csv").round(2)

# %% [markdown]
# ## What an honest report says
#
# Chosen on half of the patients, valued on the other half.

# %%
fs.core.released.read_table(results / "split_report.csv").round(1)

# %% [markdown]
# The page `results/explore.html` lets you choose a profile and what was given. Are the published files those
# that the study made?

# %%
study.verify().status
