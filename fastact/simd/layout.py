"""Numbers that compiled code and Python agree on; loads no compiler. Named tuples, because Numba reads their
fields as constants."""

from __future__ import annotations

from typing import NamedTuple

#: Threads the pool has room for.
MAX_THREADS = 512

#: A job's number is a multiple of this; added to it is for how many threads the job is.
JOBS = 1024

#: Operands a loop can have: the gradient, x, parameters and two outputs.
MAX_OPERANDS = 8


#: Bytes.
CACHE_LINE = 64


class _Loop(NamedTuple):
    """Slots (of 8 bytes) in the record that NumPy hands to a ufunc's loop as ``data``.

    The first three are those of a call's context too (fastact.runtime.drivers), which loops get as data there.
    """

    FUNCTION: int = 0  # address of the compiled serial loop; 0 until its first call
    OPERANDS: int = 1  # inputs and outputs together
    TRAFFIC: int = 2  # of a call: Traffic; here 0
    RESOLVE: int = 3  # address of the callback that compiles it
    INDEX: int = 4  # which loop this is, for the callbacks into Python
    POOL: int = 5  # address of the pool's record
    GRAIN: int = 6  # elements per chunk
    WORTH_SHARING: int = 7  # elements from which threads pay when they are awake
    WORTH_WAKING: int = 8  # and when they must be woken first
    SIZE: int = 9


Loop = _Loop()


class _Traffic(NamedTuple):
    """What a loop does about operands that are not in the caches."""

    CACHED: int = 0  # nothing: they are
    FETCHES: int = 1  # inputs are asked for a page ahead: the core by itself looks ahead as far as a page's end
    STREAMS: int = 2  # and results are written past the caches


Traffic = _Traffic()


class _Rows(NamedTuple):
    """Slots in the description of rows; before them, the sizes of three nested loops, innermost first."""

    BYTES: int = 3  # in a row, if it is to be copied together with others, or 0
    INPUTS: int = 4  # operands that are read


Rows = _Rows()


class _Sums(NamedTuple):
    """Slots in the description of a sum over three nested loops; before them, the loops' sizes, innermost first."""

    LENGTH: int = 3  # a row longer than this is cut into pieces
    PIECES: int = 4  # that many
    GROUP: int = 5  # pieces in a partial sum: several, where rows are short
    COUNT: int = 6  # partial sums
    STEPS: int = 7  # of the innermost loop, one per operand, and of the loops around it


Sums = _Sums()


class _Thread(NamedTuple):
    """Slots of each thread of the pool, the caller's first: its share of the job, and what has to do with its sleep.

    The two stand 128 bytes apart, as all that one thread writes while others read: processors fetch lines in pairs.
    """

    NEXT: int = 0  # the first element of the share that nobody has taken yet
    END: int = 1  # and where the share ends
    HANDLE: int = 2  # the worker's pthread_t
    AVOIDS: int = 3  # the core that it is not to wake on, and 1; or 0
    INSIDE: int = 16  # 1 while this worker may be inside the job
    ASLEEP: int = 17  # 1 while it waits on its condition
    MUTEX: int = 18  # pthread_mutex_t, 40 bytes on Linux and 64 on macOS
    CONDITION: int = 26  # pthread_cond_t, 48 bytes on both
    SIZE: int = 32


Thread = _Thread()


