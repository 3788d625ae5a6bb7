"""Axes, geometries and maps: numbers with a place in energy and on the sky."""

from gammax.maps._axis import MapAxis as MapAxis
from gammax.maps._axes import MapAxes as MapAxes
from gammax.maps._region_geom import RegionGeom as RegionGeom
from gammax.maps._region_map import RegionNDMap as RegionNDMap
from gammax.maps._columns import column_units as column_units
from gammax.maps._energy_table import axis_from_bins as axis_from_bins
from gammax.maps._energy_table import ebounds_hdu as ebounds_hdu
from gammax.maps._energy_table import energy_columns as energy_columns
from gammax.maps._energy_table import read_energy_axis as read_energy_axis
from gammax.maps._plot import format_axis as format_axis
from gammax.maps._plot import get_axes as get_axes
