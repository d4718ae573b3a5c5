"""Every baseline by name, and how many pairs each needs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from em_registration.methods import gp_position, regression, residual_field, rigid, thin_plate_spline, weighted_rigid
from em_registration.methods.interface import Method

_DEGREES = range(1, 6)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "rigid": rigid.fit_rigid,
        "similarity": rigid.fit_similarity,
        "affine": regression.fit_affine,
        "weighted_rigid": weighted_rigid.fit_weighted_rigid,
        "tps": thin_plate_spline.fit_tps,
        "tps_smoothed": thin_plate_spline.fit_tps_smoothed,
        "rbf": residual_field.fit_rbf,
        "inverse_distance": residual_field.fit_inverse_distance,
        **{f"bernstein_{degree}": partial(regression.fit_bernstein, degree=degree) for degree in _DEGREES},
        "gp_position": gp_position.fit_gp_position,
    }
)

LEAST_PAIRS: Mapping[str, int] = MappingProxyType(
    {
        "rigid": rigid.LEAST_PAIRS,
        "similarity": rigid.LEAST_PAIRS,
        "affine": regression.AFFINE_LEAST_PAIRS,
        "weighted_rigid": weighted_rigid.LEAST_PAIRS,
        "tps": thin_plate_spline.LEAST_PAIRS,
        "tps_smoothed": thin_plate_spline.LEAST_PAIRS,
        "rbf": residual_field.LEAST_PAIRS,
        "inverse_distance": residual_field.LEAST_PAIRS,
        **{f"bernstein_{degree}": regression.bernstein_least_pairs(degree) for degree in _DEGREES},
        "gp_position": gp_position.LEAST_PAIRS,
    }
)
