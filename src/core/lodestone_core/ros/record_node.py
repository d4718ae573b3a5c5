"""The recorder as a part of a launch file: every topic, or those named, into a bag that survives a kill."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lodestone_core.config import option
from lodestone_core.ros.diagnostics import Level
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.ros.recorder import Recorder
from lodestone_core.ros.run import run

IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_REPORT_PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class RecordConfig:
    """What is recorded, and where to."""

    bag: str = option("", doc="new bag folder; empty: bags/<date and time> below the working directory")
    topics: str = option("", doc="topics with spaces between; empty: all visible ones")
    images: bool = option(True, doc="record images too: some 60 MB/s with two cameras")
    exclude: tuple[str, ...] = option(
        ("/magnetometers/*/magnetic_field", "/aurora/*/measured_cp", "/em_registration/*/measured_cp"),
        doc="patterns of topics that are left out: those that repeat others, and are made on request",
    )


class RecordNode(LodestoneNode[RecordConfig]):
    """Records while it is active; each activation makes a bag of its own when `bag` is empty."""

    def __init__(self, **ros: Any) -> None:
        super().__init__("record", RecordConfig, **ros)

    def on_activate_node(self) -> None:
        """Begin the bag. Raises InputError when there is one already, or it cannot be made."""
        config = self.config
        path = Path(config.bag or Path("bags", time.strftime("%Y-%m-%d-%H-%M-%S")))
        self._recorder = Recorder(self, path, config.topics.split(), without=() if config.images else IMAGES, exclude=config.exclude)
        self.get_logger().info(f"records into {path}")
        self.create_steady_timer(_REPORT_PERIOD_S, self._report)

    def on_deactivate_node(self) -> None:
        """Finish the bag."""
        self._recorder.finish()
        self.get_logger().info(f"{sum(self._recorder.counts.values())} messages of {len(self._recorder.counts)} topics recorded")

    def _report(self) -> None:
        counts, lost, missing = self._recorder.counts, self._recorder.lost, self._recorder.missing
        values = {"messages": sum(counts.values()), "topics": len(counts), "lost": lost}
        if lost:
            remedy = "record fewer topics (images:=false), or onto a faster disk"
            self.diagnostics.report(Level.WARN, f"{lost} messages were dropped before they could be recorded", remedy, values=values)
        elif missing:
            self.diagnostics.report(Level.WARN, f"nobody publishes {', '.join(missing)}", "check the names", values=values)
        else:
            self.diagnostics.report(Level.OK, "records", values=values)


def main() -> int:
    """Run the node until it is told to stop."""
    return run(RecordNode)


if __name__ == "__main__":
    sys.exit(main())
