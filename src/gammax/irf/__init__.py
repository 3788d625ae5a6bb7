"""Instrument responses, reduced to what a dataset needs."""

from gammax.irf._edisp_kernel import EDispKernel as EDispKernel
