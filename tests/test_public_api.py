"""The public names, frozen: a name appears or goes on purpose, in the same change as this table."""

import importlib
import pkgutil

import pytest

import gammax

PUBLIC = {
    "maps": "Map Maps MapAxis MapAxes TimeMapAxis LabelMapAxis RegionGeom RegionNDMap WcsGeom WcsNDMap",
    "irf": "EDispKernel EffectiveAreaTable2D EnergyDispersion2D PSF3D EnergyDependentMultiGaussPSF PSFKing "
    "Background2D Background3D RadMax2D DL3_IRFS hdu_class_of EDispKernelMap EDispMap PSFKernel PSFMap RecoPSFMap "
    "GaussianMixture gaussian_mixture",
    "data": "DataStore ObservationTable HDUIndexTable HDULocation Observation Observations EventList GTI "
    "FixedPointingInfo TimeReference",
    "datasets": "Dataset SpectrumArrays SpectrumDataset SpectrumDatasetOnOff CubeArrays MapDataset MapDatasetOnOff "
    "stack Datasets",
    "stats": "cash cash_curvature cstat wstat wstat_curvature wstat_mu_bkg chi2 chi2_curvature li_ma_significance "
    "sigma_to_ts ts_to_p_value ts_to_sigma CashCountsStatistic WStatCountsStatistic",
    "models": "Parameter parameter Prior GaussianPrior GeneralizedGaussianPrior LogNormalPrior LogUniformPrior "
    "UniformPrior GaussianPriorPenalty SpectralModel PowerLawSpectralModel PowerLawNormSpectralModel "
    "CompoundSpectralModel ExpCutoffPowerLawSpectralModel LogParabolaSpectralModel TemplateSpectralModel "
    "SpatialModel ConstantSpatialModel PointSpatialModel GaussianSpatialModel "
    "GeneralizedGaussianSpatialModel DiskSpatialModel ShellSpatialModel Shell2SpatialModel "
    "TemplateSpatialModel FunctionSpatialModel FunctionSpectralModel SkyModel FoVBackgroundModel IRFModel "
    "TemplateNPredModel create_fermi_isotropic_diffuse_model Models n_panels",
    "folding": "fold_flux fold_spectrum predict_background predict_cube predict_signal total_flux",
    "likelihood": "Likelihood Problem Derivatives",
    "fit": "Confidence CovarianceResult Fit FitComparison FitResult FitResults NestedModels Sampler SamplerResult "
    "StatContour StatProfile StatSurface UpperLimit fit_many optimum select_nested_models",
    "makers": "MapDatasetMaker FoVBackgroundMaker RingBackgroundMaker AdaptiveRingBackgroundMaker "
    "SpectrumDatasetMaker ReflectedRegionsBackgroundMaker ReflectedRegionsFinder WobbleRegionsFinder "
    "SafeMaskMaker DatasetsMaker Reduction",
    "simulate": "ObservationEventSampler make_demo copy_demo",
    "estimators": "FluxPoints FluxPointsEstimator",
    "plot": "style plot_counts plot_residuals plot_fit plot_fits plot_spectrum plot_flux_points",
    "analysis": "AnalysisConfig Analysis",
}


def public_names(module):
    """What a module offers: names without underscore that are no submodules."""
    return {name for name in vars(module) if not name.startswith("_") and name not in PUBLIC} - {
        name for _, name, _ in pkgutil.iter_modules(module.__path__)
    }


@pytest.mark.parametrize("room", PUBLIC)
def test_public_names(room):
    assert public_names(importlib.import_module(f"gammax.{room}")) == set(PUBLIC[room].split())


def test_top_level():
    assert public_names(gammax) - {"errors", "units", "cli"} == {"enable_x64", "enable_cache"}


@pytest.mark.parametrize("room", PUBLIC)
def test_public_names_say_what_they_are(room):
    """Every class, function and public method has a docstring."""
    module = importlib.import_module(f"gammax.{room}")
    missing = []
    for name in PUBLIC[room].split():
        thing = getattr(module, name)
        if not callable(thing):
            continue
        if not (thing.__doc__ or "").strip():
            missing.append(name)
        methods = vars(thing) if isinstance(thing, type) else {}
        for method, function in methods.items():
            inner = getattr(function, "fget", None) or getattr(function, "__func__", function)
            ours = getattr(inner, "__module__", "").startswith("gammax.")
            if ours and callable(inner) and not method.startswith("_") and not (inner.__doc__ or "").strip():
                missing.append(f"{name}.{method}")
    assert missing == []
