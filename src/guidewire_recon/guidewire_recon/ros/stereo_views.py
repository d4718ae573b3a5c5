"""The views of a stereo rig as a file of the node: loaded when it configures, written by the service `~/save_views`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from std_srvs.srv import Trigger

from guidewire_recon.drivers.pairing import Side
from guidewire_recon.drivers.stereo_config import StereoConfig
from guidewire_recon.drivers.views import load_views, views_to_file
from lodestone_core.errors import InputError
from lodestone_core.ros.node import LodestoneNode
from lodestone_core.types import Array


class ViewsFile:
    """`before` is what the cameras saw when they were calibrated, None without a file; `note` says when the file is yet to be made."""

    def __init__(self, node: LodestoneNode[StereoConfig], config: StereoConfig, now: Callable[[], dict[Side, Array]]) -> None:
        """Offer the service; `now` gives the present views. Raises InputError for a file that holds no views, or another rig's."""
        self.before: tuple[Array, Array] | None = None
        self.note = ""
        self._config, self._now = config, now
        path = Path(config.views.file).expanduser()
        if config.views.file and path.exists():
            node.read_file(path)
            self.before = load_views(path, config.rig)
        elif config.views.file:
            self.note = f"{path} does not exist: swapped cameras cannot be told until ~/save_views has written it"
            node.get_logger().warning(self.note)
        node.create_service(Trigger, "~/save_views", self._save)

    def _save(self, request: Trigger.Request, response: Any) -> Any:
        """Keep what the cameras see now as what they should see."""
        views, name = self._now(), self._config.views.file
        if not name or len(views) < 2:
            expected = "the parameter views.file" if not name else "images of both cameras"
            response.success, response.message = False, f"~/save_views: expected {expected}, got none; nothing was written"
            return response
        sources = (self._config.left.source, self._config.right.source)
        try:
            views_to_file(views["left"], views["right"], self._config.rig, sources).save(Path(name).expanduser())
        except InputError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, f"written to {name}: in use when the node is configured next"
        return response
