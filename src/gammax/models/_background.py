"""What is counted besides sources: the instrument's background, templates of counts, isotropic emission."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from astropy.units import Quantity

from gammax._paths import file_fault, resolve_path
from gammax.errors import FileFormatError, ModelError
from gammax.maps import WcsGeom, WcsNDMap
from gammax.models._point import ConstantSpatialModel
from gammax.models._power_laws import PowerLawNormSpectralModel
from gammax.models._sky_model import Component, SkyModel, dataset_names
from gammax.models._spatial import SpatialModel
from gammax.models._spectral import SpectralModel
from gammax.models._template_spectral import TemplateSpectralModel


def _norm_model(spectral_model: SpectralModel | None, name: str) -> SpectralModel:
    model = PowerLawNormSpectralModel() if spectral_model is None else spectral_model
    if not isinstance(model, SpectralModel) or model.unit:
        raise ModelError("GX-MODEL-061", "a factor is needed", found=type(model).__name__, model=name)
    return model


class FoVBackgroundModel(Component):
    """Factor on the background of one dataset: a norm model of the reconstructed energy.

    Parameters
    ----------
    dataset_name : the dataset whose background it scales.
    spectral_model : a norm model; `PowerLawNormSpectralModel` by default.
    spatial_model : its values, without unit, are a factor too; none by default.
    name : ``<dataset_name>-bkg`` by default.

    Raises
    ------
    ModelError : the spectral model is no factor.
    """

    tag: ClassVar = ("fov-bkg",)

    spectral_model: SpectralModel
    spatial_model: SpatialModel | None
    name: str = eqx.field(static=True)
    dataset_name: str = eqx.field(static=True)

    def __init__(
        self,
        dataset_name: str,
        spectral_model: SpectralModel | None = None,
        spatial_model: SpatialModel | None = None,
        name: str | None = None,
    ):
        self.dataset_name, self.name = str(dataset_name), name or f"{dataset_name}-bkg"
        self.spectral_model, self.spatial_model = _norm_model(spectral_model, self.name), spatial_model

    @property
    def datasets_names(self) -> tuple[str, ...]:
        """Name of the dataset, in a tuple."""
        return (self.dataset_name,)

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("dataset_name", "spectral_model", "spatial_model", "name")}

    def evaluate_geom(self, geom: WcsGeom) -> np.ndarray:
        """Factor on every bin of a geometry with axis ``energy``, (energy, 1, 1) or (energy, ny, nx)."""
        return _factor(self, geom)


class TemplateNPredModel(Component):
    """Predicted counts given as a map, times a norm model of the reconstructed energy; no response applies.

    Parameters
    ----------
    map : counts over the pixels and the axis ``energy`` of the dataset.
    spectral_model : a norm model; `PowerLawNormSpectralModel` by default.
    name : how tables and files call it.
    filename : the file that YAML names.
    datasets_names : the dataset it is added to.
    spatial_model : its values, without unit, are a factor too; none by default.

    Raises
    ------
    ModelError : no axis ``energy``, the spectral model is no factor, more than one dataset.
    """

    tag: ClassVar = ("TemplateNPredModel",)

    spectral_model: SpectralModel
    spatial_model: SpatialModel | None
    name: str = eqx.field(static=True)
    datasets_names: tuple[str, ...] | None = eqx.field(static=True)
    map: WcsNDMap = eqx.field(static=True)
    filename: str | None = eqx.field(static=True)

    def __init__(
        self,
        map: WcsNDMap,
        spectral_model: SpectralModel | None = None,
        name: str = "npred",
        filename: str | Path | None = None,
        datasets_names: str | Sequence[str] | None = None,
        spatial_model: SpatialModel | None = None,
    ):
        self.name, self.map = name, map
        self.filename = None if filename is None else str(filename)
        self.spectral_model, self.spatial_model = _norm_model(spectral_model, name), spatial_model
        self.datasets_names = dataset_names(datasets_names)
        if list(map.geom.axes.names) != ["energy"] or map.geom.axes["energy"].node_type != "edges":
            raise ModelError("GX-MODEL-062", "counts need bins along the axis energy", found=repr(map.geom), model=name)
        if self.datasets_names is not None and len(self.datasets_names) != 1:
            raise ModelError(
                "GX-MODEL-063", "a template of counts is for one dataset", found=datasets_names, model=name
            )

    def _fields(self) -> dict[str, Any]:
        names = ("map", "spectral_model", "name", "filename", "datasets_names", "spatial_model")
        return {name: getattr(self, name) for name in names}

    def evaluate(self) -> WcsNDMap:
        """Predicted counts."""
        return self.map.replace(data=self.map.data * _factor(self, self.map.geom))

    def write(self, overwrite: bool = False) -> Path:
        """Write the map to `filename`.

        Raises
        ------
        ModelError : no filename.
        """
        if self.filename is None:
            raise ModelError("GX-MODEL-046", "the template has no filename", do="TemplateNPredModel(..., filename=...)")
        return self.map.write(resolve_path(self.filename), overwrite=overwrite)


def _factor(model: FoVBackgroundModel | TemplateNPredModel, geom: WcsGeom) -> np.ndarray:
    factor = model.spectral_model(geom.axes["energy"].center).value[:, None, None]
    if model.spatial_model is None:
        return factor
    return factor * model.spatial_model.evaluate_geom(geom.to_image()).value


def create_fermi_isotropic_diffuse_model(
    filename: str | Path, datasets_names: str | Sequence[str] | None = None
) -> SkyModel:
    """Isotropic emission of a Fermi-LAT text file (energy [MeV], flux [MeV-1 s-1 cm-2 sr-1]), times a norm.

    Neither PSF nor energy dispersion applies to it.

    Raises
    ------
    FileFormatError : no file, or not two columns of numbers.
    """
    path = resolve_path(filename)
    if fault := file_fault(path):
        raise FileFormatError("GX-MODEL-064", f"cannot read the isotropic model: {fault}", file=path)
    try:
        energy, flux = np.loadtxt(path, ndmin=2)[:, :2].T
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise FileFormatError("GX-MODEL-065", f"not a table of energies and fluxes: {error}", file=path) from error
    names = dataset_names(datasets_names)
    spectrum = TemplateSpectralModel(Quantity(energy, "MeV"), Quantity(flux, "MeV-1 s-1 cm-2"))
    return SkyModel(
        spectrum * PowerLawNormSpectralModel(),
        name=f"isotropic_{names[0]}" if names is not None and len(names) == 1 else "fermi-diffuse-iso",
        datasets_names=names,
        spatial_model=ConstantSpatialModel(),
        apply_irf={"psf": False, "edisp": False},
    )
