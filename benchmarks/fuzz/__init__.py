"""Inputs that nobody would choose, drawn by number: every one is answered rightly or refused with a reason.

`python -m benchmarks.fuzz` draws them; see `__main__`.
"""
