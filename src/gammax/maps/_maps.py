"""Maps of any kind: made and read without saying which, and several of one geometry together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from astropy.io import fits

from gammax._fits import file_of, get_hdu, open_fits, write_fits
from gammax.errors import GeometryError, SchemaError
from gammax.maps._columns import column_units
from gammax.maps._region_geom import RegionGeom
from gammax.maps._region_map import RegionNDMap
from gammax.maps._wcs_gadf import is_map
from gammax.maps._wcs_geom import WcsGeom
from gammax.maps._wcs_map import WcsNDMap

AnyMap = WcsNDMap | RegionNDMap


class Map:
    """Makes and reads maps of the kind that their geometry or file asks for: `WcsNDMap` or `RegionNDMap`."""

    @staticmethod
    def from_geom(geom: WcsGeom | RegionGeom, data: Any = None, unit: str = "", meta: dict | None = None) -> AnyMap:
        """Map over a geometry."""
        kind = RegionNDMap if isinstance(geom, RegionGeom) else WcsNDMap
        return kind(geom, data, unit, meta or {})  # type: ignore[arg-type]

    @staticmethod
    def create(map_type: str = "wcs", **parameters: Any) -> AnyMap:
        """Map over a new geometry; parameters as `WcsNDMap.create` ("wcs") or `RegionNDMap.create` ("region")."""
        if map_type not in ("wcs", "region"):
            raise SchemaError("GX-MAPS-210", f"unknown map type {map_type!r}", expected="wcs or region")
        return RegionNDMap.create(**parameters) if map_type == "region" else WcsNDMap.create(**parameters)

    @staticmethod
    def read(path: str | Path, hdu: str | None = None) -> AnyMap:
        """Map in the HDU `hdu`, by default the first that holds one.

        Raises
        ------
        SchemaError : no map in the file; else as `WcsNDMap.from_hdulist` and `RegionNDMap.from_hdulist`.
        """
        with open_fits(path) as hdus:
            return Map.from_hdulist(hdus, hdu)

    @staticmethod
    def from_hdulist(hdus: fits.HDUList, hdu: str | None = None) -> AnyMap:
        """Map in open HDUs; parameters and errors as `read`."""
        found = [item for item in hdus if _kind(item)] if hdu is None else [get_hdu(hdus, hdu.upper())]
        if not found or _kind(found[0]) is None:
            raise SchemaError(
                "GX-MAPS-211",
                "there is no map" if hdu is None else f"HDU {hdu} is no map",
                file=file_of(hdus),
                found=", ".join(item.name or "(unnamed)" for item in hdus),
            )
        return _kind(found[0]).from_hdulist(hdus, found[0].name)  # type: ignore[union-attr]


def _kind(hdu: Any) -> type[AnyMap] | None:
    """Class of the map that an HDU holds."""
    if is_map(hdu):
        return WcsNDMap
    is_table = isinstance(hdu, fits.BinTableHDU) and {"CHANNEL", "DATA"} <= set(column_units(hdu))
    return RegionNDMap if is_table else None


class Maps(Mapping[str, Any]):
    """Maps of one geometry by their names.

    Raises
    ------
    GeometryError : two of them have different geometries.
    """

    def __init__(self, **maps: AnyMap):
        self._maps = dict(maps)
        first = next(iter(maps.values()), None)
        for name, other in maps.items():
            same_kind = type(other) is type(first)
            difference = first.geom.difference(other.geom) if same_kind else type(other).__name__  # type: ignore
            if difference:
                raise GeometryError("GX-MAPS-212", f"map {name!r} has another geometry", found=difference)

    def __getitem__(self, name: str) -> Any:
        return self._maps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._maps)

    def __len__(self) -> int:
        return len(self._maps)

    @property
    def geom(self) -> WcsGeom | RegionGeom | None:
        """Geometry of all of them; None where there is no map."""
        return next((item.geom for item in self.values()), None)

    @classmethod
    def from_geom(cls, geom: WcsGeom | RegionGeom, names: Iterable[str], units: Iterable[str] | None = None) -> Maps:
        """Maps of zeros."""
        names = list(names)
        units = [""] * len(names) if units is None else units
        return cls(**{name: Map.from_geom(geom, unit=unit) for name, unit in zip(names, units, strict=True)})

    def replace(self, **maps: AnyMap) -> Maps:
        """Maps with some added or exchanged."""
        return Maps(**(self._maps | maps))

    def to_hdulist(self) -> fits.HDUList:
        """HDUs of all maps behind an empty primary one; images share one table of axes, ``BANDS``."""
        hdus = fits.HDUList([fits.PrimaryHDU()])
        for name, item in self.items():
            own = item.to_hdulist(name, hdu_bands="BANDS") if isinstance(item, WcsNDMap) else item.to_hdulist(name)
            hdus.extend(hdu for hdu in own[1:] if hdu.name not in hdus)
        return hdus

    @classmethod
    def from_hdulist(cls, hdus: fits.HDUList) -> Maps:
        """Maps of all HDUs that hold one, by their names in lower case."""
        names = [hdu.name for hdu in hdus if _kind(hdu)]
        return cls(**{name.lower(): Map.from_hdulist(hdus, name) for name in names})

    @classmethod
    def read(cls, path: str | Path) -> Maps:
        """Maps in a file; errors as `Map.read`."""
        with open_fits(path) as hdus:
            return cls.from_hdulist(hdus)

    def write(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write a file."""
        return write_fits(self.to_hdulist(), path, overwrite)

    def __repr__(self) -> str:
        return f"Maps({', '.join(self)}; {self.geom!r})"
