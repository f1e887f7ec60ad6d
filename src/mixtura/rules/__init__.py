"""How statistics become the next mixture: one file a rule, one row in this table.

rule             step
EM               the maximum, in closed form
GradientAscent   along the exact gradient, in unconstrained coordinates
"""

from __future__ import annotations

from mixtura.errors import ParameterError
from mixtura.regularisation import Floor, Regularisation
from mixtura.rules.em import EM
from mixtura.rules.gradient import GradientAscent, gradients
from mixtura.rules.rule import Event, Rule, Update

RULES = {"em": EM, "gradient": GradientAscent}


def rule_of(name: str | Rule, regularisation: Regularisation | None = None, learning_rate: float | None = None) -> Rule:
    """The rule of this name, or the rule itself. `learning_rate` None is the rule's own.

    Raises ParameterError for an unknown name, and for a learning rate where the rule has none.
    """
    if isinstance(name, Rule):
        if learning_rate is not None:
            raise ParameterError(f"a rule object has its own learning rate: got {learning_rate!r} beside {name!r}, expected None; try one of them")
        return name
    if name not in RULES:
        raise ParameterError(f"unknown rule: got {name!r}, expected one of {', '.join(map(repr, RULES))} or a Rule; try 'em'")
    regularisation = regularisation or Floor()
    if name == "em":
        if learning_rate is not None:
            raise ParameterError(f"EM has no learning rate: got {learning_rate!r}, expected None; try rule 'gradient'")
        return EM(regularisation)
    return GradientAscent(1e-3 if learning_rate is None else learning_rate, regularisation)


__all__ = ["EM", "RULES", "Event", "GradientAscent", "Rule", "Update", "gradients", "rule_of"]
