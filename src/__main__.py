"""`python -m src COMMAND …` is `finecut COMMAND …`, for calls from programs and from wheels."""

import sys

from src.cli import main

if __name__ == "__main__":
    sys.exit(main())
