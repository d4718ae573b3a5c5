"""A registration from collected fiducials: Horn's closed form, and the distortion field over pose where the evidence asks for one.

Pure and possibly slow: a bench runs it in a process of its own (fit_process.py, fit_worker.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from em_registration.config import RegistrationConfig
from em_registration.field.pose_field import PoseField, fit_pose_field
from em_registration.methods.interface import Correspondences, correspondences
from em_registration.paired_poses import Provenance
from em_registration.registration import Registration, ToolCalibration
from em_registration.types import Fiducial
from lodestone_core import covariance
from lodestone_core.errors import InputError
from lodestone_core.paired_points import PointRegistration, leave_one_out, register_points
from lodestone_core.types import Array


@dataclass(frozen=True, slots=True)
class FitJob:
    """What a fit needs. `name`: of the session, for messages. `tools`: what is known of each.

    `base`: a registration in use that rests on more than fiducials; its fields then take in the fiducials, nothing else of it changes.
    """

    name: str
    fiducials: tuple[Fiducial, ...]
    config: RegistrationConfig
    provenance: Provenance
    tools: Mapping[str, ToolCalibration] = field(default_factory=dict)
    base: Registration | None = None


def fit(job: FitJob) -> Registration:
    """The registration that the fiducials give.

    Raises InputError when there are too few, when they are collinear, mirrored, duplicate, wrongly paired or in metres, and when neither
    a rigid registration nor a field explains them.
    """
    if job.base is not None:
        return _with_touches(job.base, job)
    settings, rigid = job.config.session, rigid_registration(job)
    fields = _fields(rigid, job) if settings.method != "rigid" else {}
    if not fields:
        refuse_large_fre(rigid, job)
        return rigid
    for one in fields.values():
        _refuse_what_others_contradict(one, job)
    return replace(rigid, method="fiducials and a distortion field", fields=fields)


def rigid_registration(job: FitJob) -> Registration:
    """Rigid registration (Horn, closed form), with the covariance that the residuals justify. Raises InputError as `fit` does."""
    used = _points(job)
    image, tracker = np.array([f.image_mm for f in used]), np.array([f.tracker_mm for f in used])
    found = register_points(image, tracker, names=[f.name for f in used])
    residuals = dict(zip((f.name for f in used), np.linalg.norm(found.residuals_mm, axis=1).tolist(), strict=True))
    return Registration(
        method="fiducials",
        T_tracker_image=found.T_target_source,
        covariance=found.covariance * small_sample_factor(found),
        fre_mm=found.fre_mm,
        n=sum(f.collected for f in job.fiducials),
        created=job.provenance.created,
        version=job.provenance.version,
        tools=job.tools,
        fiducials=tuple(replace(f, residual_mm=residuals.get(point_name(f.name), f.residual_mm)) for f in job.fiducials),
        inputs=job.provenance.inputs,
    )


def small_sample_factor(found: PointRegistration) -> float:
    """What a covariance from few residuals is multiplied with, so that its 95 % radius holds the error in 95 of 100 registrations."""
    origin = np.zeros(3)
    return float((found.tre(origin) / covariance.expected_radius_95(found.tre_covariance(origin))) ** 2)


def refuse_large_fre(model: Registration, job: FitJob) -> None:
    """Raise InputError that names the worst fiducial when the FRE is above the configured limit."""
    if model.fre_mm <= job.config.session.max_fre_mm:
        return
    used = _points(job)
    # The residual of a bad point is spread over its neighbours; what the others say of it is not.
    image, tracker = np.array([f.image_mm for f in used]), np.array([f.tracker_mm for f in used])
    misses = leave_one_out(image, tracker) if len(used) > 4 else np.array([_residual(model, f.name) for f in used])
    _refuse(job, "an FRE", model.fre_mm, misses, [f.name for f in used])


def rests_on_fiducials(model: Registration) -> bool:
    """Whether the registration's own fiducials are all that it was computed from, so that it can be fitted again with more of them."""
    return model.n >= 4 and model.n == sum(fiducial.collected for fiducial in model.fiducials)


def correspondences_of(fiducials: Sequence[Fiducial], tool: str, tip_tool_mm: Array) -> Correspondences:
    """Those that the tool touched and whose pose is known, as a field takes them."""
    posed = [(f, f.pose) for f in fiducials if f.collected and f.tool == tool and f.pose is not None]
    T = np.array([pose for _, pose in posed]).reshape(-1, 4, 4)
    return correspondences(T, [f.image_mm for f, _ in posed], tip_tool_mm, tuple(f.name for f, _ in posed))


