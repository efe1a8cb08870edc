"""Where the configs and the experiments lie: beside `src` in a checkout, inside it once installed.

The wheel carries them within the package, so that nothing of finecut's is left lying about in
site-packages under names as common as `conf` (setup.py puts them there).
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

IMPORT_ROOT = _PACKAGE.parent  # `import src` works from here
IS_INSTALLED = (_PACKAGE / "conf").is_dir()
CONF = _PACKAGE / "conf" if IS_INSTALLED else IMPORT_ROOT / "conf"
EXPERIMENTS = (CONF / "experiment").resolve()  # a link to experiments/ in a checkout
