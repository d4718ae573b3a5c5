"""One poll of a tracking device: BX, or TX once BX has failed too often in a row."""

from __future__ import annotations

from dataclasses import dataclass

from em_registration.drivers import ndi_commands as ndi
from em_registration.drivers.config import AuroraConfig
from em_registration.drivers.link import Answer, Link
from em_registration.drivers.ndi_codes import GARBLED
from em_registration.drivers.ndi_commands import ReplyKind
from em_registration.drivers.ndi_measurements import Measurement
from em_registration.drivers.ndi_replies import Failure, ResetDone
from em_registration.drivers.pacing import Pacing
from lodestone_core.device.faults import Cause, DriverFault
from lodestone_core.device.serial_port import Clock
from lodestone_core.time import NS_PER_S


@dataclass(slots=True)
class PollCounters:
    """What the polls met since the driver started."""

    polls: int = 0
    bad_replies: int = 0
    silences: int = 0


class Poller:
    """Asks for measurements at the configured interval, and says when it is time for the next stage of recovery."""

    def __init__(self, config: AuroraConfig, clock: Clock) -> None:
        self.counters = PollCounters()
        self._config = config
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """A fresh start of the device: with the configured kind of reply."""
        self.kind = ReplyKind(self._config.reply)
        self.resume()

    def resume(self) -> None:
        """Tracking was started again."""
        self._bad = self._silent = 0
        self._next_ns = 0
        self._pacing = Pacing(self._config.poll_interval_s)

    @property
    def fell_back(self) -> bool:
        """Whether TX is in use although BX was configured."""
        return self.kind.value != self._config.reply

    def poll(self, link: Link) -> tuple[Measurement, Answer] | None:
        """One poll; None when it failed and is worth repeating. Raises DriverFault when repeating has not helped."""
        link.pause((self._next_ns - self._clock.now_ns()) / NS_PER_S)
        answer = link.ask(ndi.measure(self.kind, self._config.out_of_volume))
        self._next_ns = answer.sent_ns + round(self._config.poll_interval_s * NS_PER_S)
        self.counters.polls += 1
        reply = answer.reply
        if isinstance(reply, Measurement):
            self._bad = self._silent = 0
            self._next_ns = self._pacing.next_ns(answer.sent_ns, answer.last_byte_ns, tuple(reading.frame for reading in reply.readings))
            return reply, answer
        if isinstance(reply, ResetDone):
            raise DriverFault(Cause.REFUSED, "the device has reset itself")
        if isinstance(reply, Failure) and reply.code not in GARBLED:
            raise DriverFault(Cause.REFUSED, f"{self.kind.name} was answered by {reply}")
        if reply is None and not answer.noise:
            self._on_silence()
        else:
            self._on_bad_reply()
        return None

    def _on_silence(self) -> None:
        self.counters.silences += 1
        self._silent += 1
        if self._silent >= self._config.recovery.retries:
            raise DriverFault(Cause.SILENT, f"{self._silent} polls in a row")

    def _on_bad_reply(self) -> None:
        self.counters.bad_replies += 1
        self._bad += 1
        if self._bad < self._config.recovery.bad_replies:
            return
        if self.kind is ReplyKind.TX:
            self.kind = ReplyKind(self._config.reply)  # where TX fares no better BX was not to blame
            raise DriverFault(Cause.NOISE, f"{self._bad} bad replies in a row")
        self.kind, self._bad = ReplyKind.TX, 0
