"""The emulated Aurora and the optical track recorded beside it, in one process and on one clock."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import Empty

from lodestone_bench.emulators.aurora_emulator import AuroraEmulator
from lodestone_bench.emulators.aurora_setup import Paths, recording_emulator, scripted_emulator
from lodestone_bench.sources.recording import RecordingSource
from lodestone_bench.sources.reference import RecordedReference, ReferenceTrack, ScriptedReference
from lodestone_bench.world.config import Script, default_script, read_script
from lodestone_bench.world.scripted import ScriptedWorld
from lodestone_core.config import REQUIRED, option
from lodestone_core.errors import InputError
from lodestone_core.ros import qos
from lodestone_core.ros.conversions import pose_sample_to_msg
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.run import run
from lodestone_core.time import ns_from_s
from lodestone_core.types import PoseSample

_PERIOD_S = 0.005
_LEAVE_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class RecordingConfig:
    """Parameters of the node. Without a recording and without a script the default scripted world is played."""

    port_link: str = option(REQUIRED, doc="symbolic link to make to the emulated serial port")
    control: str = option("", doc="unix socket for requests to the emulator; empty for none")
    em_recording: str = option("", doc="EMTracking*.txt to play")
    optical_recording: str = option("", doc="OpticalTracking*.txt made beside it; empty plays no reference")
    script: str = option("", doc="scripted world to play instead (YAML)")
    tools: int = option(2, doc="tools of the default scripted world", minimum=1, maximum=12)
    loop: bool = option(False, doc="begin the recording again at its end")
    exit_when_finished: bool = option(False, doc="end the process one second after the playback")


class RecordingNode(LodestoneNode[RecordingConfig]):
    """Publishes `reference/measured_cp` from the first TSTART on and, once, `recording/finished` after the last sample."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("recording", RecordingConfig, **ros)
        self._source: RecordingSource | None = None
        self._script: Script | None = None
        self._track: ReferenceTrack | None = None
        self._crash_of_emulator: Exception | None = None

    def on_configure_node(self, config: RecordingConfig) -> None:
        """Read the tracks; the publishers are there before anything plays."""
        self._source = self._script = None
        if config.em_recording and config.script:
            got, remedy = "both", "give one of them"
            raise InputError("em_recording", expected="a recording or a script", got=got, remedy=remedy)
        if config.em_recording:
            self._read_recordings(config)
        else:
            self._script = read_script(Path(config.script)) if config.script else default_script(config.tools)
            self._track = ScriptedReference(ScriptedWorld(self._script))
        self._reference = self.create_publisher(PoseStamped, "reference/measured_cp", qos.DEVICE)
        self._finished = self.create_publisher(Empty, "recording/finished", qos.latched())

    def on_activate_node(self) -> None:
        """Plug the device in and wait for a driver to start it."""
        self._emulator = self._make_emulator(self.config)
        self._emulator.open()
        self._thread = threading.Thread(target=self._serve, name="aurora", daemon=True)
        self._thread.start()
        self._start_ns: int | None = None
        self._published_ns, self._is_finished = -1, False
        self.diagnostics.report(Level.OK, "waits for a driver to start tracking")
        self.create_steady_timer(_PERIOD_S, self._on_timer)

    def on_deactivate_node(self) -> None:
        """Unplug the device."""
        self._emulator.stop()
        self._thread.join()

    def _read_recordings(self, config: RecordingConfig) -> None:
        self.read_file(config.em_recording)
        self._source = source = RecordingSource.read(Path(config.em_recording), loop=config.loop)
        self._track = None
        if config.optical_recording:
            self.read_file(config.optical_recording)
            self._track = RecordedReference(Path(config.optical_recording), source)

    def _make_emulator(self, config: RecordingConfig) -> AuroraEmulator:
        paths = Paths(Path(config.port_link), Path(config.control) if config.control else None)
        if self._source is not None:
            return recording_emulator(self._source, paths)
        return scripted_emulator(self._script or default_script(config.tools), paths)

    def _serve(self) -> None:
        try:
            self._emulator.run()
        except Exception as error:  # handed to the executor's thread, which ends the node with it
            self._crash_of_emulator = error

    def _on_timer(self) -> None:
        if self._crash_of_emulator is not None:
            raise self._crash_of_emulator
        measuring = self._emulator.device.measuring
        if measuring.started_s is None:
            return
        elapsed_ns = ns_from_s(time.monotonic() - measuring.started_s)
        if self._start_ns is None:
            self._start_ns = self.get_clock().now().nanoseconds - elapsed_ns
            self.diagnostics.report(Level.OK, "plays")
        self._publish_until(elapsed_ns, self._start_ns)
        track_end_ns = self._track.end_ns if self._track is not None else 0
        if not self._is_finished and track_end_ns is not None and elapsed_ns >= track_end_ns and measuring.finished(time.monotonic()):
            self._finish()

    def _publish_until(self, elapsed_ns: int, start_ns: int) -> None:
        if self._track is None:
            return
        for offset_ns, T_image_marker in self._track.between(self._published_ns, elapsed_ns):
            self._reference.publish(pose_sample_to_msg(PoseSample(start_ns + offset_ns, "image", "reference", T_image_marker)))
        self._published_ns = max(self._published_ns, elapsed_ns)

    def _finish(self) -> None:
        self._is_finished = True
        self._finished.publish(Empty())
        self.diagnostics.report(Level.OK, "the recording has ended")
        self.get_logger().info("the recording has ended")
        if self.config.exit_when_finished:
            self.create_steady_timer(_LEAVE_AFTER_S, _leave)


def _leave() -> None:
    raise ExternalShutdownException


def main() -> int:
    """Entry point of `recording_node`."""
    return run(RecordingNode)
