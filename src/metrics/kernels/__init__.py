"""Compiled inner loops of the metrics: no protocol, no aggregation.

What numba compiles is compiled again on every machine, before the first score, so that it has to
compile soon: each operation takes it about a millisecond, an `a if b else c` five. A function of
`compiled` is called from Python; it allocates nothing, its caller hands it memory and what numpy
computes as well. It is long rather than divided: what it would call numba compiles three times, or,
with `compiled_part`, copies into it at nearly the price of compiling it once more. None of them use
`min`, `max`, `abs` or assign slices, each of which numba compiles as a function of its own. Loops
that are to run on several values at once count in `np.uintp`: of a signed index numba asks at each
access whether it counts from the end. `skeleton.py` alone is divided: it is faster so.

Compiled functions call only compiled functions of their own file, here and in the whole package,
as numba's cache on disk notices no change in other files.
"""

from typing import Any

import numba

_OPTIONS: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_rewrites": True,  # of whole-array expressions: there are none
    "_nrt": False,  # no reference counts: nothing is allocated
}
compiled = numba.njit(**_OPTIONS)
compiled_part = numba.njit(inline="always", **_OPTIONS)
# A function that is compiled by itself: sums in any order belong to it alone.
compiled_sum = numba.njit(fastmath={"reassoc", "contract", "nsz"}, **_OPTIONS)
