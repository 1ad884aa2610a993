"""Makes ``python -m moa`` the same as ``moa``."""

from moa.cli import main

if __name__ == "__main__":  # processes that a command starts import this module too
    main()
