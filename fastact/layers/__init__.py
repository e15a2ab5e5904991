"""Dense layers, and the matrix product under them.

Uses the catalogue, functions, ufuncs and below. Begin with :mod:`.dense`, what is public; :mod:`.compiled` makes
generalized ufuncs of layers, whose loops are in :mod:`.loops`. :mod:`.matmul` chooses who multiplies, :mod:`.gemm` is
the product compiled here: of packed matrices (:mod:`.packing`), strip by strip (:mod:`.macrokernel`), of the tiles in
:mod:`.tiles`.
"""
