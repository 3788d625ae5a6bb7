"""From cubes to regions: spectra of a part of the sky."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax import _regions as sky_regions
from gammax.datasets._map_off import grouped
from gammax.errors import GeometryError, SchemaError
from gammax.irf import EDispKernel
from gammax.maps import RegionGeom, RegionNDMap, WcsNDMap


def to_region_map_dataset(dataset: Any, region: Any, name: str) -> Any:
    """Dataset of one region; parameters and errors as `MapDataset.to_region_map_dataset`."""
    geom, inside = _region(dataset, region)
    changes = _in_region(dataset, geom, inside)
    for field in ("psf", "edisp"):
        if (response := getattr(dataset, field)) is not None:
            changes[field] = response.to_region_nd_map(geom.center_skydir)
    return dataset.replace(name=name, **changes)


def to_spectrum_dataset(dataset: Any, on_region: Any, containment_correction: bool, name: str, keep_psf: bool) -> Any:
    """Spectrum of a region; parameters and errors as `MapDataset.to_spectrum_dataset`."""
    from gammax.datasets._spectrum import SpectrumDataset
    from gammax.datasets._spectrum_onoff import SpectrumDatasetOnOff

    if keep_psf and containment_correction:
        raise SchemaError(
            "GX-DATASETS-265",
            "with a PSF the containment is in the predictions, and the exposure must not have it too",
            dataset=dataset.name,
            do="choose one of containment_correction and keep_psf",
        )
    geom, inside = _region(dataset, on_region)
    # for its error, before anything is computed
    true = dataset.energy_axis_true
    fields = _in_region(dataset, geom, inside)
    if containment_correction:
        exposure = fields["exposure"]
        contained = _containment(dataset, geom.region, true).reshape(exposure.data.shape)
        fields["exposure"] = exposure.replace(data=exposure.data * contained)
    edisp = dataset.edisp
    if edisp is not None:
        kernel: EDispKernel = edisp.get_edisp_kernel(energy_axis=dataset.energy_axis, position=geom.center_skydir)
        fields["edisp"] = kernel
    if keep_psf and dataset.psf is not None:
        fields["psf"] = dataset.psf.to_region_nd_map(geom.center_skydir)
    for field in ("gti", "meta_table", "livetime", "meta"):
        fields[field] = getattr(dataset, field)
    return (SpectrumDatasetOnOff if dataset.stat_type == "wstat" else SpectrumDataset)(name=name, **fields)


def _region(dataset: Any, region: Any) -> tuple[RegionGeom, np.ndarray]:
    """Geometry of a region and its pixels, shape (ny, nx).

    Raises
    ------
    GeometryError : it reaches beyond the image, or holds no pixel.
    """
    if not isinstance(dataset.counts, WcsNDMap):
        raise GeometryError("GX-DATASETS-260", "the dataset is one of a region already", dataset=dataset.name)
    geom = RegionGeom.create(region, dataset.geom.axes, dataset.geom.wcs)
    image = dataset.geom.to_image()
    wider = image.pad(1).region_mask(geom.region).data
    inside = wider[1:-1, 1:-1]
    if wider.sum() > inside.sum() or not inside.any():
        raise GeometryError(
            "GX-DATASETS-261",
            "the region is not inside the image" if inside.any() else "the region holds no pixel of the image",
            dataset=dataset.name,
            found=repr(geom.region),
            expected=repr(image),
        )
    return geom, inside


def _in_region(dataset: Any, geom: RegionGeom, inside: np.ndarray) -> dict[str, Any]:
    """Maps of a dataset in a region: sums of what is counted, means of exposure and acceptance.

    Raises
    ------
    GeometryError : at some energy, the mask holds a part of the region.
    """
    fields: dict[str, Any] = {}
    for field in ("mask_safe", "mask_fit"):
        if (mask := getattr(dataset, field)) is not None:
            fields[field] = RegionNDMap(geom, mask.data[:, inside].any(axis=1))
    held = dataset.mask[:, inside]
    split = held.any(axis=1) & ~held.all(axis=1)
    if split.any():
        k = int(np.argmax(split))
        raise GeometryError(
            "GX-DATASETS-262",
            "the mask holds only a part of the region",
            dataset=dataset.name,
            index=k,
            found=f"{held[k].sum()} of {held.shape[1]} pixels",
            do="choose another region, or cut the mask to whole energies",
        )
    safe = np.ones(dataset.mask.shape, bool) if dataset.mask_safe is None else dataset.mask_safe.data

    def add(values: np.ndarray) -> np.ndarray:
        return values[:, inside].sum(axis=1)

    fields |= grouped(dataset, safe, geom, add)
    number = inside.sum()
    for field in ("acceptance", "acceptance_off"):
        if field in fields:
            fields[field] = fields[field].replace(data=fields[field].data / number)
    if (exposure := dataset.exposure) is not None:
        true = geom.replace_axes(exposure.geom.axes)
        fields["exposure"] = RegionNDMap(true, exposure.data[:, inside].mean(axis=1), exposure.unit, exposure.meta)
    return fields


def _containment(dataset: Any, region: Any, energy_axis_true: Any) -> np.ndarray:
    if not isinstance(region, sky_regions.CircleSkyRegion):
        raise GeometryError("GX-DATASETS-263", "a containment correction needs a circle", found=type(region).__name__)
    if dataset.psf is None:
        raise SchemaError("GX-DATASETS-264", "a containment correction needs a PSF", dataset=dataset.name)
    # the running sum over the rings, as the spectra that are reduced from events have it
    contained = dataset.psf.containment(
        rad=region.radius, energy_true=energy_axis_true.center, position=region.center, method="gammapy"
    )
    return np.asarray(contained, dtype=np.float64)
