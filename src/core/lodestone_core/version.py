"""Version of a Lodestone package, from a checkout as well as installed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from xml.etree import ElementTree

NOT_INSTALLED = "not installed"


def package_version(package: str) -> str:
    """Version of the import package `package`; "not installed" for code that belongs to none (a script, a test)."""
    # In a checkout package.xml lies beside the import package and is newer than a copy that may be installed.
    spec = importlib.util.find_spec(package) if package != "__main__" else None
    if spec is None:
        return NOT_INSTALLED
    manifest = Path(spec.origin).parents[1] / "package.xml" if spec.origin else Path()
    if manifest.is_file():
        return ElementTree.parse(manifest).findtext("version", NOT_INSTALLED)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED
