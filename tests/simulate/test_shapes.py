"""Events of extended sources: their places on the sky, their number and energies against a reduction's prediction."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from scipy import stats

from gammax.data import Observation
from gammax.datasets import MapDataset
from gammax.errors import GeometryError
from gammax.irf import EffectiveAreaTable2D, EnergyDependentMultiGaussPSF, EnergyDispersion2D
from gammax.makers import MapDatasetMaker
from gammax.maps import MapAxes, MapAxis, WcsGeom, WcsNDMap
from gammax.models import (
    ConstantSpatialModel,
    DiskSpatialModel,
    GaussianSpatialModel,
    Models,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    ShellSpatialModel,
    SkyModel,
    TemplateSpatialModel,
)
from gammax.simulate import ObservationEventSampler
from gammax.simulate._shape import Shape
from gammax.simulate._source import event_rate
from simulate.sources import INDEX, IRFS, POINTING, empty_run, expected_rate, source

PLACE = POINTING.directional_offset_by(60 * u.deg, 0.6 * u.deg)
GAUSS = GaussianSpatialModel.from_position(PLACE, sigma="0.15 deg")


def shape_of(spatial, reach=2.5):
    return Shape.of(spatial, POINTING, reach, (0.05, 150.0))


def drawn(spatial, n=20_000, energy=1.0):
    return shape_of(spatial).draw(np.random.default_rng(3), np.full(n, energy))


def extended(spatial, **changes):
    return source(**changes).replace(spatial_model=spatial)


def test_gaussian_follows_its_law():
    # of the separation: 1 - exp(-(1 - cos s) / (2 (1 - cos sigma)))
    for sigma in (0.001, 0.15, 2.0):
        spatial = GaussianSpatialModel.from_position(PLACE, sigma=sigma * u.deg)
        shape = shape_of(spatial, reach=20.0)
        assert shape.total(np.ones(1)) == pytest.approx(1.0, abs=1e-8)
        separation = shape.draw(np.random.default_rng(3), np.ones(20_000)).separation(PLACE).rad
        scaled = 1 - np.exp(-(np.sin(separation / 2) ** 2) / (2 * np.sin(np.deg2rad(sigma) / 2) ** 2))
        assert stats.kstest(scaled, "uniform").pvalue > 0.01


def test_elongation_and_frame():
    # 0.3 deg along the position angle 30 deg from galactic north, 0.3 sqrt(1 - 0.8^2) = 0.18 deg across
    center = PLACE.galactic
    spatial = GaussianSpatialModel.from_position(center, sigma="0.3 deg", e=0.8, phi="30 deg")
    lon, lat = center.spherical_offsets_to(drawn(spatial).galactic)
    along = lon.deg * np.sin(np.pi / 6) + lat.deg * np.cos(np.pi / 6)
    across = lon.deg * np.cos(np.pi / 6) - lat.deg * np.sin(np.pi / 6)
    # 20 000 values: the width is known to 0.5 %
    assert along.std() == pytest.approx(0.30, rel=0.02)
    assert across.std() == pytest.approx(0.18, rel=0.02)
    assert abs(np.corrcoef(along, across)[0, 1]) < 0.03


@pytest.mark.parametrize(
    ("spatial", "radii"),
    [
        (DiskSpatialModel.from_position(PLACE, r_0="0.4 deg", edge_width=0.001), (0.0, 0.4)),
        (ShellSpatialModel.from_position(PLACE, radius="0.3 deg", width="0.1 deg"), (0.3, 0.4)),
    ],
)
def test_shapes_with_an_edge(spatial, radii):
    inner, outer = radii
    separation = drawn(spatial).separation(PLACE).deg

    # a homogeneous disk; a sphere projected, less its inner part
    def below(r):
        cut = [radius**3 - np.maximum(radius**2 - r**2, 0) ** 1.5 for radius in (outer, inner)]
        return (r / outer) ** 2 if inner == 0 else (cut[0] - cut[1]) / (outer**3 - inner**3)

    # the disk is 0.01 % less than sharp
    assert separation.max() < outer * 1.005
    assert stats.kstest(np.clip(below(np.minimum(separation, outer)), 0, 1), "uniform").pvalue > 0.01


def test_template_that_changes_with_energy():
    # in the eastern half at 1 TeV, in the western one at 10 TeV; linear in the logarithm between
    axis = MapAxis.from_nodes([1.0, 10.0], "energy_true", unit="TeV", interp="log")
    geom = WcsGeom.create(skydir=PLACE, width=1.0, binsz=0.05, proj="TAN", frame="icrs", axes=[axis])
    east = np.arange(20) < 10
    data = np.where([east, ~east], [[3.0], [1.0]], 0.01)[:, np.newaxis] * np.ones((2, 20, 20))
    spatial = TemplateSpatialModel(WcsNDMap(geom, data, "sr-1"), normalize=False)
    shape = Shape.of(spatial, POINTING, 2.5, (0.5, 20.0))
    for energy in (1.3, 3.0, 8.0):
        w = np.log10(energy)
        sides = np.array([3.0 ** (1 - w) * 0.01**w, 0.01 ** (1 - w)])
        found = shape.draw(np.random.default_rng(3), np.full(5000, energy))
        in_the_east = np.mean(PLACE.spherical_offsets_to(found)[0] > 0)
        # 5000 places: known to 0.7 %; between the columns in the middle it changes over a pixel
        assert in_the_east == pytest.approx(sides[0] / sides.sum(), abs=0.03)
        assert shape.total(np.array([energy])) == pytest.approx(sides.mean() * np.deg2rad(1) ** 2, rel=0.05)


def test_larger_than_the_field_of_view():
    wide = shape_of(GaussianSpatialModel.from_position(PLACE, sigma="3 deg"))
    assert 0.1 < wide.total(np.ones(1))[0] < 0.5
    sky = shape_of(ConstantSpatialModel())
    # a square of 5 deg, at one per steradian
    assert sky.total(np.ones(1)) == pytest.approx(np.deg2rad(5) ** 2, rel=1e-3)
    assert POINTING.separation(sky.draw(np.random.default_rng(3), np.ones(2000))).deg.max() < 2.5 * np.sqrt(2)


def test_the_rate_is_that_of_the_largest_area_inside():
    # demo's area falls with the offset: the largest is at the nearest point of the disk, 0.5 deg
    disk = DiskSpatialModel.from_position(POINTING.directional_offset_by(60 * u.deg, 1 * u.deg), r_0="0.3 deg")
    shape = Shape(SkyCoord(disk.position), 0.5)
    offsets = shape.offsets(POINTING)
    np.testing.assert_allclose(offsets, (0.5, 1.5))
    log_energy, rate = event_rate(IRFS["aeff"], source().spectral_model, shape, offsets, {})
    np.testing.assert_allclose(np.trapezoid(rate, log_energy), expected_rate(0.05, 150), rtol=2e-6)


def test_number_of_events_is_that_of_the_area_where_they_come_from():
    # area proportional to 2.5 deg - offset, the same at all energies: its mean over the source by its own positions
    true, offset = IRFS["aeff"].axes
    area = 1e5 * np.broadcast_to(2.5 - offset.center_value("deg"), (true.nbin, offset.nbin))
    aeff = EffectiveAreaTable2D(IRFS["aeff"].axes, area, "m2")
    wide = GaussianSpatialModel.from_position(PLACE, sigma="0.4 deg")
    run = ObservationEventSampler(1).run(empty_run(2, bkg=None, aeff=aeff), [extended(wide, index=2.0)])
    flux = 3.8e-11 * (1 / 0.05 - 1 / 150)
    mean = np.mean(2.5 - np.minimum(POINTING.separation(drawn(wide)).deg, 2.5)) * 1e9
    expected = flux * mean * 7200
    assert expected > 5000
    # 3 sigma, and 0.5 % of the mean over 20 000 positions
    assert abs(len(run.events) - expected) < 3 * np.sqrt(expected) + 0.005 * expected
    kept = SkyCoord(run.events.columns["MC_RA"], run.events.columns["MC_DEC"], unit="deg")
    assert POINTING.separation(kept).deg.mean() < POINTING.separation(drawn(wide)).deg.mean() - 0.02


def test_true_places_and_seen_ones():
    run = ObservationEventSampler(1).run(empty_run(20, bkg=None), [extended(GAUSS)])
    columns, offset = run.events.columns, None
    true = SkyCoord(columns["MC_RA"], columns["MC_DEC"], unit="deg")
    offset = POINTING.separation(true)
    inside = IRFS["psf"].containment(true.separation(run.events.radec), columns["MC_ENERGY"] * u.TeV, offset)
    assert stats.kstest(inside, "uniform").pvalue > 0.01
    assert run.meta["MCRA1"] == pytest.approx(PLACE.ra.deg)


def test_responses_that_do_not_apply():
    model = extended(GAUSS).replace(apply_irf={"psf": False, "edisp": False})
    events = ObservationEventSampler(1).run(empty_run(2, bkg=None), [model]).events
    np.testing.assert_array_equal(events.energy_tev, events.columns["MC_ENERGY"])
    np.testing.assert_array_equal(events.ra_deg, events.columns["MC_RA"])


def test_template_of_flux_and_the_whole_sky():
    geom = WcsGeom.create(skydir=PLACE, width=1.0, binsz=0.05, proj="TAN", frame="icrs")
    surface = np.full(geom.image_shape, 3.8e-11 / np.deg2rad(1) ** 2)
    flux = TemplateSpatialModel(WcsNDMap(geom, surface, "TeV-1 s-1 cm-2 sr-1"), normalize=False, filename="flux.fits")
    norm = SkyModel(PowerLawNormSpectralModel(tilt=INDEX), "flux", spatial_model=flux)
    spectrum = PowerLawSpectralModel(index=INDEX, amplitude=f"{3.8e-11 / np.deg2rad(1) ** 2} TeV-1 s-1 cm-2")
    sky = SkyModel(spectrum, "sky", spatial_model=ConstantSpatialModel())
    run = ObservationEventSampler(1).run(empty_run(2, bkg=None), [norm, sky])
    numbers = run.events.columns["MC_ID"]
    inside = np.abs(np.stack([angle.deg for angle in PLACE.spherical_offsets_to(run.events.radec)])).max(axis=0) < 0.5
    first, second = (np.sum(inside & (numbers == k)) for k in (1, 2))
    # the same flux per solid angle; the template alone loses events over its border, 5 %
    assert first > 400
    assert first / second == pytest.approx(0.95, abs=0.15)
    assert "MCRA1" in run.meta
    assert "MCRA2" not in run.meta


def test_dispersion_that_ends_inside_the_source():
    true, migra, _ = IRFS["edisp"].axes
    near = MapAxis.from_edges([0.0, 0.6], "offset", unit="deg")
    edisp = EnergyDispersion2D(MapAxes([true, migra, near]), IRFS["edisp"].data[:, :, :1])
    with pytest.raises(GeometryError, match="GX-SIMULATE-013"):
        ObservationEventSampler(1).run(empty_run(bkg=None, edisp=edisp), [extended(GAUSS)])


@pytest.mark.slow
@pytest.mark.parametrize(
    "spatial",
    [
        GAUSS,
        DiskSpatialModel.from_position(PLACE, r_0="0.5 deg", e=0.7, phi="40 deg"),
        source(place=PLACE).spatial_model,
    ],
    ids=lambda spatial: type(spatial).__name__,
)
def test_counts_are_what_a_reduction_predicts(spatial):
    """300 hours against `npred` of the reduced cube: energies, image, and both together."""
    model = extended(spatial, index=2.1, amplitude="2.4e-11 cm-2 s-1 TeV-1")
    # a reduction takes PSF and dispersion at the middle of the source for all of it: let them be the same everywhere
    psf, edisp = (IRFS[name] for name in ("psf", "edisp"))
    tables = {name: np.repeat(table[:, 1:2], table.shape[1], axis=1) for name, table in psf.parameters.items()}
    same = {
        "psf": EnergyDependentMultiGaussPSF(psf.axes, tables),
        "edisp": EnergyDispersion2D(edisp.axes, np.repeat(edisp.data[..., 1:2], edisp.data.shape[2], axis=2)),
    }
    run: Observation = ObservationEventSampler(1).run(empty_run(300, bkg=None, **same), [model])
    energy = MapAxis.from_energy_bounds("0.5 TeV", "30 TeV", nbin=8)
    # so fine that the responses at the centres of the true energies stand for the bins
    true = MapAxis.from_energy_bounds("0.1 TeV", "150 TeV", nbin=160, name="energy_true")
    # with pixels as wide as the PSF a disk's rim is off by 3 % in the prediction
    geom = WcsGeom.create(skydir=PLACE, width=2.4, binsz=0.02, proj="TAN", frame="icrs", axes=[energy])
    empty = MapDataset.create(geom, true, binsz_irf=0.1)
    dataset = MapDatasetMaker(["counts", "exposure", "psf", "edisp"]).run(empty, run)
    counts, expected = dataset.counts.data, dataset.npred_signal(Models(model)).data
    assert counts.sum() > 5e4
    assert abs(counts.sum() - expected.sum()) < 3 * np.sqrt(expected.sum())
    for axes in ((1, 2), (0,), ()):
        found, wanted = (np.sum(cube, axis=axes) for cube in (counts, expected))
        many = wanted > 8
        chi2 = np.sum((found - wanted)[many] ** 2 / wanted[many])
        assert stats.chi2(many.sum()).sf(chi2) > 0.01, axes
