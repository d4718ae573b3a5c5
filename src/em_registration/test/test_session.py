"""A registration session: what is collected survives, and bad fiducials are refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from em_registration.config import RegistrationConfig, SessionConfig
from em_registration.paired_poses import Provenance
from em_registration.refit import FitJob, fit
from em_registration.registration import Registration
from em_registration.session import Collection, Session, recorded_fiducials
from em_registration.types import Fiducial, Point
from lodestone_core import se3
from lodestone_core.errors import InputError
from lodestone_core.types import ToolSample, ToolStatus

T_TRACKER_IMAGE = se3.exp(np.array([20.0, -30.0, 400.0, 0.3, -0.2, 1.1]))
IMAGE = {"a": (0.0, 0.0, 0.0), "b": (100.0, 0.0, 10.0), "c": (0.0, 100.0, 20.0), "d": (0.0, 0.0, 120.0), "e": (70.0, 80.0, 90.0)}
CONFIG = RegistrationConfig()


def tool_at(position_mm: np.ndarray, status: ToolStatus = ToolStatus.VALID) -> ToolSample:
    return ToolSample("0", status, se3.make(np.eye(3), position_mm) if status is ToolStatus.VALID else None)


def collect(session: Session, name: str, tracker_mm: np.ndarray, jitter_mm: float = 0.05) -> Fiducial:
    rng = np.random.default_rng(len(name))
    collection = session.collection(name, "0", None, 10, None)
    while not collection.complete:
        collection.add(tool_at(tracker_mm + rng.normal(scale=jitter_mm, size=3)))
    fiducial = collection.result(SessionConfig())
    session.add(fiducial)
    return fiducial


def started(folder: Path) -> Session:
    return Session.start("head", folder, [Fiducial(name, point) for name, point in IMAGE.items()])


def compute(session: Session) -> Registration:
    return fit(FitJob(session.name, session.fiducials, CONFIG, Provenance("now", "0")))


def truth(name: str) -> np.ndarray:
    return se3.transform(T_TRACKER_IMAGE, np.array(IMAGE[name]))


def test_collected_fiducials_give_the_registration_and_survive_in_the_file(tmp_path: Path) -> None:
    session = started(tmp_path)
    for name in IMAGE:
        collect(session, name, truth(name))
    model = compute(session)
    np.testing.assert_allclose(model.T_tracker_image[:3, 3], T_TRACKER_IMAGE[:3, 3], atol=0.1)
    again = Session.read(session.path)
    assert repr(again.fiducials) == repr(session.fiducials)


def test_the_mean_of_the_samples_is_taken_and_invalid_ones_are_passed_over(tmp_path: Path) -> None:
    collection = started(tmp_path).collection("a", "0", None, 4, None)
    for x in (1.0, 2.0, 3.0, 4.0):
        collection.add(tool_at(np.zeros(3), ToolStatus.MISSING))
        collection.add(tool_at(np.array([x / 10, 0.0, 0.0])))
    assert collection.result(SessionConfig()).tracker_mm == pytest.approx((0.25, 0.0, 0.0))


def test_a_fiducial_keeps_how_the_tool_was_held_with_the_tip_on_the_point() -> None:
    tip = np.array([0.0, 10.0, 80.0])
    collection = Collection(Fiducial("a", (0.0, 0.0, 0.0)), "0", tip, 50)
    held, on = se3.exp(np.array([0.0, 0.0, 0.0, 0.4, -0.3, 1.0])), np.array([5.0, 6.0, 7.0])
    rng = np.random.default_rng(3)
    for wobble in se3.exp(np.concatenate([np.zeros((50, 3)), rng.normal(scale=0.02, size=(50, 3))], axis=1)):
        R = held[:3, :3] @ wobble[:3, :3]
        collection.add(ToolSample("0", ToolStatus.VALID, se3.make(R, on - R @ tip)))
    fiducial = collection.result(SessionConfig())
    assert fiducial.pose is not None
    np.testing.assert_allclose(se3.transform(fiducial.pose, tip), fiducial.tracker_mm, atol=1e-12)
    assert se3.geodesic(fiducial.pose, se3.make(held[:3, :3], fiducial.pose[:3, 3])) < 0.01
    assert repr(Fiducial.from_mapping(fiducial.to_mapping(), "test")) == repr(fiducial)


def test_a_fiducial_of_an_older_file_has_no_pose_and_a_damaged_pose_is_named() -> None:
    older = {key: value for key, value in Fiducial("nose", (1.0, 2.0, 3.0)).to_mapping().items() if key != "T_tracker_tool"}
    assert Fiducial.from_mapping(older, "old").T_tracker_tool is None
    with pytest.raises(InputError, match="fiducial nose, T_tracker_tool"):
        Fiducial.from_mapping({**older, "T_tracker_tool": (2.0 * np.eye(4)).tolist()}, "new")


def test_a_session_goes_on_from_the_fiducials_of_a_session_or_a_registration(tmp_path: Path) -> None:
    session = started(tmp_path)
    for name in IMAGE:
        collect(session, name, truth(name))
    compute(session).save(tmp_path / "registration.yaml")
    for path in (session.path, tmp_path / "registration.yaml"):
        again = Session.go_on("again", tmp_path, recorded_fiducials(path))
        np.testing.assert_array_equal(compute(again).T_tracker_image, compute(session).T_tracker_image)
    assert len(list(tmp_path.glob("again*.session.yaml"))) == 2


def test_a_moving_tip_is_refused_with_its_spread(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spread"):
        collect(started(tmp_path), "a", truth("a"), jitter_mm=5.0)


def test_too_few_fiducials_and_too_few_samples_are_named(tmp_path: Path) -> None:
    session = started(tmp_path)
    collect(session, "a", truth("a"))
    with pytest.raises(InputError, match="at least 4"):
        compute(session)
    with pytest.raises(InputError, match="10 valid samples"):
        session.collection("b", "0", None, 10, None).result(SessionConfig())


def test_a_bad_fiducial_is_named_and_nothing_collected_is_lost(tmp_path: Path) -> None:
    session = started(tmp_path)
    for name in IMAGE:
        collect(session, name, truth(name) + (np.array([30.0, 0.0, 0.0]) if name == "c" else 0.0))
    with pytest.raises(InputError, match="fiducial c"):
        compute(session)
    assert len(Session.read(session.path).fiducials) == len(IMAGE)
    session.remove("c")
    assert compute(session).n == 4


def test_an_unknown_fiducial_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a, b, c, d, e"):
        started(tmp_path).remove("z")


def test_a_second_session_of_the_same_name_leaves_the_first_one_alone(tmp_path: Path) -> None:
    first = started(tmp_path)
    collect(first, "a", truth("a"))
    second = started(tmp_path)
    assert first.path != second.path
    assert Session.read(first.path).fiducials[0].collected


@pytest.mark.parametrize("name", ["", "../x", "a b", "a/b"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="session name"):
        Session.start(name, tmp_path, [])


@pytest.mark.parametrize("arrange", ["collinear", "mirrored", "metres"])
def test_geometry_that_cannot_be_registered_is_refused(tmp_path: Path, arrange: str) -> None:
    session = started(tmp_path)
    for name, image in IMAGE.items():
        point = truth(name)
        if arrange == "mirrored":
            point = point * np.array([1.0, 1.0, -1.0])
        if arrange == "metres":
            point = point / 1000.0
        fiducial = collect(session, name, point, jitter_mm=0.0)
        if arrange == "collinear":
            line: Point = (image[0] + image[1] + image[2], 0.0, 0.0)
            session.add(replace(fiducial, image_mm=line))
    with pytest.raises(InputError):
        compute(session)
