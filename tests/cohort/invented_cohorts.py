"""Small cohorts made at random: many ties, events on time zero, gaps, people without records."""

from __future__ import annotations

import numpy as np
import pandas as pd

FIRST = np.datetime64("2018-01-01")


def frames(seed: int, n: int = 40) -> dict[str, pd.DataFrame]:
    """Canonical tables of n invented patients within two years."""
    rng = np.random.default_rng(seed)
    end = rng.integers(100, 730, n)
    died = rng.random(n) < 0.4

    def dates(days: np.ndarray) -> np.ndarray:
        return (FIRST + days.astype("timedelta64[D]")).astype("datetime64[s]")

    death = dates(end)
    death[~died] = np.datetime64("NaT")
    late = rng.random(n) < 0.1
    death[late] = dates(end[late] + 20)
    person = pd.DataFrame(
        {
            "person": np.arange(1, n + 1),
            "birth": dates(-rng.integers(15 * 365, 80 * 365, n)),
            "sex": rng.choice(["female", "male"], n),
            "follow_up_end": dates(end),
            "death": death,
        }
    )
    m = 6 * n
    exposure = pd.DataFrame(
        {
            "person": rng.integers(1, n + 1, m),
            "date": dates(rng.integers(0, 60, m) * 12),
            "drug": rng.choice(["lenalidomide", "bortezomib", "daratumumab"], m),
            "kind": "drug",
        }
    )
    exposure["atc"] = exposure["drug"].map(
        {"lenalidomide": "L04AX04", "bortezomib": "L01XG01", "daratumumab": "L01FC01"}
    )
    k = 4 * n
    code = rng.choice(np.array(["C900", "N189", "C340", None], dtype=object), k)
    event = pd.DataFrame(
        {
            "person": rng.integers(1, n + 1, k),
            "date": dates(rng.integers(-20, 60, k) * 12),
            "event": rng.choice(["diagnosis", "progression", "weight"], k),
            "code": code,
            "value": np.where(rng.random(k) < 0.5, rng.integers(40, 99, k).astype(float), np.nan),
        }
    )
    return {"person": person, "exposure": exposure, "event": event}
