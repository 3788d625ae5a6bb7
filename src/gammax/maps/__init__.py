"""Axes, geometries and maps: numbers with a place in energy and on the sky."""

from gammax.maps._axis import MapAxis as MapAxis
from gammax.maps._axes import MapAxes as MapAxes
from gammax.maps._label_axis import LabelMapAxis as LabelMapAxis
from gammax.maps._time_axis import TimeMapAxis as TimeMapAxis
from gammax.maps._region_geom import RegionGeom as RegionGeom
from gammax.maps._region_map import RegionNDMap as RegionNDMap
from gammax.maps._wcs_geom import WcsGeom as WcsGeom
from gammax.maps._wcs_map import WcsNDMap as WcsNDMap
from gammax.maps._maps import Map as Map
from gammax.maps._maps import Maps as Maps
