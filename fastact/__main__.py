"""``python -m fastact``: the command line."""

from fastact.commands.parser import main

if __name__ == "__main__":
    raise SystemExit(main())
