"""One TF edge that the authority owns: what was last accepted, since when, and why it is or is not broadcast."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lodestone_core.estimate import Estimate, Reason, State
from lodestone_core.time import ns_from_s, s_from_ns
from lodestone_guidance.config import AuthorityConfig
from lodestone_guidance.gates import Refusal, jumped, refuse


@dataclass(frozen=True, slots=True)
class EdgeReport:
    """What the status topic says about one edge; mm, ns of the node's clock."""

    parent: str
    child: str
    state: State
    reasons: Reason
    detail: str
    broadcast: bool
    epoch: int
    valid_since_ns: int
    last_stamp_ns: int
    age_s: float
    expected_tre_mm: float


class Edge:
    """Gates the estimates of one child frame and remembers the epoch that a controller sees.

    That epoch is the authority's own: it rises with the registration's, and with every jump that was confirmed.
    """

    def __init__(self, child: str, parent: str, config: AuthorityConfig) -> None:
        self.child = child
        self.parent = parent
        self._config = config
        self._accepted: Estimate | None = None
        self._source_epoch: int | None = None
        self._epoch = 0
        self._valid_since_ns = 0
        self._arrival_steady_ns = 0
        self._last_stamp_ns: int | None = None
        self._suspects: list[Estimate] = []
        self._suspected_since_ns = 0
        self._in_force = False
        self._refusal = Refusal(Reason.NO_REGISTRATION, "nothing has come yet", State.UNKNOWN)

    @property
    def in_force(self) -> bool:
        """Whether the edge may be broadcast now."""
        return self._in_force

    def offer(self, estimate: Estimate, now_ns: int, steady_ns: int) -> Estimate | None:
        """The estimate as a controller gets it, with the authority's epoch; None when a gate refused it (see report)."""
        refusal = self._frame_mismatch(estimate) or refuse(estimate, self._config, now_ns)
        if refusal is None and self._last_stamp_ns is not None and estimate.stamp_ns <= self._last_stamp_ns:
            return None  # a repeat or a late sample says nothing new; the edge stands or ages by itself
        new_epoch = self._source_epoch != estimate.epoch
        if refusal is None and not new_epoch:
            refusal = self._jump(estimate)
            if refusal is not None and self._confirmed(estimate):
                refusal, new_epoch = None, True
        if refusal is None:
            return self._accept(estimate, new_epoch=new_epoch, steady_ns=steady_ns)
        self._stop(refusal)
        return None

    def expire(self, steady_ns: int) -> bool:
        """Stop the edge when nothing has been accepted for max_age of steady time; True when that happened now."""
        silent_ns = steady_ns - self._arrival_steady_ns
        if not self._in_force or silent_ns <= ns_from_s(self._config.max_age_s):
            return False
        self._stop(
            Refusal(
                Reason.STALE,
                f"nothing has come for {s_from_ns(silent_ns):.2f} s: check the driver and the registration",
            )
        )
        return True

    def after_clock_step(self) -> Edge:
        """A fresh edge for the time after a backward clock step; its epochs go on, so that none is ever seen twice."""
        fresh = Edge(self.child, self.parent, self._config)
        fresh._epoch = self._epoch
        detail = "the clock stepped backward; waiting for new samples"
        fresh._refusal = Refusal(Reason.CLOCK_STEP, detail, State.INITIALISING)
        return fresh

    def report(self, now_ns: int) -> EdgeReport:
        """What stands now."""
        last = self._accepted
        usable = self._in_force and last is not None
        return EdgeReport(
            parent=self.parent,
            child=self.child,
            state=last.state if usable and last else self._refusal.state,
            reasons=last.reasons if usable and last else self._refusal.reason,
            detail=last.detail if usable and last else self._refusal.detail,
            broadcast=usable,
            epoch=self._epoch,
            valid_since_ns=self._valid_since_ns if usable else 0,
            last_stamp_ns=last.stamp_ns if last else 0,
            age_s=s_from_ns(now_ns - last.stamp_ns) if last else float("nan"),
            expected_tre_mm=last.expected_tre_mm if last else float("nan"),
        )

    def _accept(self, estimate: Estimate, *, new_epoch: bool, steady_ns: int) -> Estimate:
        self._epoch += new_epoch
        if new_epoch or not self._in_force:
            self._valid_since_ns = estimate.stamp_ns
        self._suspects = []
        self._source_epoch = estimate.epoch
        self._arrival_steady_ns = steady_ns
        self._last_stamp_ns = estimate.stamp_ns
        self._in_force = True
        self._accepted = estimate if estimate.epoch == self._epoch else replace(estimate, epoch=self._epoch)
        return self._accepted

    def _frame_mismatch(self, estimate: Estimate) -> Refusal | None:
        if estimate.parent == self.parent:
            return None
        detail = f"parent {estimate.parent!r} came, but the parent of this frame is {self.parent!r}: rename one"
        return Refusal(Reason.FRAME_MISMATCH, detail)

    def _stop(self, refusal: Refusal) -> None:
        if refusal.reason is not Reason.JUMP:
            self._suspects = []
        self._in_force = False
        self._refusal = refusal

    def _jump(self, estimate: Estimate) -> Refusal | None:
        """A jump against the last accepted pose; after a gap any pose may come, so there is nothing to compare with."""
        if self._suspects and estimate.stamp_ns - self._suspects[-1].stamp_ns > ns_from_s(self._config.max_age_s):
            self._suspects = []
        if self._accepted is None or not (self._in_force or self._suspects):
            return None
        # The time that passes while jumps are looked at must not make one plausible, also where the pose jumps on and on.
        since_ns = self._suspected_since_ns if self._suspects else estimate.stamp_ns
        return jumped(self._accepted, estimate, since_ns - self._accepted.stamp_ns, self._config)

    def _confirmed(self, estimate: Estimate) -> bool:
        """Collect samples after a jump; consistent ones in a row make it a new epoch."""
        if not self._suspects:
            self._suspected_since_ns = estimate.stamp_ns
        else:
            last = self._suspects[-1]
            if jumped(last, estimate, estimate.stamp_ns - last.stamp_ns, self._config) is not None:
                self._suspects = []
        self._suspects.append(estimate)
        return len(self._suspects) > self._config.jump_confirmations
