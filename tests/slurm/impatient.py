"""`train.py` for a test that a folder is not shared, which shall not wait for it two minutes."""

import runpy

from src.training import shared_folder
from tests.running import ROOT

shared_folder.SECONDS = 3.0
runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
