"""Background events: rate, place in the field of view, and its orientation."""

from dataclasses import replace

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.time import Time
from numpy.testing import assert_allclose
from scipy import stats

from gammax.data import GTI, FixedPointingInfo, Observation
from gammax.data._fov import fov_coordinates
from gammax.errors import DataValueError
from gammax.irf import Background3D
from gammax.irf._dl3_axes import point_axis
from gammax.maps import MapAxes, MapAxis
from gammax.simulate import ObservationEventSampler
from gammax.simulate._background import rate_at_nodes
from gammax.simulate._field_of_view import field_to_icrs, from_offsets
from simulate.sources import IRFS, POINTING, SITE, empty_run, patch_background, radial_background


def events(run, seed=1):
    return ObservationEventSampler(seed).run(run).events


def field_events(run, alignment="RADEC"):
    """Energies and places of the events in the field of view, as the reduction sees them."""
    found = events(run)
    pointing = run.get_pointing_icrs() if alignment != "ALTAZ" else run.get_pointing_altaz(found.time)
    return found.energy_tev, *fov_coordinates(found.radec, pointing, alignment)


def fine(edges, n):
    """Middles and widths of many thin bins."""
    edges = np.linspace(edges[0], edges[-1], n + 1)
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


@pytest.fixture(scope="module")
def demo_field():
    run = empty_run(2.0)
    return field_events(run)


def test_number_and_spectrum_follow_the_interpolated_rate(demo_field):
    # midpoint sums over thin cells; the solid angle of a cell is cos(lat) dlon dlat
    bkg = IRFS["bkg"]
    log_e, d_log_e = fine(np.log([0.05, 150]), 560)
    side, d_side = fine([-2.5, 2.5], 100)
    energy = np.exp(log_e)
    rate = bkg.values(energy=energy[:, None, None], fov_lon=side[:, None], fov_lat=side)
    solid_angle = np.cos(np.deg2rad(side)) * np.deg2rad(d_side) * np.deg2rad(d_side)[:, None]
    per_bin = np.einsum("elb,lb->e", rate, solid_angle) * energy * d_log_e * 7200
    expected = per_bin.reshape(28, 20).sum(axis=1)
    counts, _ = np.histogram(demo_field[0], bkg.axes["energy"].edges_value("TeV"))
    assert expected.sum() > 3e4
    assert abs(counts.sum() - expected.sum()) < 3 * np.sqrt(expected.sum())
    many = expected > 5
    chi2 = np.sum((counts - expected)[many] ** 2 / expected[many])
    assert stats.chi2(many.sum()).sf(chi2) > 0.01


def test_places_follow_the_interpolated_rate(demo_field):
    # the demo's rate is a product: one Gaussian over energy, longitude and latitude each
    bkg, (_, lon, lat) = IRFS["bkg"], demo_field
    side, _ = fine([-2.5, 2.5], 500)
    for found, rate in [
        (lon, bkg.values(energy=1.0, fov_lon=side, fov_lat=0.0)),
        (lat, bkg.values(energy=1.0, fov_lon=0.0, fov_lat=side) * np.cos(np.deg2rad(side))),
    ]:
        cumulative = np.cumsum(rate) / rate.sum()
        assert stats.kstest(found, lambda x, c=cumulative: np.interp(x, side + 0.005, c)).pvalue > 0.01


def test_solid_angle_shrinks_with_latitude():
    # 60 deg wide and high: in longitude even, in the sine of latitude even
    run = empty_run(2.0, bkg=patch_background([-30, 0, 30], [0, 30, 60], rate=1.0))
    _, lon, lat = field_events(run)
    # 1 per s, TeV and sr: 9 TeV, 7200 s, pi / 3 sin(60 deg) sr
    expected = 9 * 7200 * np.pi / 3 * np.sin(np.pi / 3)
    assert abs(len(lon) - expected) < 3 * np.sqrt(expected)
    assert stats.kstest(lon / 60 + 0.5, "uniform").pvalue > 0.01
    assert stats.kstest(np.sin(np.deg2rad(lat)) / np.sin(np.pi / 3), "uniform").pvalue > 0.01


