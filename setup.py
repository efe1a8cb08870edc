"""What pyproject.toml cannot say: the wheel's configs come from beside the package."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Puts conf/, with the experiments that it links to, into the package of the wheel."""

    def run(self) -> None:
        shutil.rmtree(self.build_lib, ignore_errors=True)  # files that the sources no longer have
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib, "src", "conf"))


setup(cmdclass={"build_py": BuildWithConfigs})
