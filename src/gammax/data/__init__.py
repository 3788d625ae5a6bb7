"""Observations as telescopes deliver them (DL3): index tables, event lists, good time, pointing."""

from gammax.data._data_store import DataStore as DataStore
from gammax.data._obs_table import ObservationTable as ObservationTable
from gammax.data._hdu_index import HDUIndexTable as HDUIndexTable, HDULocation as HDULocation
from gammax.data._observations import Observations as Observations
from gammax.data._observation import Observation as Observation
from gammax.data._events import EventList as EventList
from gammax.data._gti import GTI as GTI
from gammax.data._pointing import FixedPointingInfo as FixedPointingInfo
from gammax.data._times import TimeReference as TimeReference