def test_radial_background():
    run = empty_run(100.0, bkg=radial_background())
    found = events(run)
    # 9 TeV, 3.6e5 s, a cap of 2 deg
    expected = 9 * 3.6e5 * 2 * np.pi * (1 - np.cos(np.deg2rad(2)))
    assert abs(len(found) - expected) < 3 * np.sqrt(expected)
    offset = POINTING.separation(found.radec)
    assert stats.kstest((1 - np.cos(offset.rad)) / (1 - np.cos(np.deg2rad(2))), "uniform").pvalue > 0.01
    angle = POINTING.position_angle(found.radec).wrap_at("360d").deg
    assert stats.kstest(angle / 360, "uniform").pvalue > 0.01


def test_radial_background_beyond_its_nodes():
    # nodes at 0.5 and 1.5 deg; a reduction takes the rate of the node out to the edges
    background = radial_background()
    steep = replace(background, data=background.data * [1.0, 100.0])
    found = POINTING.separation(events(empty_run(20.0, bkg=steep)).radec).deg
    inner, outer = (np.sum((found > low) & (found < high)) for low, high in [(0, 0.5), (1.5, 2.0)])
    # rates 1 and 100, rings of 0.25 and 1.75 deg2
    assert outer / inner == pytest.approx(100 * 7, rel=4 / np.sqrt(inner))


def test_signs_of_the_field_of_view():
    # GADF: with RADEC longitude grows to the west; the peer's map of a background that rises with fov_lon by a factor
    # of 1000 is 2.7e3 in its eastern pixel and 2.7e6 in its western one, and the reverse for REVERSE_LON_RADEC
    for alignment, is_west in [("RADEC", True), ("REVERSE_LON_RADEC", False)]:
        found = events(empty_run(100.0, bkg=patch_background([1.0, 1.5, 2.0], [0.5, 1.0], alignment)))
        assert len(found) > 100
        assert np.all((found.ra_deg < POINTING.ra.deg) == is_west)
        assert np.all(found.dec_deg > POINTING.dec.deg)


def test_altaz_against_a_map_of_the_peer():
    # log10 of the rate rises by one per degree of fov_lon, from 1 at -1.5 deg, and by a tenth per degree of fov_lat:
    # make_map_background_irf of Gammapy 2.1 has these places of its map at these longitudes (to the pixel's curvature)
    start = Time("2020-12-15T23:00:00")
    pointing = SkyCoord(83.63, 22.01, unit="deg")
    run = Observation.create(pointing, SITE, tstart=start, tstop=start + 1 * u.s, reference_time=start)
    peer = {(85.2418, 21.5021): 0.46, (84.1634, 20.5095): -0.93, (84.1674, 21.5092): -0.11, (83.0926, 21.5092): -0.66}
    for place, lon in peer.items():
        sky = SkyCoord(*place, unit="deg")
        found, lat = fov_coordinates(sky, run.get_pointing_altaz(start), "ALTAZ")
        assert found == pytest.approx(lon, abs=0.05)
        back = field_to_icrs(run, "ALTAZ", np.array([found]), np.array([lat]), np.zeros(1))
        assert_allclose(np.ravel(back), place, atol=1e-6)


def test_altaz_field_turns_with_the_sky():
    run = empty_run(3.0, bkg=patch_background([0.9, 1.0, 1.1], [-0.1, 0.0, 0.1], "ALTAZ", rate=100.0))
    energy, lon, lat = field_events(run, "ALTAZ")
    assert len(energy) > 100
    assert_allclose(lon, 1.0, atol=0.1 + 1e-6)
    assert_allclose(lat, 0.0, atol=0.1 + 1e-6)
    # on the sky the patch moves by more than its size
    assert np.ptp(events(run).dec_deg) > 0.5


def test_offsets_are_those_of_a_sky_offset_frame(rng):
    lon, lat = rng.uniform(-60, 60, 50), rng.uniform(-60, 60, 50)
    for origin in (SkyCoord(10, 89.9, unit="deg"), SkyCoord(359.9, -30, unit="deg")):
        expected = SkyCoord(lon, lat, unit="deg", frame=origin.skyoffset_frame()).icrs
        found = SkyCoord(*from_offsets(lon, lat, origin.ra.deg, origin.dec.deg), unit="deg")
        assert found.separation(expected).deg.max() < 1e-10


