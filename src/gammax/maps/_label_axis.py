"""Axis whose bins have names: datasets, event types."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gammax.errors import GeometryError
from gammax.maps._fixed_bins import FixedBins


@dataclass(frozen=True, eq=False)
class LabelMapAxis(FixedBins):
    """Axis of labels.

    Parameters
    ----------
    labels : one text for each bin, each once.
    name : name, by which maps look the axis up.

    Raises
    ------
    GeometryError : no label, or one that is there twice.
    """

    labels: Any
    name: str = ""

    node_type = "label"
    unit = ""
    interp = "lin"

    def __post_init__(self):
        labels = np.atleast_1d(np.asarray(self.labels)).astype(str)
        if labels.ndim != 1 or not len(labels) or len(np.unique(labels)) < len(labels):
            raise GeometryError(
                "GX-MAPS-196", "labels must be different texts, at least one", axis=self.name, found=labels.tolist()
            )
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)

    @classmethod
    def from_stack(cls, axes: Sequence[LabelMapAxis]) -> LabelMapAxis:
        """Axis of the labels of several.

        Raises
        ------
        GeometryError : two axes have a label in common.
        """
        return cls(np.concatenate([axis.labels for axis in axes]), axes[0].name)

    @property
    def nbin(self) -> int:
        """Number of labels."""
        return len(self.labels)

    @property
    def center(self) -> np.ndarray:
        """Labels."""
        return self.labels

    @property
    def bin_width(self) -> np.ndarray:
        """One for each label."""
        return np.ones(self.nbin)

    def coord_to_idx(self, coord: Any, clip: bool = False) -> np.ndarray:
        """Bin numbers of labels, -1 for those that are not there."""
        found = np.asarray(coord).astype(str)[..., np.newaxis] == self.labels
        return np.where(found.any(axis=-1), np.argmax(found, axis=-1), -1)

    def coord_to_pix(self, coord: Any) -> np.ndarray:
        """Bin numbers of labels as float, NaN for those that are not there."""
        idx = self.coord_to_idx(coord)
        return np.where(idx < 0, np.nan, idx)

    def pix_to_coord(self, pix: Any) -> np.ndarray:
        """Labels of the bins that hold some pixel numbers.

        Raises
        ------
        GeometryError : a number outside of the axis.
        """
        idx = np.floor(np.asarray(pix, float) + 0.5)
        if not np.all((idx >= 0) & (idx < self.nbin)):
            raise GeometryError("GX-MAPS-197", f"axis {self.name!r} has no such bin", found=pix, expected=self.nbin)
        return self.labels[idx.astype(int)]

    def slice(self, idx: slice) -> LabelMapAxis:
        """Axis of a range of bins."""
        return replace(self, labels=self.labels[idx])

    def squash(self) -> LabelMapAxis:
        """Axis of one bin, labelled "first...last"."""
        return replace(self, labels=[f"{self.labels[0]}...{self.labels[-1]}"])

    def rename(self, name: str) -> LabelMapAxis:
        """Axis under another name."""
        return replace(self, name=name)

    def is_allclose(self, other: Any, rtol: float = 0.0) -> bool:
        """Whether both axes have the same name and labels."""
        return isinstance(other, LabelMapAxis) and not self.difference(other)

    def difference(self, other: LabelMapAxis, rtol: float = 0.0) -> str:
        """First difference in words, "" where there is none."""
        if self.name != other.name:
            return f"name {self.name!r} against {other.name!r}"
        if not np.array_equal(self.labels, other.labels):
            return f"labels {', '.join(self.labels)} against {', '.join(other.labels)}"
        return ""

    def __repr__(self) -> str:
        return f"LabelMapAxis({self.name!r}, {', '.join(self.labels)})"
