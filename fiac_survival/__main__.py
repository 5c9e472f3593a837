"""``python -m fiac_survival`` is the command line."""

from fiac_survival.cli import main

main()
