"""What the stereo node says in diagnostics."""

from __future__ import annotations

from guidewire_recon.drivers.stereo_watch import StereoWatch
from guidewire_recon.drivers.views import Verdict
from lodestone_core.camera import CameraModel
from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_status import VideoCause, VideoStage
from lodestone_core.ros.diagnostics import Level, Report

_SOFT = (VideoCause.SLOW, VideoCause.BLACK)
_CALIBRATE = "make a calibration with `lodestone calibrate stereo` and give its file"


def camera_report(reader: VideoReader, camera: CameraModel | None) -> Report:
    """One camera: what is wrong with it, else whether it is calibrated."""
    status, counters = reader.status, reader.counters
    values = {
        "source": reader.config.source,
        "stage": status.stage.value,
        "size": f"{status.width}x{status.height}",
        "rate_hz": round(reader.rate_hz, 2),
        "images": counters.frames,
        "skipped": counters.skipped,
        "repeats_dropped": counters.repeats,
        "unstamped_dropped": counters.unstamped,
        "openings": counters.openings,
        "losses": counters.losses,
    }
    if status.problem:
        level = Level.WARN if status.cause in _SOFT else Level.ERROR
        return Report(level, f"{status.problem} (now: {status.stage.value})", status.remedy, values)
    if status.stage is not VideoStage.STREAM:
        return Report(Level.WARN, f"under way: {status.stage.value}", "", values)
    if camera is not None and (status.width, status.height) not in ((0, 0), (camera.width, camera.height)):
        reason = f"images of {status.width}x{status.height} px, calibrated at {camera.width}x{camera.height}: published as uncalibrated"
        return Report(Level.ERROR, reason, "set the camera to the size of its calibration, or calibrate it at this one", values)
    if camera is None:
        return Report(Level.WARN, "streaming, uncalibrated: camera_info has K of zeros", _CALIBRATE, values)
    if status.notes:
        return Report(Level.WARN, "streaming; " + "; ".join(status.notes), "see the notes", values)
    return Report(Level.OK, f"streaming {status.width}x{status.height} at {reader.rate_hz:.1f} Hz", "", values)


def pair_report(watch: StereoWatch, pairs_of_late: int, images_of_late: int, note: str = "") -> Report:
    """Left and right together; pairs and images (of the side with more) since the report before."""
    unpaired = watch.pairing.unpaired
    values: dict[str, object] = {"pairs": watch.pairing.pairs, "left_unpaired": unpaired["left"], "right_unpaired": unpaired["right"]}
    values["skew_ms"] = "unknown" if watch.skew_s is None else round(1e3 * watch.skew_s, 3)
    if watch.likeness is not None:
        likeness = watch.likeness
        values["likeness"] = f"left {likeness.left_left:.2f}, right {likeness.right_right:.2f}"
    if watch.verdict is Verdict.SWAPPED:
        remedy = "exchange the two cables, or the parameters left.source and right.source"
        return Report(Level.ERROR, f"{watch.verdict.value}; no pairs, published as uncalibrated", remedy, values)
    if images_of_late and not pairs_of_late:
        remedy = "look at the cameras below; trigger both by one signal, or raise pairing.tolerance_s"
        return Report(Level.ERROR, "no image finds a partner", remedy, values)
    if images_of_late - pairs_of_late > max(2, images_of_late // 2):
        return Report(Level.WARN, "many images find no partner", "trigger both cameras by one signal", values)
    if watch.verdict is Verdict.CHANGED:
        return Report(Level.WARN, watch.verdict.value, "check that no camera was moved; then calibrate again, or call ~/save_views", values)
    if note:
        return Report(Level.WARN, note, "call ~/save_views once both cameras see the bench as it is to be", values)
    return Report(Level.OK if pairs_of_late else Level.WARN, "in pairs" if pairs_of_late else "waits for images", "", values)
