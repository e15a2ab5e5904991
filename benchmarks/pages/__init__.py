"""The documentation as pages: ``python -m benchmarks.pages`` makes build/pages/html of fastact/docs and the registry.

Hand-written pages are Markdown in fastact/docs; nothing in them lists functions. :mod:`.compose` puts them beside those
that are written here from the registry: :mod:`.gallery`, a page for each activation; :mod:`.reference`, every public
name; :mod:`.rooms`, the storeys of the house. Sphinx renders them by the settings in conf.py, without the network.
"""
