"""Compiles the C kernels while the package is built; everything else stands in pyproject.toml."""

import importlib.util
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

KERNELS = Path("leanspike/nn/kernels")


class BuildWithKernels(build_py):
    """build_py, then the kernels beside the package's files; without a compiler the installation still succeeds."""

    def run(self) -> None:
        super().run()
        spec = importlib.util.spec_from_file_location("leanspike_kernels_build", KERNELS / "build.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        target = KERNELS if self.editable_mode else Path(self.build_lib) / KERNELS
        self.announce(module.build(target.resolve()), level=3)


class BinaryDistribution(Distribution):
    """A wheel that holds machine code must name its platform."""

    def has_ext_modules(self) -> bool:
        return True


setup(cmdclass={"build_py": BuildWithKernels}, distclass=BinaryDistribution)
