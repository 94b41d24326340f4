"""``python -m plaque_edge`` is ``plaque-edge``."""

from plaque_edge.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
