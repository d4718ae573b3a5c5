"""Jobs and answers of the fitting process as plain values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from em_registration.config import RegistrationConfig
from em_registration.paired_poses import Provenance
from em_registration.refit import FitJob, fit
from em_registration.registration import Registration, registration_from, tools_from, tools_to_mapping
from em_registration.types import Fiducial
from lodestone_core.config import load_config, to_mapping
from lodestone_core.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """What became of a job: a registration with its file's text, or why there is none. `seconds`: of the fit alone."""

    registration: Registration | None
    text: str = ""
    error: str = ""
    seconds: float = 0.0


def job_to_mapping(job: FitJob) -> dict[str, Any]:
    """Plain values of a job."""
    given = job.provenance
    return {
        "name": job.name,
        "fiducials": [fiducial.to_mapping() for fiducial in job.fiducials],
        "config": to_mapping(job.config),
        "provenance": {"created": given.created, "version": given.version, "inputs": dict(given.inputs)},
        "tools": tools_to_mapping(job.tools),
        "base": None if job.base is None else job.base.to_mapping(),
    }


def job_from(mapping: dict[str, Any]) -> FitJob:
    """The job of its plain values."""
    where = "fit"
    return FitJob(
        name=mapping["name"],
        fiducials=tuple(Fiducial.from_mapping(item, where) for item in mapping["fiducials"]),
        config=load_config(RegistrationConfig, mapping["config"], where),
        provenance=Provenance(**mapping["provenance"]),
        tools=tools_from(mapping["tools"], where),
        base=None if mapping["base"] is None else registration_from(mapping["base"], where),
    )


def answer(mapping: dict[str, Any]) -> dict[str, Any]:
    """Carry out a job. The text is made here too: writing it takes longer than the data path may wait."""
    started = time.monotonic()
    try:
        found = fit(job_from(mapping))
    except InputError as error:
        return {"error": str(error), "seconds": time.monotonic() - started}
    return {"registration": found.to_mapping(), "text": found.to_yaml(), "seconds": time.monotonic() - started}


def result_from(mapping: dict[str, Any]) -> FitResult:
    """The result of an answer."""
    if "error" in mapping:
        return FitResult(None, error=mapping["error"], seconds=mapping["seconds"])
    return FitResult(registration_from(mapping["registration"], "fit"), mapping["text"], seconds=mapping["seconds"])
