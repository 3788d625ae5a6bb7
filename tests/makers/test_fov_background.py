"""The background scaled to the counts: closed forms, mpmath, and Gammapy 2.1 on a run of H.E.S.S."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from numpy.testing import assert_allclose, assert_array_equal
from regions import CircleSkyRegion
from scipy.optimize import minimize
from small_cube import cube
from small_run import ENERGY, POINTING, SOURCE, TRUE, around

from gammax.data import DataStore
from gammax.datasets import MapDataset
from gammax.errors import DataValueError, GammaxWarning, GeometryError, ModelError, SchemaError
from gammax.makers import FoVBackgroundMaker, MapDatasetMaker, SafeMaskMaker
from gammax.makers._norm_tilt import Bins, NormTilt
from gammax.maps import MapAxis, WcsGeom
from gammax.models import ExpCutoffPowerLawSpectralModel, PowerLawNormSpectralModel

CRAB = SkyCoord(83.63, 22.01, unit="deg")
FREE = PowerLawNormSpectralModel(tilt=PowerLawNormSpectralModel().tilt.replace(frozen=False))


def run():
    """Cube with 12 counts: 4 at the source, 8 elsewhere; the background is made 10 there, a quarter in each bin."""
    source = around(SOURCE, np.zeros(4), [0.2, 0.5, 2.0, 5.0])
    others = around(POINTING, np.full(8, 0.3), [0.2] * 4 + [0.5] * 2 + [2.0, 5.0])
    made = cube(source, others)
    inside = outside_of_source(made).data
    flat = np.where(inside, 2.5 / inside[0].sum(), 0.1)
    return made.replace(background=made.background.replace(data=flat))


def outside_of_source(dataset):
    return dataset.geom.region_mask([CircleSkyRegion(SOURCE, 0.2 * u.deg)], inside=False)


def test_scale():
    dataset = run()
    mask = outside_of_source(dataset)
    made = FoVBackgroundMaker(exclusion_mask=mask).run(dataset)
    info = made.meta["fov_background"]
    assert info == {"method": "scale", "norm": pytest.approx(0.8), "norm_err": pytest.approx(np.sqrt(8) / 10),
                    "tilt": 0.0, "tilt_err": 0.0, "reference": 1.0}  # fmt: skip
    assert_allclose(made.background.data, 0.8 * dataset.background.data, rtol=1e-12)
    assert made.mask_safe.data.all()
    # an image stands for all energies
    image = mask.geom.to_image()
    same = FoVBackgroundMaker(exclusion_mask=mask.replace(geom=image, data=mask.data[0])).run(dataset)
    assert_array_equal(same.background.data, made.background.data)
    # with the tilt held the fit is the same, errors too
    fitted = FoVBackgroundMaker("fit", mask).run(dataset).meta["fov_background"]
    assert (fitted["norm"], fitted["norm_err"]) == pytest.approx((info["norm"], info["norm_err"]), rel=1e-10)
    masked = dataset.with_fit_range("0.1 TeV", "1 TeV")
    assert FoVBackgroundMaker(exclusion_mask=mask).run(masked).meta["fov_background"]["norm"] == pytest.approx(6 / 5)


def test_beyond_the_exclusion_mask_nothing_is_used():
    dataset = run()
    west = WcsGeom.create(npix=(10, 20), binsz=0.1, skydir=POINTING.directional_offset_by(-90 * u.deg, 0.5 * u.deg))
    mask = west.region_mask("icrs;circle(0, 0, 0.1)", inside=False)
    norm = FoVBackgroundMaker(exclusion_mask=mask).run(dataset).meta["fov_background"]["norm"]
    # events lie to the east
    inside = mask.interp_to_geom(dataset.geom.to_image()).data
    counts = dataset.counts.data[:, inside].sum()
    assert counts < 8
    assert norm == pytest.approx(counts / dataset.background.data[:, inside].sum())


def test_tilt():
    """Against a direct search for the minimum of cash over all pixels."""
    dataset = run()
    mask = outside_of_source(dataset)
    info = FoVBackgroundMaker("fit", mask, FREE).run(dataset).meta["fov_background"]
    x, b, n = np.log(ENERGY.center_value("TeV"))[:, None, None], dataset.background.data, dataset.counts.data

    def cash(p):
        mu = p[0] * np.exp(-p[1] * x) * b
        return 2 * np.sum((mu - n * np.log(mu))[mask.data])

    log_norm, tilt = minimize(lambda q: cash([np.exp(q[0]), q[1]]), [0.0, 0.5], tol=1e-6).x
    assert_allclose([info["norm"], info["tilt"]], [np.exp(log_norm), tilt], rtol=1e-5)
    eye, h = np.eye(2), 1e-3
    best = np.array([np.exp(log_norm), tilt])
    corners = [[[cash(best + h * (s * i + t * j)) * s * t for s in (1, -1) for t in (1, -1)] for i in eye] for j in eye]
    hessian = np.sum(corners, axis=2) / (4 * h**2)
    errors = np.sqrt(np.diag(2 * np.linalg.inv(hessian)))
    assert_allclose([info["norm_err"], info["tilt_err"]], errors, rtol=1e-4)


def test_sources_are_taken_as_they_are():
    energy, b = np.array([0.5, 2.0]), np.array([4.0, 2.0])
    bins = Bins(energy, counts=np.array([7.0, 3.0]), background=b, signal=np.array([1.0, 1.0]))
    assert NormTilt().scaled(bins).norm == pytest.approx(8 / 6)
    both = NormTilt(free=(True, True)).fitted(bins)
    # as many parameters as bins: the expected counts are the counts
    assert_allclose(both.values(energy) * b + bins.signal, bins.counts, rtol=1e-6)
    only_tilt = NormTilt(1.5, free=(False, True)).fitted(bins)
    assert only_tilt.norm == 1.5
    assert only_tilt.norm_err == 0
    assert only_tilt.tilt_err > 0
    held = NormTilt(1.5, 0.1, free=(False, False))
    assert held.fitted(bins) == held


def test_where_nothing_can_be_scaled():
    dataset = run()
    nothing = dataset.counts.replace(data=np.zeros(dataset.mask.shape))
    for maker, given, match in (
        (FoVBackgroundMaker(min_counts=12), dataset, "12 counts outside"),
        (FoVBackgroundMaker(min_npred_background=1e6), dataset, "counts of background are expected"),
        (FoVBackgroundMaker(), dataset.replace(background=nothing), "0 counts of background"),
        (FoVBackgroundMaker(), dataset.replace(counts=nothing), "0 counts outside"),
        (FoVBackgroundMaker("fit", spectral_model=PowerLawNormSpectralModel(
            norm=PowerLawNormSpectralModel().norm.replace(value=-1.0, frozen=True))), dataset, "did not converge"),
    ):  # fmt: skip
        with pytest.warns(GammaxWarning, match=f"'run': the background is not scaled(.|\n)*{match}"):
            made = maker.run(given)
        assert not made.mask_safe.data.any()
        assert made.background is given.background


def test_bad_input():
    with pytest.raises(SchemaError, match=r"unknown method 'scales'(.|\n)*scale"):
        FoVBackgroundMaker("scales")
    with pytest.raises(ModelError, match="GX-MAKERS-091"):
        FoVBackgroundMaker(spectral_model=ExpCutoffPowerLawSpectralModel())
    dataset = run()
    with pytest.raises(SchemaError, match="GX-MAKERS-093"):
        FoVBackgroundMaker().run(dataset.replace(background=None))
    with pytest.raises(DataValueError, match="not bool"):
        FoVBackgroundMaker(exclusion_mask=dataset.counts).run(dataset)
    with pytest.raises(GeometryError, match="GX-MAKERS-092"):
        FoVBackgroundMaker().run(dataset.to_region_map_dataset("icrs;circle(83.6, 22.5, 0.3)"))


@pytest.mark.data
@pytest.mark.filterwarnings("ignore::gammax.errors.GammaxWarning")
def test_crab_as_the_peer_has_it(data_dir):
    obs = DataStore.from_dir(data_dir / "hess-dl3-dr1").obs(23523)
    energy = MapAxis.from_energy_bounds("1 TeV", "10 TeV", nbin=4)
    geom = WcsGeom.create(skydir=(83.633, 22.014), binsz=0.02, width=2, axes=[energy])
    dataset = MapDatasetMaker(["counts", "exposure", "background"]).run(MapDataset.create(geom, TRUE), obs)
    mask = geom.to_image().region_mask([CircleSkyRegion(CRAB, 0.25 * u.deg)], inside=False)
    model = PowerLawNormSpectralModel(tilt=FREE.tilt, reference="2 TeV")
    info = FoVBackgroundMaker("fit", mask, model).run(dataset).meta["fov_background"]
    # Gammapy 2.1 with Fit(optimize_opts={"tol": 1e-6, "strategy": 2})
    assert_allclose([info["norm"], info["tilt"]], [0.9595619821622497, -0.2470762042637741], rtol=2e-5)
    assert_allclose([info["norm_err"], info["tilt_err"]], [0.03879228358067041, 0.06877691579229635], rtol=1e-3)
    # recipe w02, configuration a2: the peer's norm is 0.98914346 with its default tolerance, and this the closed form
    circle = CircleSkyRegion(SkyCoord(83.63, 22.14, unit="deg"), 0.2 * u.deg)
    safe = SafeMaskMaker(["offset-max", "aeff-max"], offset_max="2.5 deg").run(dataset, obs)
    mask = geom.region_mask([circle], inside=False)
    norms = [FoVBackgroundMaker(m, mask).run(safe).meta["fov_background"]["norm"] for m in ("scale", "fit")]
    assert_allclose(norms, 0.98914346, rtol=2e-4)
    assert_allclose(*norms, rtol=1e-10)
