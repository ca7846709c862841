"""Compiles the C of leanspike/core/native.py while the package is built; everything else stands in pyproject.toml."""

import importlib.util
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

PACKAGE = Path("leanspike")


class BuildWithNative(build_py):
    """build_py, then the libraries beside the package's files; without a compiler the installation still succeeds."""

    def run(self) -> None:
        super().run()
        spec = importlib.util.spec_from_file_location("leanspike_native", PACKAGE / "core" / "native.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        target = PACKAGE if self.editable_mode else Path(self.build_lib) / PACKAGE
        for line in module.build_all(target.resolve()):
            self.announce(line, level=3)


class BinaryDistribution(Distribution):
    """A wheel that holds machine code must name its platform."""

    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithNative}, distclass=BinaryDistribution)