def test_background_counts_for_the_on_time():
    # by the definition of the format; the demo's 35 % dead time must change nothing
    whole, dead = (events(empty_run(dead=fraction)) for fraction in (0.0, 0.35))
    assert_allclose(whole.energy_tev, dead.energy_tev)


def test_cells_that_a_reduction_fills_in():
    # 0 at one energy between two others: reduced backgrounds are interpolated there (gammax.makers)
    energy = MapAxis.from_energy_bounds("1 TeV", "1000 TeV", nbin=3)
    lon, lat = (MapAxis.from_edges([-1.0, 0.0, 1.0], name, unit="deg") for name in ("fov_lon", "fov_lat"))
    data = np.ones((3, 2, 2))
    data[1] = 0.0
    bkg = Background3D(MapAxes([energy, lon, lat]), data, "s-1 TeV-1 sr-1")
    found = events(empty_run(1.0, bkg=bkg))
    assert np.sum((found.energy_tev > 20) & (found.energy_tev < 50)) > 50


def test_empty_cells_stay_empty():
    bkg = patch_background([-2.0, -1.0, 0.0, 1.0, 2.0], [-1.0, 1.0])
    data = bkg.data.copy()
    data[:, :2] = 0.0
    _, lon, _ = field_events(empty_run(100.0, bkg=replace(bkg, data=data)))
    # the logarithm falls off within a tenth of a bin towards the empty node at -0.5
    assert lon.min() > 0.4
    assert lon.max() > 1.9


def test_nodes_continue_the_rate_as_the_response_does():
    # with the edges of the axes, where the response continues the logarithm
    nodes, table = rate_at_nodes(IRFS["bkg"], {})
    energy, lon, lat = nodes
    expected = IRFS["bkg"].evaluate(
        energy=energy[:, None, None] * u.TeV, fov_lon=lon[:, None] * u.deg, fov_lat=lat * u.deg
    )
    assert_allclose(np.exp(table), expected.value, rtol=1e-9)


def test_no_rate_next_to_the_outermost_node():
    # a logarithm continued from the zero would climb to 1e19 at the edge; H.E.S.S. files have such corners
    bkg = patch_background([0.0, 1.0, 2.0, 3.0], [-1.0, 1.0])
    bkg = replace(bkg, data=bkg.data * np.array([1.0, 0.0, 0.0])[:, None])
    assert bkg.values(energy=2.0, fov_lon=0.0, fov_lat=0.0) == pytest.approx(1.0)
    _, lon, _ = field_events(empty_run(100.0, bkg=bkg))
    assert 0.0 <= lon.min() < lon.max() < 0.6
    # rate 1 in half a bin, 1 by 2 deg in all; 1.5 % more on the way to the zero
    assert len(lon) == pytest.approx(9 * 3.6e5 * 0.51 * 2 * np.deg2rad(1) ** 2, rel=0.15)


def test_background_known_at_one_energy():
    axes = patch_background([0.0, 1.0], [0.0, 1.0]).axes
    point = MapAxes([point_axis(1.0, "energy", "log", "TeV"), *axes[1:]])
    with pytest.raises(DataValueError, match="GX-SIMULATE-020"):
        events(empty_run(bkg=Background3D(point, np.ones((1, 1, 1)), "s-1 TeV-1 sr-1")))


def test_drifting_telescope_is_refused():
    run = empty_run()
    drift = FixedPointingInfo(fixed_altaz=run.get_pointing_altaz().frame)
    moved = Observation.create(drift, SITE, livetime=1 * u.h, irfs=IRFS)
    with pytest.raises(DataValueError, match="GX-SIMULATE-031"):
        events(moved)


def test_times_are_even_over_the_good_time():
    run = empty_run(2.0)
    gti = GTI([0.0, 6000.0], [1800.0, 7200.0], run.gti.reference)
    found = events(Observation(1, type(run.parts)({}, {**run.parts.given, "gti": gti})))
    assert gti.contains(found.time_s).all()
    assert np.all(np.diff(found.time_s) >= 0)
    clock = np.where(found.time_s < 1800, found.time_s, found.time_s - 4200)
    assert stats.kstest(clock / 3000, "uniform").pvalue > 0.01
