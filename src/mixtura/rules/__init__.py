"""How statistics become the next mixture: one file a rule, one row in this table.

rule             step                                                                        as a name
EM               the maximum, in closed form                                                 em
Squarem          EM or MAP, and where it creeps a step aimed by the last two                 what em and map become
MAP              the maximum with a prior's rows added                                       map
NaturalGradient  a part of EM's step                                                         natural
Online           the maximum for running sums, a mini-batch at a time                        online
GradientAscent   along the exact gradient, in unconstrained coordinates                      gradient
LBFGS            along it, scaled by the curvature that the last steps have shown            lbfgs
Variational      the best posterior of weights, means and precisions: its point estimate               (BayesianGaussianMixture's)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mixtura.checking import short, word
from mixtura.errors import ParameterError
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules.coordinates import gradients
from mixtura.rules.em import EM
from mixtura.rules.fixed import Fixed, Masks
from mixtura.rules.gradient import GradientAscent
from mixtura.rules.lbfgs import LBFGS
from mixtura.rules.natural import NaturalGradient
from mixtura.rules.online import Online
from mixtura.rules.posterior_mode import MAP
from mixtura.rules.prior import Prior
from mixtura.rules.rule import Event, Rule, Update
from mixtura.rules.schedules import Cosine, Exponential, Power, Schedule
from mixtura.rules.squarem import Squarem
from mixtura.rules.variational import Beliefs, Variational

RULES: dict[str, Callable[..., Rule]] = {
    "em": lambda tol=1e-6, **common: Squarem(EM(**common), tol=tol),
    "map": lambda tol=1e-6, **common: Squarem(MAP(**common), tol=tol),
    "natural": NaturalGradient,
    "online": Online,
    "gradient": GradientAscent,
    "lbfgs": LBFGS,
}
"""What makes the rule of each name."""

PACED = ("natural", "gradient")  # these have a learning rate
ACCELERATED = ("em", "map")  # these make sure where less than the fit's tolerance seems to be left


def rule_of(
    name: str | Rule, regularisation: Regularisation | None = None, learning_rate: float | None = None, fixed: Masks = None, tol: float = 1e-6
) -> Rule:
    """The rule of this name for a fit to `tol`, or the rule itself. `learning_rate` None is the rule's own.

    Raises ParameterError for an unknown name, for a learning rate where the rule has none, and for what a rule object brings itself.

    >>> from mixtura.rules import rule_of
    >>> type(rule_of("em")).__name__, rule_of("natural", learning_rate=0.5).learning_rate
    ('Squarem', 0.5)
    """
    if isinstance(name, Rule):
        if learning_rate is not None:
            raise ParameterError(
                f"a rule object has its own learning rate: got {short(learning_rate)} beside {short(name)}, expected None; try one of them"
            )
        if fixed is not None:
            raise ParameterError(
                f"a rule object says itself what is fixed: got {short(fixed)} beside {short(name)}, expected None; try EM(fixed=...)"
            )
        return name
    word("rule", name, RULES, "em", " or a Rule")
    options: dict[str, Any] = {"regularisation": regularisation or Floor(), "fixed": fixed}
    if name in ACCELERATED:
        options["tol"] = tol
    if learning_rate is not None:
        if name not in PACED:
            raise ParameterError(f"rule {name!r} has no learning rate: got {short(learning_rate)}, expected None; try rule 'gradient' or 'natural'")
        options["learning_rate"] = learning_rate
    return RULES[name](**options)


__all__ = [
    "EM",
    "LBFGS",
    "MAP",
    "RULES",
    "Beliefs",
    "Cosine",
    "Event",
    "Exponential",
    "Fixed",
    "GradientAscent",
    "Masks",
    "NaturalGradient",
    "Online",
    "Power",
    "Prior",
    "Rule",
    "Schedule",
    "Squarem",
    "Update",
    "Variational",
    "gradients",
    "rule_of",
]
