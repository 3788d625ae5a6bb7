"""Pictures of responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gammax.maps._plot import format_axis, get_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gammax.irf._edisp_kernel import EDispKernel


def plot_edisp_matrix(kernel: EDispKernel, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Probability over true (x) and reconstructed (y) energy, small values lifted by a power scale."""
    from matplotlib.colors import PowerNorm

    ax = get_axes(ax)
    true, reco = kernel.axes
    kwargs = {"cmap": "viridis", "norm": PowerNorm(0.5, 0, max(float(kernel.data.max()), 1e-300))} | kwargs
    image = ax.pcolormesh(true.edges_value(true.unit), reco.edges_value(reco.unit), kernel.data.T, **kwargs)
    format_axis(ax, true, "x")
    format_axis(ax, reco, "y")
    ax.figure.colorbar(image, ax=ax, label="Probability")
    return ax


def plot_edisp_bias(kernel: EDispKernel, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Mean of E_reco / E_true - 1 over true energy."""
    ax = get_axes(ax)
    axis = kernel.energy_axis_true
    ax.plot(axis.center_value(axis.unit), kernel.get_bias(axis.center), **kwargs)
    format_axis(ax, axis)
    ax.set_ylabel(r"Bias  $\langle E \rangle / E_\mathrm{true} - 1$")
    return ax
