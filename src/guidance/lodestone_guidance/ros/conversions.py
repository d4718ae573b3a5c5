"""Writer of lodestone_msgs/RegistrationStatus."""

from __future__ import annotations

from collections.abc import Iterable

from lodestone_core.ros.conversions import duration_to_msg, header_to_msg, stamp_to_msg
from lodestone_core.time import ns_from_s
from lodestone_core.units import m_from_mm
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.edge import EdgeReport
from lodestone_msgs.msg import EdgeStatus, RegistrationStatus


def status_to_msg(now_ns: int, config: AuthorityConfig, reports: Iterable[EdgeReport]) -> RegistrationStatus:
    """The authority's heartbeat, stamped with the node's clock."""
    edges = [edge_to_msg(report, config.max_age_s) for report in reports]
    return RegistrationStatus(header=header_to_msg(now_ns, config.root), image_source=config.image_source, edges=edges)


def edge_to_msg(report: EdgeReport, max_age_s: float) -> EdgeStatus:
    """What stands of one edge."""
    return EdgeStatus(
        parent_frame_id=report.parent,
        child_frame_id=report.child,
        state=int(report.state),
        reasons=int(report.reasons),
        detail=report.detail,
        broadcast=report.broadcast,
        epoch=int(report.epoch),
        max_age=duration_to_msg(ns_from_s(max_age_s)),
        valid_since=stamp_to_msg(report.valid_since_ns),
        last_stamp=stamp_to_msg(report.last_stamp_ns),
        age=float(report.age_s),
        expected_tre=float(m_from_mm(report.expected_tre_mm)),
    )
