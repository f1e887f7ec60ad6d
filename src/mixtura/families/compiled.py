"""How the M-steps that turn are compiled."""

from __future__ import annotations

from mixtura import compiling

# fastmath is said because kernels, which call these too, would pass on theirs, and what is cached on disk would depend on who was first
compiled = compiling.compiled(nogil=True, error_model="numpy", fastmath=False)