class _Pool(NamedTuple):
    """Slots in the record that all threads of the process share."""

    PROCESS: int = 0  # the process whose threads these are; another one is a forked child
    THREADS: int = 1  # how many threads may work, the caller included
    SPIN: int = 2  # how often an idle worker looks for work before it sleeps
    WORKER: int = 3  # address of the workers' function
    SIGNAL_MASK: int = 4  # the platform's SIG_SETMASK
    RUN_CHUNK: int = 5  # address of the task that runs part of a ufunc's loop
    RUN_ROWS: int = 6  # and of the task that runs some of its rows
    RUN_SUMS: int = 7  # and of the task that computes some of the parts of a sum
    RUN_SHORT_ROWS: int = 11  # and of the task that copies some short rows together
    BUSY: int = 8  # 1 while a caller owns the pool
    CREATED: int = 9  # workers started so far; only the owner writes it
    STARTED: int = 10  # workers that have taken their number
    LAST_CACHE: int = 12  # bytes in the cache next to memory, or 0
    SHARE_OUT: int = 13  # address of the function that shares work out; 0 until that is first needed
    SUCCESSION: int = 14  # work of calls that followed each other closely, as a percentage of what waking takes
    LAST_CALL: int = 15  # when a call came or ended last for which awake threads would have paid, in cycles
    TASK: int = 16  # the job: these are written by the owner while OPEN is 0
    CONTEXT: int = 17
    TASK_GRAIN: int = 18
    RESOLVE: int = 20  # address of the callback that compiles it, and the workers' function
    ROUNDS: int = 21  # chunks that each thread has for one that does: two where some cores are slower than others
    OWNERS_CORE: int = 22  # where the owner was when it shared its work out, or -1
    ALONE_FOR: int = 23  # cycles that callers do without workers, since these kept one waiting,
    ALONE_UNTIL: int = 25  # and when that ends
    MEMORY: int = 24  # address of memory that no call uses at the moment, or 0; its size stands in front
    OPEN: int = 32  # threads that the job is for while workers may join it, or 0
    GENERATION: int = 48  # the last job that was published: its number, and for how many threads it is
    SIGNALS: int = 64  # two sigset_t of up to 128 bytes
    FIRST_THREAD: int = 96  # one record of Thread after the other
    SIZE: int = 96 + 32 * MAX_THREADS


Pool = _Pool()


class _Axis(NamedTuple):
    """Slots in the description of a function along an axis.

    An operand takes four: its address, and the bytes from one row to the next outside of the axis, inside of it,
    and along it.
    """

    X: int = 0
    OTHER: int = 4  # a second input or output
    Y: int = 8
    LENGTH: int = 12  # elements along the axis
    INNER: int = 13  # rows inside of the axis
    SCALE: int = 14  # what the result is multiplied by (a float64, as all below)
    PARTS: int = 15  # address of what is known of parts of long rows, and then of the rows
    PART: int = 16  # elements in a part, panels in a block, or rows in all bundles
    TASK: int = 17  # for the driver: a task, how many items it is for and how many to take at a time
    COUNT: int = 18
    GRAIN: int = 19
    SHARE: int = 20  # whether threads pay: 2 yes, 1 if they need not be woken, 0 no
    POOL: int = 21
    BYTES: int = 22  # in the whole result of which rows in parts are finished
    REFUSED: int = 23  # set to 1 by a task that got no memory, and did nothing
    SIZE: int = 24
    SUMMARY: int = 5  # float64 for a part: maximum, how often it occurs, sum of other exponentials, maximum's p and k
    KNOWN: int = 3  # and for a row: maximum, sum of all exponentials, logarithm of that


Axis = _Axis()


class _Kept(NamedTuple):
    """Slots in the record of memory that is kept for the next large array (fastact.ufuncs.kept_blocks)."""

    LOCK: int = 0  # 1 while a thread is at the table
    LIMIT: int = 1  # bytes that may be kept
    TOTAL: int = 2  # bytes that are
    COUNT: int = 3  # blocks that are
    TURN: int = 4  # blocks that ever were
    PROTECTION: int = 5  # numbers of the system's: PROT_READ and PROT_WRITE,
    FLAGS: int = 6  # MAP_PRIVATE and MAP_ANONYMOUS,
    HUGEPAGE: int = 7  # MADV_HUGEPAGE
    RECLAIM: int = 8  # and MADV_FREE
    TABLE: int = 9  # of each block, the oldest first: address, bytes, and its turn, or 0 once the system may take it
    BLOCKS: int = 16  # for so many blocks
    SIZE: int = 9 + 3 * 16
    LARGE: int = 1 << 20  # bytes from which an array gets a block; smaller ones the C library keeps by itself


Kept = _Kept()


