"""Minutes of what breaks compiled libraries: ``pytest -m stress``. The ordinary run has a short form of each."""
