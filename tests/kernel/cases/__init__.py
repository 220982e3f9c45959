"""The scenarios of the kernel laboratory, by topic. In: a laboratory; out: one thing that happens between two hosts."""

from cases import basic, closing, crowd, opening, resets, waiting  # noqa: F401  Each module registers its scenarios.
from cases.case import CASES

__all__ = ["CASES"]
