"""Numbers that compiled code and Python agree on about calls that repeat themselves (fastact.ufuncs.direct). As in
:mod:`.layout`."""

from __future__ import annotations

from typing import NamedTuple

from fastact.simd.layout import MAX_OPERANDS

__all__ = ["Direct", "Form", "Known", "Labels"]


class _Known(NamedTuple):
    """Slots in what is known of a call: what it is given, and who computes its result (fastact.ufuncs.direct)."""

    OWNER: int = 0  # address of Python's object that holds on to all of this
    DRIVER: int = 1  # addresses of a function like a ufunc's loop, and of what it is given beside operands
    SIZES: int = 2
    STEPS: int = 3  # 0: it gets room for partial sums
    DATA: int = 4
    REFUSED: int = 5  # address of two counts: one rises where the driver did nothing, one where it stopped halfway
    LIKE: int = 6  # address of the addresses of arrays like the results
    PARTIALS: int = 7  # so many partial sums, of which the result is made; 0: it is an array
    DIVISOR: int = 8  # what their sum is divided by, and the largest one of its dtype (float64 both)
    LARGEST: int = 9
    TUPLE: int = 10  # so many results, in a tuple; 0: one, by itself
    WRITTEN: int = 11  # the parameter beside "out" that is written to, or NONE
    OPERANDS: int = 12  # how many
    OPERAND: int = 13  # of each two: whose it is (a parameter's number, CONSTANT, or IN_TUPLE less the number of the
    # result) and its place there, in bytes
    MOST_PARTIALS: int = 128  # of two million elements
    NONE: int = -1
    CONSTANT: int = -1  # it is at an address
    IN_TUPLE: int = -2
    GIVEN: int = 13 + 2 * MAX_OPERANDS  # a Form for each parameter; that of "out" is the result's
    SIZE: int = 13 + 2 * MAX_OPERANDS + 5 * 11  # shapes stand behind it


Known = _Known()


class _Form(NamedTuple):
    """Slots in what is known of one argument."""

    KEY: int = 0  # address of an array's dtype, or of the object itself
    DIMENSIONS: int = 1  # of an array
    OBJECT: int = -1  # instead of them, if it is none
    SHAPE: int = 2  # address
    BYTES: int = 3  # of an array, or of a number that is the result
    FLAGS: int = 4  # NumPy's, that an array must have: those of its order, and that it is aligned
    SIZE: int = 5
    C_ORDER: int = 0x1 | 0x100
    F_ORDER: int = 0x2 | 0x100


Form = _Form()


class _Direct(NamedTuple):
    """Slots in the record of a function that can be called without Python (fastact.ufuncs.calls): addresses of Python's
    objects and of NumPy's functions."""

    FUNCTION: int = 0  # for all other calls
    ARRAY: int = 1  # the class
    NONE: int = 2
    ALLOCATE: int = 3  # the function that makes an array like another,
    SCALAR: int = 4  # and the one that makes a number
    PARAMETERS: int = 5  # how many, how many of them without a name, and which is "out"
    POSITIONAL: int = 6
    OUT: int = 7  # of a function without it, the number of parameters: as if it came behind them
    NAMES: int = 8  # theirs
    DEFAULTS: int = 18  # 0 where there is none
    MOST: int = 10  # parameters
    CALLS: int = 28  # known ones, or 0, and how many there can be
    NUMBER: int = 8
    SIZE: int = 28 + 8


Direct = _Direct()


class _Labels(NamedTuple):
    """Slots in what is known of the cross entropy of labels (fastact.losses.label_rows); behind them comes Axis twice,
    for the statistics of rows and for softmax."""

    ROWS: int = 0
    CLASSES: int = 1
    INNER: int = 2  # rows inside of the axis of classes
    SUMMED: int = 3  # whether the sum is wanted, and not the losses
    DRIVER: int = 4  # address of the one along axes
    SCALE: int = 5  # what the gradient is multiplied by (float64)
    EXPM1: int = 6  # addresses of NumPy's loop for that in float64, and of what it is given
    EXPM1_DATA: int = 7
    WEIGHTED: int = 8  # whether classes have weights, which are the third operand,
    MEAN: int = 9  # and whether their sum over the labels is what the result is divided by
    SIZE: int = 10


Labels = _Labels()
