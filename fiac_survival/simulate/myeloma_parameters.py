"""Parameters of the simulated myeloma patients. Simulated.

Baselines and the ratio of frailty are fitted to the published pathways and survival (published for age
65 and above: 2.2 for death); ratios of regimens, cytogenetic risk and early relapse are of publications;
severity, overlap and the choice of regimens are assumed.
"""

from __future__ import annotations

# Monthly hazards of the average mix by line: fitted so that the simulated course meets the published one.
NEXT = {"transplant": (0.0330, 0.0170, 0.030, 0.042), "other": (0.0222, 0.0240, 0.030, 0.042)}
DEATH = {"transplant": (0.0014, 0.0045, 0.010, 0.030), "other": (0.0114, 0.0205, 0.009, 0.030)}
AFTER_LAST = 0.055
# Without a transplant few leave line 1 early, and more as it lasts: times ((u - 1/2) / 36 months)^k.
NEXT_SHAPE, SHAPE_MONTHS = 0.25, 36.0
NO_EVENT_MONTHS = 5  # induction and transplant: nobody leaves line 1 before
SHARES = {"transplant": 0.24, "fit": 0.42, "frail": 0.34}
HIGH_RISK = 0.34
SEVERE = 0.40
RATIO = {  # next line, death
    "high risk": (1.7, 1.6),
    "frail": (1.0, 1.85),
    "severe": (1.4, 1.9),
}
EARLY_NEXT, EARLY_DEATH = (4.54, 1.5, 1.5), 1.93
OVERLAP_NEXT, OVERLAP_DEATH = (1.0, 1.25, 1.5), (1.0, 1.1, 1.2)

# Network meta-analysis against the average mix: relapse and mortality (IHME, vivarium_research).
EFFECT_FIRST = {
    "VRd + transplant": (0.724, 1.029),
    "VTd + transplant": (0.724, 1.029),
    "DVTd + transplant": (0.333, 0.473),
    "VMP": (1.204, 0.949),
    "Rd": (1.524, 1.282),
    "VRd": (1.062, 1.034),
    "DRd": (0.808, 0.872),
}
EFFECT_LATER = {
    "Rd": (1.439, 1.196),
    "DRd": (0.489, 0.763),
    "KRd": (0.968, 0.862),
    "Vd": (1.310, 1.336),
    "Kd": (1.310, 1.336),
    "DVd": (0.640, 0.761),
    "IsaKd": (0.640, 0.761),
    "Pd": (1.439, 1.196),
    "IsaPd": (0.489, 0.763),
    "BCMA": (0.800, 0.850),  # assumed: the meta-analysis has none
    "bendamustine": (1.223, 0.936),
}
USE = (
    {
        "VRd + transplant": 0.55,
        "VTd + transplant": 0.29,
        "DVTd + transplant": 0.16,
        "VMP": 0.27,
        "Rd": 0.31,
        "VRd": 0.20,
        "DRd": 0.22,
    },
    {"Rd": 0.22, "DRd": 0.18, "KRd": 0.10, "Vd": 0.12, "Kd": 0.08, "DVd": 0.18, "IsaKd": 0.12},
    {
        "Rd": 0.06,
        "DRd": 0.09,
        "KRd": 0.05,
        "Vd": 0.05,
        "Kd": 0.10,
        "DVd": 0.10,
        "IsaKd": 0.10,
        "Pd": 0.25,
        "IsaPd": 0.15,
        "bendamustine": 0.05,
    },
    {
        "Vd": 0.06,
        "Kd": 0.10,
        "IsaKd": 0.10,
        "Pd": 0.30,
        "IsaPd": 0.15,
        "BCMA": 0.15,
        "bendamustine": 0.14,
    },
)
AVOID_OVERLAP = 0.8
FRAIL_USE = {"Rd": 3.0, "VRd": 0.3}  # in line 1, times as often as in the fit
