"""Either kind of dataset."""

import pytest
from spectra import make_onoff, make_spectrum


@pytest.fixture(params=[make_spectrum, make_onoff], ids=["cash", "wstat"])
def make(request):
    """Maker of either kind of dataset."""
    return request.param
