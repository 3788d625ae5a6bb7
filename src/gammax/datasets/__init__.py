"""Datasets: binned data of one or many observations with the responses that predict them. They hold no models."""

from gammax.datasets._protocol import Dataset as Dataset
from gammax.datasets._arrays import SpectrumArrays as SpectrumArrays
from gammax.datasets._spectrum import SpectrumDataset as SpectrumDataset
from gammax.datasets._spectrum_onoff import SpectrumDatasetOnOff as SpectrumDatasetOnOff
from gammax.datasets._map_arrays import CubeArrays as CubeArrays
from gammax.datasets._map_dataset import MapDataset as MapDataset
from gammax.datasets._map_onoff import MapDatasetOnOff as MapDatasetOnOff
from gammax.datasets._stack import stack as stack
from gammax.datasets._datasets import Datasets as Datasets
