"""`python -m course.typography FICHIERS` : met en forme sur place, et nomme ce qui a changé."""

import sys
from pathlib import Path

from course.typography.files import typeset_file


def main(paths):
    """Met en forme chaque fichier sur place, et nomme ceux qui ont changé."""
    for path in map(Path, paths):
        before, after = path.read_text(encoding="utf-8"), typeset_file(path)
        if before != after:
            path.write_text(after, encoding="utf-8", newline="\n")
            print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