class _Gemm(NamedTuple):
    """Slots in the record of one matrix product: C[M, N] = A[M, K] @ B[K, N].

    What a caller fills in is addresses, sizes and steps in bytes.
    """

    A: int = 0
    A_ROW: int = 1  # bytes from row to row; any step will do for A and B
    A_COLUMN: int = 2
    B: int = 3
    B_ROW: int = 4
    B_COLUMN: int = 5
    C: int = 6
    C_ROW: int = 7  # the columns of C are contiguous
    M: int = 8
    N: int = 9
    K: int = 10
    ACCUMULATE: int = 11  # 1: C += A @ B
    BIAS: int = 12  # address of N values that are added to each row, or 0; not together with ACCUMULATE
    LOOP: int = 13  # address of a ufunc's loop of one input that is applied to C, or 0
    LOOP_DATA: int = 14  # what that loop is given as data
    OUT: int = 15  # where its results go; 0: to C
    OUT_ROW: int = 16
    WORKSPACE: int = 17  # address of as many bytes as fastact.layers.blocking.workspace_bytes says
    POOL: int = 18
    PACK: int = 19  # filled in by fastact.layers.matmul.new_record: addresses of tasks and of what works in registers
    MULTIPLY: int = 20
    DOT: int = 21
    TILE: int = 22
    DOTS: int = 23
    TRANSPOSE: int = 24
    FIRST_COLUMN: int = 25  # from here on, the state of a product that is under way
    COLUMNS: int = 26
    FIRST_DEPTH: int = 27
    DEPTH: int = 28
    ROW_PARTS: int = 29  # the tasks: parts of the rows times parts of the columns
    COLUMN_PARTS: int = 30
    DIRECT: int = 31  # 1: whole panels of B are read where they are
    SIZE: int = 32


Gemm = _Gemm()


class _Dense(NamedTuple):
    """Slots in the record that NumPy hands to the loop of a dense layer as ``data``."""

    PRODUCT: int = 0  # address of a record of Gemm with everything in it that does not depend on the operands
    MULTIPLY: int = 1  # address of the function that computes such a product
    POOL: int = 2
    LOOP: int = 3  # the activation's loop, as in Gemm; in the backward pass 1, and the record is that of its gradient
    LOOP_DATA: int = 4
    DRIVE: int = 5  # the driver of ufuncs
    ONE: int = 6  # address of a one in the layer's type
    BIASED: int = 7  # 1 if there is a bias
    KEPT: int = 8  # 1 if the preactivation is wanted
    REFUSED: int = 9  # how often a loop got no memory, and did nothing; behind it, how often it stopped halfway: never
    SIZE: int = 11


Dense = _Dense()

#: Multiplications from which a network's matrix products are packed and shared between threads. Below, the time goes
#: into packing and waking; measured with sizes from 64 x 32 to 784 x 512 and batches from 1 to 4096.
LARGE_PRODUCT = 2_000_000

#: Parameters whose squares are added up by themselves: the sums are the same for any number of threads.
CHUNK = 8_192

#: What torch.nn.utils.clip_grad_norm_ adds to the norm.
ABOVE_ZERO = 1e-6

#: Bytes behind every operand of a product that may be read, though never used: vectors are loaded whole.
SLACK = 1024


class _Mode(NamedTuple):
    """What becomes of a product's sums (see fastact.networks.products)."""

    STORE: int = 0
    ADD: int = 1
    SCALE: int = 2


Mode = _Mode()


class _Layer(NamedTuple):
    """Slots in the record of one layer of a network in training. All but the first two and BACKWARD's are addresses."""

    INPUTS: int = 0
    OUTPUTS: int = 1
    WEIGHT: int = 2  # (inputs, outputs): the transpose of what users see
    BIAS: int = 3
    WEIGHT_GRADIENT: int = 4  # the same as WEIGHT where gradients are added to the parameters directly
    BIAS_GRADIENT: int = 5
    PREACTIVATION: int = 6  # (batch, outputs); then the activation's derivative there
    ACTIVATION: int = 7  # (batch, outputs)
    LOOP: int = 8  # the record of the activation's loop: value and derivative; 0 for the identity
    SIZE: int = 9


Layer = _Layer()


