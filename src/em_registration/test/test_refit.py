"""Fits of a registration from fiducials: when a field is used, what is refused by name, and the process that fits beside the data path."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from em_registration.config import RegistrationConfig, SessionConfig
from em_registration.fit_process import FitProcess
from em_registration.fit_wire import FitResult, job_from, job_to_mapping
from em_registration.paired_poses import Provenance
from em_registration.refit import FitJob, fit, rests_on_fiducials
from em_registration.registration import Registration, ToolCalibration
from em_registration.touch_check import miss_at
from em_registration.types import Fiducial, rows
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import Array

T_TRACKER_IMAGE = se3.exp(np.array([20.0, -30.0, 400.0, 0.3, -0.2, 1.1]))
TIP_MM = np.array([0.0, 0.0, 40.0])
TOOLS = {"pointer": ToolCalibration(se3.make(np.eye(3), TIP_MM), np.diag([0.01] * 3 + [1e-6] * 3), 0.1, 100)}
PROVENANCE = Provenance("2026-01-01T00:00:00+00:00", "0.1.0")
CONFIG = RegistrationConfig(session=SessionConfig(max_fre_mm=2.0))


def shifted(points: Array, size_mm: float) -> Array:
    """Points as a distorted tracker sees them: no more than `size_mm` off along each axis."""
    x, y, z = points.T / 70.0
    return points + size_mm * np.stack([np.sin(y), np.cos(z + x), np.tanh(x - z)], axis=1)


def fiducials(count: int, distortion_mm: float = 0.0, seed: int = 0) -> tuple[Fiducial, ...]:
    rng = np.random.default_rng(seed)
    image = rng.uniform(-100.0, 100.0, (count, 3))
    tracker = shifted(se3.transform(T_TRACKER_IMAGE, image), distortion_mm) + rng.normal(scale=0.05, size=(count, 3))
    turns = se3.exp(np.concatenate([np.zeros((count, 3)), rng.normal(scale=0.3, size=(count, 3))], axis=1))[:, :3, :3]
    poses = se3.make(turns, tracker - turns @ TIP_MM)
    return tuple(
        Fiducial(f"f{i}", tuple(q.tolist()), tuple(p.tolist()), "pointer", 0.05, 40, T_tracker_tool=rows(T))
        for i, (q, p, T) in enumerate(zip(image, tracker, poses, strict=True))
    )


def job(some: tuple[Fiducial, ...], config: RegistrationConfig = CONFIG, base: Registration | None = None) -> FitJob:
    return FitJob("head", some, config, PROVENANCE, TOOLS, base)


def with_method(method: str) -> RegistrationConfig:
    return replace(CONFIG, session=replace(CONFIG.session, method=method))


def test_a_clean_tracker_gets_a_rigid_registration_and_a_distorted_one_a_field() -> None:
    clean, distorted = fit(job(fiducials(24))), fit(job(fiducials(24, 4.0)))
    assert not clean.fields
    assert distorted.fields["pointer"].evidence_non_rigid > 0.99
    np.testing.assert_array_equal(clean.T_tracker_image, fit(job(fiducials(24), with_method("rigid"))).T_tracker_image)
    assert fit(job(fiducials(24), with_method("field"))).fields


def test_what_no_rigid_registration_explains_is_refused_where_the_method_is_rigid_and_corrected_where_it_is_not() -> None:
    some = fiducials(40, 6.0)
    with pytest.raises(InputError, match=r"FRE of at most 2 mm.*collect fiducial f\d+ again"):
        fit(job(some, with_method("rigid")))
    assert np.sqrt(np.mean(fit(job(some)).fields["pointer"].leave_one_out_mm ** 2)) < 2.0


def test_a_fiducial_that_all_others_contradict_is_named_also_with_a_field() -> None:
    some = list(fiducials(24, 4.0))
    bad = some[7]
    moved = tuple(value + 25.0 for value in bad.tracker_mm)
    assert bad.pose is not None
    some[7] = replace(bad, tracker_mm=moved, T_tracker_tool=rows(se3.make(bad.pose[:3, :3], bad.pose[:3, 3] + 25.0)))
    with pytest.raises(InputError, match="collect fiducial f7 again"):
        fit(job(tuple(some)))


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("too few", "at least 4"),
        ("duplicate", "f0 and f1"),
        ("collinear", "collinear"),
        ("mirrored", "mirrored"),
        ("metres", "metres"),
        ("swapped", "f2"),
        ("mislabelled", "f1.*f3.*f6"),
    ],
)
@pytest.mark.parametrize("distortion_mm", [0.0, 3.0])
def test_each_mistake_is_caught_by_its_name_with_and_without_distortion(how: str, words: str, distortion_mm: float) -> None:
    some = list(fiducials(8, distortion_mm))
    image = np.array([f.image_mm for f in some])
    if how == "too few":
        some = some[:3]
    elif how == "duplicate":
        image[1] = image[0]
    elif how == "collinear":
        image = np.outer(np.arange(8.0), [40.0, 20.0, 0.0])
    elif how == "mirrored":
        image[:, 2] *= -1.0
    elif how == "metres":
        image /= 1000.0
    elif how == "swapped":
        image[[2, 5]] = image[[5, 2]]
    elif how == "mislabelled":
        image[[1, 3, 6]] = image[[3, 6, 1]]
    moved = tuple(replace(f, image_mm=tuple(q.tolist())) for f, q in zip(some, image, strict=False))
    with pytest.raises(InputError, match=words):
        fit(job(moved))


def test_touches_lead_the_field_of_a_registration_that_rests_on_more_than_fiducials() -> None:
    base = replace(fit(job(fiducials(30, 4.0))), fiducials=(), n=400)
    assert not rests_on_fiducials(base)
    touch = replace(fiducials(1, 4.0, seed=9)[0], name="touched")
    again = fit(job((touch,), base=base))
    assert len(again.fields["pointer"].data) == 31
    assert miss_at(again, CONFIG, touch).off_mm < miss_at(base, CONFIG, touch).off_mm
    np.testing.assert_array_equal(again.T_tracker_image, base.T_tracker_image)
    wrong = replace(touch, image_mm=tuple(value + 30.0 for value in touch.image_mm))
    with pytest.raises(InputError, match="collect fiducial touched again"):
        fit(job((wrong,), base=base))
    with pytest.raises(InputError, match="rigid registration"):
        fit(job((touch,), base=replace(base, fields={})))


def test_a_touch_says_how_far_off_the_registration_in_use_is() -> None:
    some = fiducials(12)
    miss = miss_at(fit(job(some)), CONFIG, some[0])
    assert miss.off_mm < miss.expected_mm < 1.0
    off = replace(some[0], image_mm=(some[0].image_mm[0] + 7.0, *some[0].image_mm[1:]))
    assert 6.5 < miss_at(fit(job(some)), CONFIG, off).off_mm < 7.5


def test_a_job_comes_through_plain_values_to_the_last_bit() -> None:
    some = job(fiducials(12, 2.0), base=fit(job(fiducials(10, 2.0))))
    again = job_from(job_to_mapping(some))
    assert job_to_mapping(again) == job_to_mapping(some)
    assert fit(replace(again, base=None)).to_yaml() == fit(replace(some, base=None)).to_yaml()


class Inbox:
    """Results of a process, waited for."""

    def __init__(self) -> None:
        self.results: list[FitResult] = []
        self._news = threading.Event()

    def take(self, result: FitResult) -> None:
        self.results.append(result)
        self._news.set()

    def wait(self) -> FitResult:
        assert self._news.wait(20.0), "no result"
        self._news.clear()
        return self.results[-1]


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def process(inbox: Inbox) -> Iterator[FitProcess]:
    made = FitProcess(inbox.take)
    made.start()
    yield made
    made.close()
    assert made.pid is None


def test_the_process_gives_what_a_fit_here_gives_to_the_last_bit_at_low_priority(process: FitProcess, inbox: Inbox) -> None:
    process.submit(job(fiducials(24, 4.0)))
    result = inbox.wait()
    assert result.registration is not None
    assert result.text == fit(job(fiducials(24, 4.0))).to_yaml() == result.registration.to_yaml()
    assert process.pid is not None
    assert os.getpriority(os.PRIO_PROCESS, process.pid) >= 10
    assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER


def test_bad_input_comes_back_as_its_sentence_and_the_process_lives_on(process: FitProcess, inbox: Inbox) -> None:
    pid = process.pid
    process.submit(job(fiducials(3)))
    assert "at least 4 collected fiducials" in inbox.wait().error
    assert process.pid == pid


def test_a_process_that_dies_is_a_result_with_a_sentence_and_the_next_job_has_another(process: FitProcess, inbox: Inbox) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    process.submit(job(fiducials(24, 4.0)))
    os.kill(process.pid, signal.SIGKILL)
    assert "ended with exit code -9" in inbox.wait().error
    process.submit(job(fiducials(24)))
    assert inbox.wait().registration is not None


def test_a_fit_that_is_given_up_is_a_result_and_its_late_answer_is_not(process: FitProcess, inbox: Inbox) -> None:
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    process.submit(job(fiducials(24)))
    process.give_up("too slow")
    assert inbox.wait().error == "too slow"
    count = len(inbox.results)
    time.sleep(0.2)
    assert len(inbox.results) == count
    assert not process.busy
