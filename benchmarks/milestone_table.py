"""A Markdown table of the minutes of robot time until learners are upright, stand and walk.

    python benchmarks/milestone_table.py NAME=PATH [NAME=PATH ...]

PATH is a directory of learning_curves.py, or files of peers.py: one, a quoted pattern of several, or their directory.
Each figure is the median over the runs, then the lowest and the highest.
"""

from __future__ import annotations

import argparse

from curves import markdown_table, read_named

from daydreamer.errors import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=PATH")
    try:
        print(markdown_table(read_named(parser.parse_args().runs)))
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
