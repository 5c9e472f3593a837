r"""Groups of alike courses: Ward's clusters and medoids, and how good they are.

For distances :math:`d_{ij}` between n rows in k clusters:

- **average silhouette width**: the mean of :math:`(b_i-a_i)/\max(a_i,b_i)`, :math:`a_i` the mean distance
  to the others of the cluster, :math:`b_i` the least mean distance to another cluster; 0 where a cluster
  has one row (Rousseeuw 1987).
- **point biserial correlation** of the distance of a pair with being in different clusters.
- **Hubert's C**: :math:`(S-S_{\min})/(S_{\max}-S_{\min})`, S the sum of the distances within
  clusters, and the sums of as many of the smallest and largest distances; 0 is best.
- **share of discrepancy**: :math:`1-SS_W/SS_T`, :math:`SS_T=\sum_{i<j}d_{ij}/n`, and :math:`SS_W` the
  sum of the same within each cluster (Studer et al. 2011).

Rows with the same sequence are one object that counts as often as it occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.columns import labels as code_labels
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result
from fiac_survival.core.threads import numba_threads, single_threaded_blas
from fiac_survival.kernels.medoids import partition_around_medoids
from fiac_survival.sequence.state_distances import StateDistances

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Clustering = Literal["ward", "pam"]
MOST_EXCHANGES = 10_000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StateClusters(Result):
    """Clusters of sequences.

    Attributes
    ----------
    table : DataFrame
        One row a cluster, the largest first: cluster (from 1), n, share, medoid (a row), states (of the
        medoid), mean_distance (to the medoid), silhouette.
    labels : (n,) int64
        The cluster of each row.
    quality : DataFrame
        One row: n_clusters, average_silhouette_width, point_biserial, hubert_c, share_of_discrepancy.
    method : str
        "ward" or "pam".
    objective : float
        Mean distance of a row to its cluster's medoid.
    heights : (n - 1,) float64 or None
        Heights of Ward's mergers.
    """

    labels: Ints
    quality: pd.DataFrame
    method: str
    objective: float
    heights: Floats | None

    def _title(self) -> str:
        width = self.quality["average_silhouette_width"].iloc[0]
        return f"{len(self.table)} clusters ({self.method}), average silhouette width {width:.3f}"


@single_threaded_blas
def cluster_state_sequences(
    distances: StateDistances, n_clusters: int, *, method: Clustering = "pam"
) -> StateClusters:
    """Group sequences that are alike.

    Parameters
    ----------
    distances : StateDistances
        From :func:`state_sequence_distances`.
    n_clusters : int
        At least 2, at most as many as there are distinct sequences.
    method : {"pam", "ward"}
        Partition around medoids, or Ward's hierarchical clusters cut to the number wanted.

    Returns
    -------
    StateClusters
        ``.table``, ``.labels``, ``.quality``.

    Raises
    ------
    DataError
        If the number of clusters does not fit, or distances were not kept and Ward's method is asked for.

    References
    ----------
    L. Kaufman and P. J. Rousseeuw, Finding groups in data (1990). J. H. Ward, Hierarchical grouping to
    optimize an objective function (1963). M. Studer, WeightedCluster library manual (2013).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> d = fs.sequence.state_sequence_distances(["AAAA", "AAAB", "BBBB", "BBBA"])
    >>> fs.sequence.cluster_state_sequences(d, 2).labels
    array([1, 1, 2, 2])
    """
    require_choice(method, Clustering, "method")
    u = distances.n_distinct
    if not 2 <= n_clusters <= u:
        raise DataError(
            "there must be at least 2 clusters and no more than distinct sequences",
            values={"n_clusters": n_clusters, "distinct sequences": u},
        )
    sequences = distances.problem.sequences
    square = distances.matrix(sequences.first)
    count = sequences.count.astype(np.float64)
    heights, n_iter = None, 0
    match method:
        case "ward":
            from scipy.cluster.hierarchy import cut_tree, linkage

            tree = linkage(distances.condensed, "ward")
            heights = tree[:, 2]
            of_row = np.asarray(cut_tree(tree, n_clusters=[n_clusters])).ravel()
            label = of_row[sequences.first].astype(np.int64)
        case "pam":
            medoid, label = np.zeros(n_clusters, dtype=np.int64), np.zeros(u, dtype=np.int64)
            with numba_threads(distances.threads):
                _, _, n_iter = partition_around_medoids(
                    square, count, medoid, label, MOST_EXCHANGES
                )
        case _:
            assert_never(method)
    size = np.bincount(label, weights=count, minlength=n_clusters)
    rank = np.empty(n_clusters, dtype=np.int64)
    first = np.array([np.flatnonzero(label == c)[0] for c in range(n_clusters)])
    rank[np.lexsort([first, -size])] = np.arange(n_clusters)
    label = rank[label]
    width = _silhouettes(square, count, label)
    table, objective = _table(distances, square, count, label, width)
    return StateClusters(
        table=table,
        converged=n_iter < MOST_EXCHANGES,
        n_iter=n_iter,
        labels=label[sequences.of_row] + 1,
        quality=_quality(square, count, label, width),
        method=method,
        objective=objective,
        heights=heights,
    )


@single_threaded_blas
def discrepancy(distances: StateDistances, groups: Any) -> pd.DataFrame:
    """How much of the unlikeness of sequences lies between groups.

    Parameters
    ----------
    distances : StateDistances
        From :func:`state_sequence_distances`.
    groups : array-like
        A label for each row.

    Returns
    -------
    DataFrame
        One row: between, within, total (sums of squares), share_of_discrepancy, pseudo_f.

    Raises
    ------
    DataError
        If a label is missing or there are not between 2 and n - 1 groups.

    References
    ----------
    M. Studer, G. Ritschard, A. Gabadinho and N. S. Müller, Discrepancy analysis of state sequences,
    Sociological Methods & Research 40 (2011).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> d = fs.sequence.state_sequence_distances(["AAAA", "AAAB", "BBBB", "BBBA"])
    >>> fs.sequence.discrepancy(d, [1, 1, 2, 2])["share_of_discrepancy"].round(3).tolist()
    [0.733]
    """
    code, levels = code_labels(groups, "groups", n=distances.n_rows)
    n, k = distances.n_rows, len(levels)
    if not 2 <= k < n:
        raise DataError(
            "there must be at least 2 groups and fewer than rows", values={"groups": k, "rows": n}
        )
    sequences = distances.problem.sequences
    square = distances.matrix(sequences.first)
    share = np.zeros((sequences.size, k))
    np.add.at(share, (sequences.of_row, code), 1.0)
    size = share.sum(axis=0)
    total = float(share.sum(axis=1) @ square @ share.sum(axis=1)) / (2.0 * n)
    within = float((np.einsum("ig,ig->g", share, square @ share) / (2.0 * size)).sum())
    row = {
        "between": total - within,
        "within": within,
        "total": total,
        "share_of_discrepancy": 1.0 - within / total,
        "pseudo_f": ((total - within) / (k - 1)) / (within / (n - k)),
    }
    return pd.DataFrame([row])


def _sums(square: Floats, count: Floats, label: Ints) -> Floats:
    """Sum of distances of each object to the rows of each cluster."""
    member = np.zeros((label.size, int(label.max()) + 1))
    member[np.arange(label.size), label] = count
    out: Floats = square @ member
    return out


def _silhouettes(square: Floats, count: Floats, label: Ints) -> Floats:
    sums = _sums(square, count, label)
    size = np.bincount(label, weights=count)
    mine = np.arange(label.size)
    inside = sums[mine, label] / np.maximum(size[label] - 1.0, 1.0)
    mean = sums / size
    mean[mine, label] = np.inf
    outside = mean.min(axis=1)
    largest = np.maximum(inside, outside)
    alone = (size[label] == 1.0) | (largest == 0.0)
    return np.where(alone, 0.0, (outside - inside) / np.where(alone, 1.0, largest))


def _table(
    distances: StateDistances, square: Floats, count: Floats, label: Ints, width: Floats
) -> tuple[pd.DataFrame, float]:
    sums = _sums(square, count, label)
    described = distances.table
    rows, objective = [], 0.0
    for c in range(int(label.max()) + 1):
        inside = np.flatnonzero(label == c)
        medoid = int(inside[np.argmin(sums[inside, c])])
        n = float(count[inside].sum())
        objective += float(sums[medoid, c])
        rows.append(
            {
                "cluster": c + 1,
                "n": int(n),
                "share": n / distances.n_rows,
                "medoid": int(described["first_row"].iloc[medoid]),
                "states": described["states"].iloc[medoid],
                "mean_distance": float(sums[medoid, c]) / n,
                "silhouette": float(count[inside] @ width[inside]) / n,
            }
        )
    return pd.DataFrame(rows), objective / distances.n_rows


def _quality(square: Floats, count: Floats, label: Ints, width: Floats) -> pd.DataFrame:
    n = count.sum()
    i, j = np.triu_indices(label.size, 1)
    # Rows of the same sequence are pairs too, at distance 0 and in one cluster.
    distance = np.r_[0.0, square[i, j]]
    weight = np.r_[(count * (count - 1.0)).sum() / 2.0, count[i] * count[j]]
    apart = np.r_[0.0, (label[i] != label[j]).astype(np.float64)]
    sums = _sums(square, count, label)
    size = np.bincount(label, weights=count)
    inner = np.bincount(label, weights=count * sums[np.arange(label.size), label]) / 2.0
    row = {
        "n_clusters": size.size,
        "average_silhouette_width": float(count @ width) / n,
        "point_biserial": _correlation(distance, apart, weight),
        "hubert_c": _hubert_c(distance, apart, weight),
        "share_of_discrepancy": 1.0 - float((inner / size).sum()) / (float(weight @ distance) / n),
    }
    return pd.DataFrame([row])


def _correlation(a: Floats, b: Floats, weight: Floats) -> float:
    total = weight.sum()
    a = a - (weight @ a) / total
    b = b - (weight @ b) / total
    return float((weight * a) @ b / np.sqrt(((weight * a) @ a) * ((weight * b) @ b)))


def _hubert_c(distance: Floats, apart: Floats, weight: Floats) -> float:
    pairs = float(weight @ (1.0 - apart))
    within = float((weight * distance) @ (1.0 - apart))
    order = np.argsort(distance, kind="stable")
    least = _sum_of_first(distance[order], weight[order], pairs)
    most = _sum_of_first(distance[order[::-1]], weight[order[::-1]], pairs)
    return (within - least) / (most - least) if most > least else 0.0


def _sum_of_first(distance: Floats, weight: Floats, pairs: float) -> float:
    """Sum of the first so many distances, the last of them in part."""
    taken = np.clip(pairs - np.r_[0.0, np.cumsum(weight)[:-1]], 0.0, weight)
    return float(taken @ distance)
