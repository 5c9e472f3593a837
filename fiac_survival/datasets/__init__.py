"""Real, public data that the studies run on, one card each."""

from fiac_survival.datasets.shipped import Card, Dataset, load, names

__all__ = ["Card", "Dataset", "load", "names"]
