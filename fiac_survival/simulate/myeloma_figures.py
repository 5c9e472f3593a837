"""Published figures of myeloma: what the simulation is fitted to, and what is shown beside it."""

from __future__ import annotations

PATHWAYS = "SNDS pathways of patients diagnosed in 2014-15, n=7,118 (OAb016)"
SURVIVAL = "SNDS survival, N=14,309 (Leleu 2023)"
EARLY = "Myeloma XI: first remission under 12 months"
RISK = "published hazard ratios of risk factors (the publication was not kept)"
CHARTS = "French chart review, n=200"
REGISTRY = "PHAROS registry, United States"
CLAIMS = "claims, United States"
REFRACTORY = "LocoMMotion, triple-class exposed"
TRIAL = "trial of DRd against Rd, no transplant"

TARGETS = (
    ("line 1, no transplant: still in line", 0.15, PATHWAYS),
    ("line 1, no transplant: died", 0.31, PATHWAYS),
    ("line 1, no transplant: next line", 0.54, PATHWAYS),
    ("line 1, transplant: still in line", 0.33, PATHWAYS),
    ("line 1, transplant: died", 0.04, PATHWAYS),
    ("line 1, transplant: next line", 0.63, PATHWAYS),
    ("line 2, no transplant: still in line", 0.26, PATHWAYS),
    ("line 2, no transplant: died", 0.29, PATHWAYS),
    ("line 2, no transplant: next line", 0.45, PATHWAYS),
    ("median survival from diagnosis, months", 63.8, SURVIVAL),
    ("dead two years after diagnosis", 0.24, SURVIVAL),
    ("median survival from line 1, months", 61.0, SURVIVAL),
    ("median survival from line 4, months", 14.8, SURVIVAL),
    ("median time to next treatment, VRd in line 1, months", 26.4, SURVIVAL),
    ("median survival, VRd in line 1, months", 61.7, SURVIVAL),
    ("median time to next treatment, Rd in line 1, months", 20.0, SURVIVAL),
    ("median survival, Rd in line 1, months", 39.6, SURVIVAL),
    ("hazard ratio of the third line, early relapse", 4.54, EARLY),
    ("hazard ratio of death, early relapse", 1.93, EARLY),
    ("hazard ratio of the next line, high-risk cytogenetics", 1.7, RISK),
    ("hazard ratio of death, high-risk cytogenetics", 1.6, RISK),
    ("hazard ratio of the next line, renal impairment", 1.4, RISK),
    ("hazard ratio of death, renal impairment", 1.9, RISK),
)
CONTEXT = (
    ("hazard ratio of death, frail (published: age 65 and above)", 2.2, RISK),
    ("one line only, no transplant", 0.57, CLAIMS),
    ("one line only, transplant", 0.21, CLAIMS),
    ("start line 2, of those who start line 1", 0.636, f"{REGISTRY}: 583 of 917"),
    ("start line 3, of those who start line 1", 0.309, f"{REGISTRY}: 283 of 917"),
    ("start line 4, of those who start line 1", 0.152, f"{REGISTRY}: 139 of 917"),
    ("median survival from line 1, months", 37.5, REGISTRY),
    ("median survival from line 2, months", 59.4, CHARTS),
    ("median survival from line 4, months", 9.2, REGISTRY),
    ("median time to next treatment from line 2, months (published: progression)", 21.4, CHARTS),
    ("median survival after three classes, months", 14.7, SURVIVAL),
    ("median survival after three classes, months", 13.8, REFRACTORY),
    ("median time to next treatment, DRd in line 1, months (published: progression)", 61.9, TRIAL),
    ("median time to next treatment, Rd in line 1, months (published: progression)", 34.4, TRIAL),
    ("median survival, DRd in line 1, months", 90.3, TRIAL),
    ("median survival, Rd in line 1, months", 64.1, TRIAL),
)  # fmt: skip
# Where a published median stands in a figure of curves: panel, series, months, kind, source.
BY_LINE, BY_REGIMEN = "by line", "line 1, by regimen"
NEXT, ALIVE = "Time to next treatment", "Survival"
POINTS = (
    (f"{NEXT}, {BY_LINE}", "Line 2", 21.4, "context", CHARTS),
    (f"{ALIVE}, {BY_LINE}", "Line 1", 61.0, "target", SURVIVAL),
    (f"{ALIVE}, {BY_LINE}", "Line 4", 14.8, "target", SURVIVAL),
    (f"{ALIVE}, {BY_LINE}", "Line 1", 37.5, "context", REGISTRY),
    (f"{ALIVE}, {BY_LINE}", "Line 2", 59.4, "context", CHARTS),
    (f"{ALIVE}, {BY_LINE}", "Line 4", 9.2, "context", REGISTRY),
    (f"{NEXT}, {BY_REGIMEN}", "VRd", 26.4, "target", SURVIVAL),
    (f"{NEXT}, {BY_REGIMEN}", "Rd", 20.0, "target", SURVIVAL),
    (f"{NEXT}, {BY_REGIMEN}", "DRd", 61.9, "context", TRIAL),
    (f"{NEXT}, {BY_REGIMEN}", "Rd", 34.4, "context", TRIAL),
    (f"{ALIVE}, {BY_REGIMEN}", "VRd", 61.7, "target", SURVIVAL),
    (f"{ALIVE}, {BY_REGIMEN}", "Rd", 39.6, "target", SURVIVAL),
    (f"{ALIVE}, {BY_REGIMEN}", "DRd", 90.3, "context", TRIAL),
    (f"{ALIVE}, {BY_REGIMEN}", "Rd", 64.1, "context", TRIAL),
)
