"""What a bag says of the stream itself: frames in and out, lost, duplicates, and latency from a reply's last byte to the TF message."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lodestone_core.bags import open_bag
from lodestone_core.config import option
from lodestone_core.messages import frame_from_msg, stamp_from_msg
from lodestone_core.results import Row
from lodestone_core.time import ns_from_s, s_from_ns
from lodestone_core.types import TrackedFrame


@dataclass(frozen=True, slots=True)
class StreamConfig:
    """Where corrected frames are broadcast, and which of them count."""

    tf_topic: str = option("/tf", doc="frames as they were broadcast")
    parent: str = option("image", doc="parent of the corrected frames")
    settle_s: float = option(1.0, unit="s", doc="start that latencies leave out: processes still discover each other", minimum=0.0)


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One corrected frame on /tf: when the recorder had it, the sample's stamp, the child."""

    arrived_ns: int
    stamp_ns: int
    child: str


def stream_rows(bag: Path, tools_topic: str, config: StreamConfig) -> list[Row]:
    """The figures, as rows of the method `live`."""
    frames = read_frames(bag, tools_topic)
    broadcasts = read_broadcasts(bag, config)
    sent = {(each.stamp_ns, each.child) for each in broadcasts}
    numbers = [frame.frame_number for frame in frames]
    counts = {
        "frames_in": len(frames),
        "frames_without_pose": sum(all(tool.T_tracker_tool is None for tool in frame.tools) for frame in frames),
        "frames_out": len({stamp for stamp, _ in sent}),
        "frames_lost": sum(frame.frames_skipped for frame in frames),
        "duplicates": len(broadcasts) - len(sent) + len(numbers) - len(set(numbers)),
    }
    latency_ms = latencies_ms(frames, broadcasts, config.settle_s)
    rows = [Row("live", "stream", name, float(count), "", len(frames)) for name, count in counts.items()]
    for share in (50, 90):
        value = float(np.percentile(latency_ms, share)) if latency_ms else float("nan")
        rows.append(Row("live", "stream", f"latency_p{share}", value, "ms", len(latency_ms)))
    return rows


def read_frames(bag: Path, topic: str) -> list[TrackedFrame]:
    """Frames of the driver."""
    with open_bag(bag) as opened:
        return [frame_from_msg(message.message) for message in opened.messages([topic])]


def read_broadcasts(bag: Path, config: StreamConfig) -> list[Broadcast]:
    """Corrected frames as they were broadcast."""
    with open_bag(bag) as opened:
        return [
            Broadcast(message.log_ns, stamp_from_msg(edge.header.stamp), edge.child_frame_id)
            for message in opened.messages([config.tf_topic])
            for edge in message.message.transforms
            if edge.header.frame_id == config.parent
        ]


def latencies_ms(frames: list[TrackedFrame], broadcasts: list[Broadcast], settle_s: float) -> list[float]:
    """From the arrival of a reply's last byte at the driver to that of the TF message at the recorder."""
    if not frames:
        return []
    received = {frame.stamp_ns: frame.received_ns for frame in frames}
    start_ns = frames[0].received_ns + ns_from_s(settle_s)
    pairs = [(each.arrived_ns, received[each.stamp_ns]) for each in broadcasts if each.stamp_ns in received]
    return [1e3 * s_from_ns(arrived_ns - at_ns) for arrived_ns, at_ns in pairs if at_ns >= start_ns]