def point_name(name: str) -> str:
    """The known point that a fiducial touches: `a` and `a#2` are touches of one point, with the tool held in different ways."""
    return name.partition("#")[0]


def _residual(model: Registration, name: str) -> float:
    return next(f.residual_mm for f in model.fiducials if point_name(f.name) == name)


def _points(job: FitJob) -> list[Fiducial]:
    """One fiducial a point, at the mean of its touches; a rigid registration takes no point twice."""
    touches: dict[str, list[Fiducial]] = {}
    for fiducial in job.fiducials:
        if fiducial.collected:
            touches.setdefault(point_name(fiducial.name), []).append(fiducial)
    used = []
    for name, of_one in touches.items():
        x, y, z = np.mean([f.tracker_mm for f in of_one], axis=0).tolist()
        used.append(replace(of_one[0], name=name, tracker_mm=(x, y, z)) if len(of_one) > 1 else of_one[0])
    if len(used) < 4:
        raise InputError(
            f"session {job.name}",
            expected="at least 4 collected fiducials, so that their residuals say how good the registration is",
            got=len(used),
            remedy="collect more, spread around the target",
        )
    return used


def _fields(rigid: Registration, job: FitJob) -> dict[str, PoseField]:
    """A field for each tool that touched enough fiducials, where the configuration or the evidence asks for one."""
    settings = job.config.session
    counts = {tool: _posed(job.fiducials, tool) for tool in sorted({f.tool for f in job.fiducials if f.tool})}
    enough = [tool for tool, count in counts.items() if count >= settings.field_from]
    if settings.method == "field" and not enough:
        raise InputError(
            f"session {job.name}, session.method field",
            expected=f"at least {settings.field_from} fiducials touched with one tool",
            got=max(counts.values(), default=0),
            remedy="collect more, or set session.method to auto",
        )
    found = {tool: fit_pose_field(correspondences_of(job.fiducials, tool, rigid.reference_mm(tool)), job.config.field) for tool in enough}
    asked = settings.method == "field"
    return {tool: one for tool, one in found.items() if asked or one.evidence_non_rigid > settings.field_evidence}


def _posed(fiducials: Sequence[Fiducial], tool: str) -> int:
    return sum(f.collected and f.tool == tool and f.pose is not None for f in fiducials)


def _refuse_what_others_contradict(one: PoseField, job: FitJob) -> None:
    misses = one.leave_one_out_mm
    rms = float(np.sqrt(np.mean(misses**2)))
    if rms > job.config.session.max_fre_mm:
        _refuse(job, "a leave-one-out RMS of the field", rms, misses, list(one.data.names))


def _with_touches(base: Registration, job: FitJob) -> Registration:
    """The registration in use with its field led through the touched points."""
    updated = dict(base.fields)
    for tool in sorted({f.tool for f in job.fiducials if f.collected}):
        one = base.field_of(tool)
        if one is None:
            remedy = "start a session and collect at least 4 fiducials"
            raise InputError(f"session {job.name}", expected=f"a field of tool {tool} to update", got="a rigid registration", remedy=remedy)
        known = set(one.data.names)
        more = correspondences_of([f for f in job.fiducials if f.name not in known], tool, one.data.tip_tool_mm)
        updated[tool] = one.updated(more)
        misses = updated[tool].leave_one_out_mm[-len(more) :]
        if len(more) and misses.max() > job.config.session.max_fre_mm:
            _refuse(job, "a leave-one-out error at each touched point", float(misses.max()), misses, more.names)
    names = {f.name for f in job.fiducials}
    kept = tuple(f for f in base.fiducials if f.name not in names)
    return replace(base, fields=updated, fiducials=kept + job.fiducials, created=job.provenance.created, version=job.provenance.version)


def _refuse(job: FitJob, what: str, got_mm: float, misses_mm: Array, names: Sequence[str]) -> None:
    worst = int(np.argmax(misses_mm))
    remedy = f"collect fiducial {names[worst]} again, it is {misses_mm[worst]:.2f} mm off"
    if misses_mm[worst] < _STANDS_OUT * np.median(misses_mm):
        remedy += ", and more of them: it does not stand out from the others"
    expected = f"{what} of at most {job.config.session.max_fre_mm:g} mm"
    raise InputError(f"session {job.name}", expected=expected, got=f"{got_mm:.2f} mm", remedy=remedy)


_STANDS_OUT = 3.0
"""A fiducial that is so many times further off than the median one is the one to collect again."""
