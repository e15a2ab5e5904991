"""``python -m fastact``: the command line."""

from fastact.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
