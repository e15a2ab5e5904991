"""The command line, ``fastact`` or ``python -m fastact``.

Uses everything. Begin with :mod:`.parser`; each command has a module of its name.
"""
