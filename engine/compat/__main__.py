"""`python -m engine.compat programme.py [arguments]` : fait tourner un ancien programme."""

import sys

from engine.compat.running import main

if __name__ == "__main__":
    main(sys.argv[1:])