class _Network(NamedTuple):
    """Slots in the record of a network in training."""

    LAYERS: int = 0  # how many
    TABLE: int = 1  # their records, one after the other
    ROWS: int = 2  # of the data
    BATCH: int = 3  # rows per step; an epoch's last step may have fewer
    STEPS: int = 4  # how many to take now
    EPOCH: int = 5  # where training stands: the epoch,
    POSITION: int = 6  # and the row in it that comes next
    X: int = 7  # (rows, inputs), contiguous
    Y: int = 8  # (rows, outputs) in the network's type or (rows,) labels of 8 bytes, contiguous
    TARGETS: int = 9  # numbers per row of Y
    LABELS: int = 10  # 1 if Y holds labels
    ORDER: int = 11  # rows in the order in which each epoch from ORDER_FIRST on takes them; 0: as they are
    ORDER_FIRST: int = 12
    BATCH_X: int = 13  # one batch, gathered
    BATCH_Y: int = 14
    GRADIENT: int = 15  # (batch, widest layer), twice
    OTHER_GRADIENT: int = 16
    LOSS: int = 17  # the record of the loss's loop: value and derivative; 0 for cross-entropy
    LOSS_VALUES: int = 18  # (batch, outputs) for that loop; (2, batch) for cross-entropy
    EXPONENTIAL: int = 19  # records of two more loops, for cross-entropy
    LOGARITHM: int = 20
    LOSSES: int = 21  # float64, one per epoch
    OPTIMIZER: int = 22
    PARAMETERS: int = 23  # all layers' in one run, with gradients and moments laid out alike
    GRADIENTS: int = 24
    MOMENTS: int = 25
    SQUARES: int = 26
    COUNT: int = 27  # of parameters, gaps between layers included
    SETTINGS: int = 28  # float64: Setting
    TRANSPOSED: int = 29  # room for the largest weight that must be transposed
    ONE: int = 30  # a one in the network's type
    DRIVE: int = 31  # the driver of ufuncs, which shares large arrays between threads
    POOL: int = 32
    UPDATE: int = 33  # the optimizer as a task for threads
    RESULT: int = 34  # (rows, outputs), where predictions go
    PRODUCT: int = 35  # the record of a loop that multiplies two arrays
    GEMM: int = 36  # the record for large matrix products (Gemm), with room to pack,
    MULTIPLY: int = 37  # and the function that computes them
    MULTIPLY_SMALL: int = 38  # the functions of fastact.networks.products
    MULTIPLY_BY_ROWS: int = 39
    PARTS: int = 40  # into how many parts a step's rows are cut
    PART: int = 41  # records like this one, of the parts, with buffers of their own; of one part, this
    PART_TASK: int = 42  # a part of a step as a task for threads
    STEP_ROWS: int = 43  # rows of the step that is under way
    BLOCK_ROWS: int = 44  # rows that a part takes at a time
    COMBINE: int = 45  # the sum of the parts' gradients as a task for threads
    LOSS_SUM: int = 46  # address of a float64: a part's loss
    GATHERED: int = 47  # of narrow networks, 1 if blocks have been gathered and stay: each step takes all rows
    BLOCK_X: int = 48  # and where the block at hand is, (inputs, rows)
    BLOCK_Y: int = 49
    GATHER: int = 50  # what collects a batch's rows as a task for threads,
    GATHER_FIRST: int = 51  # beginning with this one of the step
    SHARE: int = 52  # what a row's loss is divided by: the number of outputs, or 1
    WEIGHTS: int = 53  # of fastact.networks.extras: what each row counts, (rows,) in the network's type, or 0;
    BLOCK_WEIGHTS: int = 54  # of the block at hand,
    ADJUST: int = 55  # what happens to gradients before the optimizer, as tasks for threads: a penalty,
    SCALE: int = 56  # and a factor that cuts them short,
    SUMS: int = 57  # and float64, two for each chunk of the parameters: the squares of weights, and of gradients
    THRESHOLD: int = 58  # what the draw of a hidden unit must reach for it to stay (fastact.networks.dropout),
    SEED: int = 59  # what draws begin with,
    DROP_EPOCH: int = 60  # and where the block at hand stands: its epoch,
    DROP_FIRST: int = 61  # and its first row there
    LOSS_OF: int = 62  # the function of the network's loss (fastact.networks.losses)
    SIZE: int = 63


Network = _Network()


class _Optimizer(NamedTuple):
    """What happens to the parameters after each batch."""

    DIRECT: int = 0  # gradients come scaled and are added as they are computed
    SGD: int = 1
    ADAM: int = 2
    ADAMW: int = 3


Optimizer = _Optimizer()


class _Setting(NamedTuple):
    """The optimizer's numbers and state."""

    LEARNING_RATE: int = 0
    MOMENTUM: int = 1
    NESTEROV: int = 2
    WEIGHT_DECAY: int = 3
    BETA1: int = 4
    BETA2: int = 5
    EPSILON: int = 6
    POWER1: int = 7  # beta1 to the number of steps so far
    POWER2: int = 8
    ALPHA: int = 9  # the penalty of large weights
    MAX_NORM: int = 10  # what gradients are cut short to; 0: they are not
    FACTOR: int = 11  # what gradients are multiplied with on their way to the optimizer,
    DECAY: int = 12  # and how much of each weight is added
    SIZE: int = 13


Setting = _Setting()
