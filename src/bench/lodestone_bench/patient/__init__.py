"""The simulated patient: a body with a liver that breathes, its vessels, ribs and gas. Truth for the probe and the C-arm."""

from lodestone_bench.patient.config import PatientConfig
from lodestone_bench.patient.patient import Patient

__all__ = ["Patient", "PatientConfig"]
