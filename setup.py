"""Builds the extension by CMake: pip install --no-build-isolation --no-deps .

FOURGE_BUILD_DIR: a CMake build tree of this source to take the extension from, instead of a new release build.
"""

import os
import pathlib
import re
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = pathlib.Path(__file__).parent.resolve()


def version():
    text = (ROOT / "include/fourge/version.h").read_text(encoding="utf-8")
    return ".".join(re.search(rf"FOURGE_VERSION_{part} (\d+)", text).group(1) for part in ("MAJOR", "MINOR", "PATCH"))


class CMakeBuild(build_ext):
    def build_extension(self, extension):
        given = os.environ.get("FOURGE_BUILD_DIR")
        build = pathlib.Path(given or self.build_temp).resolve()
        if not given:
            options = [f"-DFOURGE_BUILD_{part}=OFF" for part in ("TESTS", "BENCH", "TOOLS", "CAPI")]
            options += ["-DFOURGE_BUILD_PYTHON=ON", "-DCMAKE_BUILD_TYPE=Release", f"-DPython_EXECUTABLE={sys.executable}"]
            subprocess.run(["cmake", "-S", ROOT, "-B", build, *options], check=True)
        subprocess.run(["cmake", "--build", build, "--target", "fourge_python", "--parallel"], check=True)
        built = next((build / "python/fourge").glob("_fourge.*"))
        target = pathlib.Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        self.copy_file(str(built), str(target))


setup(
    version=version(),
    packages=["fourge"],
    package_dir={"": "python"},
    package_data={"fourge": ["*.pyi", "py.typed"]},
    ext_modules=[Extension("fourge._fourge", [])],
    cmdclass={"build_ext": CMakeBuild},
)
