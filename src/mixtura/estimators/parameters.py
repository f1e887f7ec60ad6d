"""An estimator's parameters as JSON and back. Only what is named here is ever made of a file, so loading one executes nothing else.

a number, text, None      itself
an array, a sequence      {"array": nested lists}
a mapping                 {"mapping": ...}
a family                  {"family": name}
a mixture                 {"mixture": arrays and family}
a rule and its parts      {"kind": its class, "fields": its fields}
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from mixtura import regularisation, rules
from mixtura.errors import ModelFileError, ParameterError
from mixtura.families import Family, family_of
from mixtura.forms import short
from mixtura.mixture import Mixture

KINDS: dict[str, Any] = {
    one.__name__: one
    for module in (rules, rules.schedules, regularisation)
    for one in vars(module).values()
    if isinstance(one, type) and one is not Family and (dataclasses.is_dataclass(one) or one is rules.Fixed)
}


def as_json(name: str, value: Any) -> Any:
    """The value of the parameter `name` in JSON's types.

    Raises ParameterError for what cannot be written down, such as a generator or a function.

    >>> from mixtura.rules import Online
    >>> as_json("rule", Online(batch_rows=500))["fields"]["batch_rows"]
    500
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Family):
        return {"family": value.name}
    if isinstance(value, Mixture):
        return {"mixture": {part: getattr(value, part).tolist() for part in ("weights", "means", "covariances")}, "family": value.family.name}
    if isinstance(value, Mapping):
        return {"mapping": {str(key): as_json(name, item) for key, item in value.items()}}
    if type(value).__name__ in KINDS:
        fields = value._asdict() if isinstance(value, rules.Fixed) else {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return {"kind": type(value).__name__, "fields": {key: as_json(f"{name}.{key}", item) for key, item in fields.items()}}
    if isinstance(value, list | tuple):
        items = [as_json(name, item) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if hasattr(value, "__array__") and (array := np.asarray(value)).dtype.kind in "biuf":  # a column of a table too
        return {"array": array.tolist()}
    raise ParameterError(
        f"{name} cannot be saved: got {value!r}, expected None, a number, text, an array or a rule of mixtura; "
        "try another value, or model.mixture_.save"
    )


def from_json(value: Any) -> Any:
    """The value that `as_json` wrote. Raises ModelFileError for anything else.

    >>> from mixtura.rules import Online
    >>> from_json(as_json("rule", Online(batch_rows=500))) == Online(batch_rows=500)
    True
    """
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    try:
        if "array" in value:
            return _numbers(value["array"])
        if "tuple" in value:
            return tuple(from_json(item) for item in value["tuple"])
        if "mapping" in value:
            return {key: from_json(item) for key, item in value["mapping"].items()}
        if "mixture" in value:
            return Mixture(**value["mixture"], family=value["family"])
        if "family" in value:
            return family_of(value["family"])
        return KINDS[value["kind"]](**{key: from_json(item) for key, item in value["fields"].items()})
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f"a parameter in the file is not usable: got {short(value)} ({short(str(error))}), expected what save wrote; try fitting again"
        ) from None


def _numbers(nested: Any) -> Any:
    array = np.array(nested)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of {array.dtype}")
    return array
