"""Simulated observations: events of sources and background, and the demo data set."""

from gammax.simulate._demo_files import copy_demo as copy_demo
from gammax.simulate._demo_files import make_demo as make_demo
from gammax.simulate._sampler import ObservationEventSampler as ObservationEventSampler
