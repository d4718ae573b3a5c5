"""Two cameras in the ROS naming: image_raw and camera_info of each, and which images belong together.

Each camera is read on a thread of its own and its image is published from there; a guard condition wakes the executor for everything else.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from guidewire_recon.drivers.pairing import Pair, Side
from guidewire_recon.drivers.stereo_config import StereoConfig
from guidewire_recon.drivers.stereo_watch import StereoWatch
from guidewire_recon.drivers.views import SIDES
from guidewire_recon.ros.stereo_report import camera_report, pair_report
from guidewire_recon.ros.stereo_views import ViewsFile
from lodestone_core.camera import CameraModel
from lodestone_core.camera_info import camera_from_yaml
from lodestone_core.device.video import VideoReader
from lodestone_core.device.video_config import VideoConfig
from lodestone_core.device.video_status import VideoFrame, VideoStatus
from lodestone_core.errors import InputError
from lodestone_core.kept_memory import IMAGES_MB
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import header_to_msg, stamp_to_msg
from lodestone_core.ros.images import ImageSender, PixelMemory
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.time import s_from_ns
from lodestone_core.time_calibration import calibrated_clock
from lodestone_msgs.msg import CameraPair

_REPORT_PERIOD_S = 1.0


class StereoNode(LodestoneNode[StereoConfig]):
    """Publishes `stereo/<side>/image_raw`, `stereo/<side>/camera_info` and `stereo/pair`."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("stereo", StereoConfig, **ros)

    def on_configure_node(self, config: StereoConfig) -> None:
        cameras = {side: self._camera(side, getattr(config, f"{side}_calibration")) for side in SIDES}
        self._videos = {side: self._video(side) for side in SIDES}
        self._memory = {side: PixelMemory(self._videos[side].buffers) for side in SIDES}
        self._senders = {
            side: ImageSender(self, f"stereo/{side}", getattr(config, f"{side}_frame_id"), self._memory[side], cameras[side])
            for side in SIDES
        }
        self._watch = StereoWatch(config, None)
        self._views = ViewsFile(self, config, lambda: self._watch.views)
        self._pairs = self.create_publisher(CameraPair, "stereo/pair", qos.DEVICE)

    def on_activate_node(self) -> None:
        self._watch = StereoWatch(self.config, self._views.before)
        self._said = dict.fromkeys(SIDES, VideoStatus())
        self._counted = (0, 0)
        self._news = self.create_guard_condition(self._on_news)
        self._readers = {
            side: VideoReader(self._video(side), partial(self._send, side), self._news.trigger, side, allocate=self._memory[side].allocate)
            for side in SIDES
        }
        for reader in self._readers.values():
            reader.start()
        self.create_steady_timer(_REPORT_PERIOD_S, self._report)

    def on_deactivate_node(self) -> None:
        for reader in self._readers.values():
            reader.stop()
        self.destroy_guard_condition(self._news)
        for name in (*SIDES, "pair"):
            self.diagnostics.retract(name)

    def _video(self, side: str) -> VideoConfig:
        video: VideoConfig = getattr(self.config, side)
        clock = calibrated_clock(video.clock, self.config.time_calibration, f"stereo/{side}/image_raw", self.read_file, self.config.rig)
        return replace(video, clock=clock)

    def _camera(self, side: str, path: str) -> CameraModel | None:
        if not path:
            return None
        if not Path(path).expanduser().exists():  # a new rig has none yet, and calibrates with these very images
            self.get_logger().warning(f"{side}_calibration: {path} does not exist; published as uncalibrated, K of zeros")
            return None
        camera = camera_from_yaml(self.read_file(Path(path).expanduser()).decode(errors="replace"), path)
        if camera.name in SIDES and camera.name != side:
            remedy = "exchange left_calibration and right_calibration"
            raise InputError(f"{side}_calibration {path}", expected=f"the camera {side}", got=f"the camera {camera.name}", remedy=remedy)
        return camera

    def _send(self, side: Side, frame: VideoFrame) -> None:
        """On the thread of a reader: a publisher may be used from any."""
        camera = self._senders[side].camera
        fits = camera is not None and frame.image.shape == (camera.height, camera.width)
        self._senders[side].send(frame.image, frame.stamp_ns, calibrated=fits and self._watch.usable)
        pair = self._watch.take(side, frame)
        if pair is not None:
            self._pairs.publish(self._pair_msg(pair, frame))

    def _pair_msg(self, pair: Pair, frame: VideoFrame) -> CameraPair:
        return CameraPair(
            header=header_to_msg(pair.stamp_ns, self.config.left_frame_id),
            left_stamp=stamp_to_msg(pair.left_ns),
            right_stamp=stamp_to_msg(pair.right_ns),
            skew=s_from_ns(pair.skew_ns),
            sequence=pair.sequence,
            left_skipped=pair.left_skipped,
            right_skipped=pair.right_skipped,
            exposure=frame.exposure_s,
            gain=frame.gain,
        )

    def _on_news(self) -> None:
        for side, reader in self._readers.items():
            status = reader.status
            if status.problem and status.cause is not self._said[side].cause:
                self.get_logger().warning(f"{side}: {status.problem}; {status.remedy}")
            elif self._said[side].problem and status.streaming:
                self.get_logger().info(f"{side}: streaming again")
            self._said[side] = status
        self._put()

    def _report(self) -> None:
        for reader in self._readers.values():
            reader.check()
        self._on_news()
        pairs, images = self._watch.pairing.pairs, max(reader.counters.frames for reader in self._readers.values())
        report = pair_report(self._watch, pairs - self._counted[0], images - self._counted[1], self._views.note)
        self._counted = (pairs, images)
        self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component="pair")

    def _put(self) -> None:
        for side, reader in self._readers.items():
            report = camera_report(reader, self._senders[side].camera)
            self.diagnostics.report(report.level, report.reason, report.remedy, values=report.values, component=side)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(StereoNode, reserve_mb=IMAGES_MB)


if __name__ == "__main__":
    sys.exit(main())
