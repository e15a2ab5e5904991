"""What the public sees of one function: an activation and its four callables, docstrings, and the two registries.

Uses ufuncs and below. Begin with :mod:`.activations`; :mod:`.pickles` has them reach other processes.
:mod:`.registry` holds activations by name and :mod:`.offered` the functions of the rooms above; neither knows what will
be entered there.
"""
