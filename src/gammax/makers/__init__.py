"""Makers: from observations to datasets."""

from gammax.makers._datasets_maker import DatasetsMaker as DatasetsMaker
from gammax.makers._datasets_maker import Reduction as Reduction
from gammax.makers._fov_background import FoVBackgroundMaker as FoVBackgroundMaker
from gammax.makers._map import MapDatasetMaker as MapDatasetMaker
from gammax.makers._reflected_background import ReflectedRegionsBackgroundMaker as ReflectedRegionsBackgroundMaker
from gammax.makers._reflected_regions import ReflectedRegionsFinder as ReflectedRegionsFinder
from gammax.makers._reflected_regions import WobbleRegionsFinder as WobbleRegionsFinder
from gammax.makers._ring_background import AdaptiveRingBackgroundMaker as AdaptiveRingBackgroundMaker
from gammax.makers._ring_background import RingBackgroundMaker as RingBackgroundMaker
from gammax.makers._safe_mask import SafeMaskMaker as SafeMaskMaker
from gammax.makers._spectrum import SpectrumDatasetMaker as SpectrumDatasetMaker
