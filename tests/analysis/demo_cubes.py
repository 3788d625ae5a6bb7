"""The demo as cubes of few bins."""

from gammax.analysis import AnalysisConfig
from gammax.analysis._demo import prepare_demo

CENTER = {"frame": "icrs", "lon": "83.63 deg", "lat": "22.01 deg"}
CUBE = {
    "observations": {"required_irf": ["aeff", "edisp", "psf", "bkg"]},
    "datasets": {
        "type": "3d",
        "geom": {
            "wcs": {
                "skydir": CENTER,
                "binsize": "0.1 deg",
                "width": {"width": "2 deg", "height": "1.6 deg"},
                "binsize_irf": "0.4 deg",
            },
            "selection": {"offset_max": "1.5 deg"},
            "axes": {
                "energy": {"min": "0.5 TeV", "max": "20 TeV", "nbins": 4},
                "energy_true": {"min": "0.2 TeV", "max": "50 TeV", "nbins": 12},
            },
        },
        "background": {"method": "fov_background", "exclusion": "exclusion.fits.gz"},
    },
    "fit": {"fit_range": {"min": None, "max": None}},
}


def cube_config(folder):
    """Configuration on the demo's event files, which it copies."""
    folder, _ = prepare_demo(folder)
    return AnalysisConfig.read(folder / "config.yaml").update(CUBE)
