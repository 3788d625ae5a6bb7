"""What the cube datasets have in common: counts in (energy, latitude, longitude), exposure, PSF, energy dispersion."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits

from gammax.datasets._check import check_same_axis
from gammax.datasets._dataset import DatasetBase
from gammax.datasets._map_arrays import CubeArrays, cube_arrays
from gammax.datasets._map_check import CubeMap, as_cube, check_cube, check_edisp_map, check_psf, check_same_image
from gammax.datasets._map_plots import CubePlots
from gammax.errors import SchemaError, did_you_mean
from gammax.irf import EDispKernelMap, EDispMap, PSFMap, RecoPSFMap
from gammax.maps import MapAxis, WcsGeom, WcsNDMap

if TYPE_CHECKING:
    from gammax.datasets._base import SpectrumBase


@dataclass(frozen=True, eq=False, repr=False)
class MapBase(CubePlots, DatasetBase):
    """Base of `MapDataset`, where the fields are told, and `MapDatasetOnOff`."""

    counted_fields: ClassVar[tuple[str, ...]]  # the map fields that are no masks

    counts: CubeMap
    exposure: CubeMap | None = None
    _: KW_ONLY
    edisp: EDispKernelMap | EDispMap | None = None
    mask_safe: CubeMap | None = None
    mask_fit: CubeMap | None = None
    psf: PSFMap | RecoPSFMap | None = None

    def _check_parts(self) -> None:
        check_cube(self.counts, "counts", "energy", self.name)
        for part in self.map_fields:
            value = getattr(self, part)
            if value is None and part in self.optional_fields:
                continue
            value = check_cube(value, part, "energy", self.name)
            check_same_axis(value.geom.axes["energy"], self.energy_axis, part, "counts", self.name)
            check_same_image(value, self.counts, part, self.name)
        if self.exposure is not None:
            check_cube(self.exposure, "exposure", "energy_true", self.name)
            check_same_image(self.exposure, self.counts, "exposure", self.name)
        if self.psf is not None:
            check_psf(self.psf, self.name)
        if self.edisp is not None:
            check_edisp_map(self.edisp, self.counts, self.exposure, self.name)

    @property
    def geom(self) -> WcsGeom | Any:
        """Geometry of the counts with the reconstructed energy axis; a RegionGeom in a dataset of one region."""
        return self.counts.geom

    @property
    def energy_axis_true(self) -> MapAxis:
        """True energy axis, T bins.

        Raises
        ------
        SchemaError : the dataset has no exposure.
        """
        if self.exposure is None:
            raise SchemaError("GX-DATASETS-220", "the dataset has no exposure", dataset=self.name)
        return self.exposure.geom.axes["energy_true"]

    @cached_property
    def arrays(self) -> CubeArrays:
        """Plain arrays in canonical units, checked; errors as `CubeArrays` names them."""
        return cube_arrays(self)

    @property
    def mask_image(self) -> CubeMap:
        """Pixels with any energy bin in the mask."""
        return self._image(self.mask)

    @property
    def mask_safe_image(self) -> CubeMap | None:
        """Pixels with any energy bin in mask_safe."""
        return None if self.mask_safe is None else self._image(self.mask_safe.values())

    @property
    def mask_fit_image(self) -> CubeMap | None:
        """Pixels with any energy bin in mask_fit."""
        return None if self.mask_fit is None else self._image(self.mask_fit.values())

    @property
    def energy_range(self) -> tuple[CubeMap, CubeMap]:
        """Images of the lowest and highest energy edge of the mask, NaN where a pixel has no bin in it."""
        return self._energy_range(self.mask)

    @property
    def energy_range_safe(self) -> tuple[CubeMap, CubeMap]:
        """Images of the lowest and highest energy edge of mask_safe."""
        return self.replace(mask_fit=None).energy_range

    @property
    def energy_range_fit(self) -> tuple[CubeMap, CubeMap]:
        """Images of the lowest and highest energy edge of mask_fit."""
        return self.replace(mask_safe=None).energy_range

    def _image(self, values: np.ndarray, unit: str = "") -> CubeMap:
        data = values.any(axis=0) if values.dtype == bool else values
        return type(self.counts)(self.geom.to_image(), data, unit)

    def _energy_range(self, mask: np.ndarray) -> tuple[CubeMap, CubeMap]:
        unit, n, some = self.energy_axis.unit, self.energy_axis.nbin, mask.any(axis=0)
        edges = self.energy_axis.edges_value(unit)
        low = np.where(some, edges[np.argmax(mask, axis=0)], np.nan)
        high = np.where(some, edges[n - np.argmax(mask[::-1], axis=0)], np.nan)
        return self._image(low, unit), self._image(high, unit)

    def slice_by_idx(self, slices: dict[str, slice], name: str | None = None) -> Self:
        """Dataset cut to ranges of bins of the axes "energy", "energy_true", "rad" or "migra".

        Raises
        ------
        GeometryError : no bin left, or no slice. SchemaError : another axis.
        """
        known = ("energy", "energy_true", "rad", "migra")
        for axis in slices:
            if axis not in known:
                raise SchemaError(
                    "GX-DATASETS-221", f"a map dataset has no axis {axis!r}", do=did_you_mean(axis, known)
                )
        changes = {part: _sliced(value, slices) for part, value in self._parts().items()}
        return self.replace(name=name or self.name, **changes)

    def cutout(self, position: SkyCoord, width: Any, mode: str = "trim", name: str | None = None) -> Self:
        """Part of the dataset around a position; parameters and errors as `WcsGeom.cutout`.

        With mode "partial", what lies beyond the image is outside mask_safe. Responses keep three pixels at least.
        """
        from gammax.datasets._map_select import cutout

        return cutout(self, position, width, mode, name or self.name)

    def pad(self, pad_width: int | tuple[int, int], name: str | None = None) -> Self:
        """Dataset with a margin of pixels that are outside mask_safe; the exposure goes on as it is at the border."""
        from gammax.datasets._map_select import pad

        return pad(self, pad_width, name or self.name)

    def downsample(self, factor: int, axis_name: str | None = None, name: str | None = None) -> Self:
        """Dataset with `factor` x `factor` pixels, or `factor` bins of the axis "energy", merged into one.

        Of pixels, the mask of the new one holds it where it holds all: half a pixel cannot be predicted. The exposure
        is averaged, the responses stay what they are. Bins of energy are merged as `resample_energy_axis` does.

        Raises
        ------
        GeometryError : the number of pixels or bins is not a multiple of `factor`. SchemaError : another axis.
        """
        from gammax.datasets._map_select import downsample

        return downsample(self, factor, axis_name, name or self.name)

    def resample_energy_axis(self, energy_axis: MapAxis, name: str | None = None) -> Self:
        """Dataset with bins of reconstructed energy merged; new edges must be edges, what lies outside is left out.

        Counts are summed inside mask_safe, and the energy dispersion carries the mask, so that the prediction of a new
        bin is the sum of those of its masked bins. A bin of which mask_fit holds a part counts that part alone.

        Raises
        ------
        GeometryError : edges that are none of the dataset. SchemaError : the mask differs between bins that are merged
        and there is no energy dispersion to carry it.
        """
        from gammax.datasets._map_energy import resample_energy_axis

        return resample_energy_axis(self, energy_axis, name or self.name)

    def to_image(self, name: str | None = None) -> Self:
        """Dataset with all bins of reconstructed energy merged into one; as `resample_energy_axis`."""
        return self.resample_energy_axis(self.energy_axis.squash(), name)

    def to_masked(self, name: str | None = None) -> Self:
        """Dataset with its masks in its numbers: counts, background and predictions are zero outside.

        The exposure is cut to the pixels that the mask holds in any energy, the energy dispersion to the energies.
        """
        from gammax.datasets._map_mask import masked

        return masked(self, self.mask, name or self.name)

    def stack(self, other: Self, name: str | None = None) -> Self:
        """Dataset for this one and another on the same pixels or part of them; as `gammax.datasets.stack`.

        Nothing is changed where the masks of `other` leave no bin of it.

        Raises
        ------
        SchemaError : another kind. GeometryError : axes or pixels that do not match.
        """
        from gammax.datasets._map_stack import stack_maps

        return stack_maps([self, other], name or self.name)

    def to_region_map_dataset(self, region: Any, name: str | None = None) -> Self:
        """Dataset of one region: counts and background summed inside mask_safe, exposure averaged.

        Responses are those at the centre of the region. Sources are folded into the region itself, not into the pixels
        whose centres it holds: containment, neighbours and sizes as in the cube.

        Parameters
        ----------
        region : `regions` sky region or DS9 string; a point stands for the pixel that holds it, and nothing can be
            predicted for it but the background.

        Raises
        ------
        GeometryError : the region reaches beyond the image, or the mask holds a part of it at some energy.
        """
        from gammax.datasets._map_region import to_region_map_dataset

        return to_region_map_dataset(self, region, name or self.name)

    def to_spectrum_dataset(
        self, on_region: Any, containment_correction: bool = False, name: str | None = None, keep_psf: bool = False
    ) -> SpectrumBase:
        """Spectrum of a region, as `to_region_map_dataset`, with the energy dispersion at its centre.

        Parameters
        ----------
        containment_correction : multiply the exposure by the part of the PSF that falls into the region, a circle.
        keep_psf : hand on the PSF at the centre, with which sources are folded as in a cube.

        Raises
        ------
        GeometryError : as `to_region_map_dataset`, or a correction for another shape. SchemaError : no exposure, or a
        correction without PSF, or both a correction and the PSF.
        """
        from gammax.datasets._map_region import to_spectrum_dataset

        return to_spectrum_dataset(self, on_region, containment_correction, name or self.name, keep_psf)

    def to_hdulist(self) -> fits.HDUList:
        """HDUs of a gadf file."""
        from gammax.datasets._map_gadf import map_hdulist

        return map_hdulist(self)

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList, name: str | None = None) -> Self:
        """Dataset from the HDUs of a gadf file.

        Raises
        ------
        FileFormatError, SchemaError, UnitError, DataValueError, GeometryError : with file and HDU.
        """
        from gammax.datasets._map_gadf import map_fields

        return cls(**map_fields(hdus, name, cls.stat_type == "wstat"))

    @classmethod
    def read(cls, path: str | Path, format: str | None = None, name: str | None = None) -> Self:
        """Read a "gadf" file.

        Raises
        ------
        FileFormatError, SchemaError, UnitError, DataValueError, GeometryError : with file and HDU.
        """
        return super().read(path, format, name)

    def _parts(self) -> dict[str, Any]:
        """Maps and responses that there are."""
        names = (*self.map_fields, "exposure", "psf", "edisp")
        return {part: value for part in names if (value := getattr(self, part)) is not None}

    def _as_map(self, value: Any, name: str) -> CubeMap:
        return as_cube(value, self.counts, name)

    def _predict(self, models: Any, model_names: Any) -> Any:
        from gammax.folding import predict_cube

        return predict_cube(self, models, model_names)

    def __repr__(self) -> str:
        axis, mask = self.energy_axis, self.mask
        low, high = axis.edges_value("TeV")[[0, -1]]
        off = f", {self.counts_off.values()[mask].sum():g} off" if self.stat_type == "wstat" else ""
        ny, nx = self.geom.data_shape[1:]
        image = f"{nx} x {ny} pixels" if isinstance(self.counts, WcsNDMap) else "a region"
        return (
            f"{self.tag}({self.name!r}, {image}, {axis.nbin} bins {low:.3g} to {high:.3g} TeV, "
            f"{mask.sum()} in the mask: {self.counts.values()[mask].sum():g} counts{off})"
        )


def _sliced(value: Any, slices: dict[str, slice]) -> Any:
    """A map or response cut along those of its axes that are named."""
    own = {axis: idx for axis, idx in slices.items() if axis in value.geom.axes}
    return value.slice_by_idx(own) if own else value
