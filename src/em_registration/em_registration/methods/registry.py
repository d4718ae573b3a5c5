"""Every baseline by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from em_registration.methods.gp_position import fit_gp_position
from em_registration.methods.interface import Method
from em_registration.methods.regression import fit_affine, fit_bernstein
from em_registration.methods.residual_field import fit_inverse_distance, fit_rbf
from em_registration.methods.rigid import fit_rigid, fit_similarity
from em_registration.methods.thin_plate_spline import fit_tps, fit_tps_smoothed
from em_registration.methods.weighted_rigid import fit_weighted_rigid

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "rigid": fit_rigid,
        "similarity": fit_similarity,
        "affine": fit_affine,
        "weighted_rigid": fit_weighted_rigid,
        "tps": fit_tps,
        "tps_smoothed": fit_tps_smoothed,
        "rbf": fit_rbf,
        "inverse_distance": fit_inverse_distance,
        **{f"bernstein_{degree}": partial(fit_bernstein, degree=degree) for degree in range(1, 6)},
        "gp_position": fit_gp_position,
    }
)
