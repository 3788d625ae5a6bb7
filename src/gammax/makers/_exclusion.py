"""Masks of sources on the pixels of a cube."""

from __future__ import annotations

from typing import Any

import numpy as np

from gammax.errors import DataValueError
from gammax.maps import WcsNDMap


def usable(mask: WcsNDMap | None, geom: Any) -> np.ndarray:
    """Pixels of a geometry at whose centre an exclusion mask is True, shape ``data_shape``; all where there is none.

    An image stands for all energies. What the mask does not cover is not usable.

    Raises
    ------
    DataValueError : the mask is not bool.
    """
    if mask is None:
        return np.ones(geom.data_shape, bool)
    if not mask.is_mask:
        raise DataValueError("GX-MAKERS-086", "the exclusion mask is not bool", do="read it with mask=True, or compare")
    target = geom.to_image() if mask.geom.is_image else geom
    return np.broadcast_to(mask.interp_to_geom(target).data, geom.data_shape)
