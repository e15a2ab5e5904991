"""Arrays of other kinds: masked, labelled, lazy, of other libraries, of dtypes that nothing is compiled for.

Uses nothing of the rooms above. Elementwise functions are ufuncs, and NumPy's protocols see to it that whatever takes
``np.exp`` takes them. All others begin by making arrays of their arguments: what is no plain array is recognized there
(:mod:`.recognition`), and the whole call is handed over (:mod:`.calls`) to the module here that takes such things
apart, calls the function again with what is inside, and puts the result together. Begin with :mod:`.recognition`.

Dask's arrays take most of the room: :mod:`.lazy` and what begins like it, :mod:`.blocks` for how chunks reach a
function, and :mod:`.pairs` for ufuncs of several results, of which Dask must be told, as astropy of all ufuncs
(:mod:`.units`).
"""
