"""Checks a whole config against the signatures of its targets: the signature is the schema.

All problems are reported at once, before data or network are touched.
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_type_hints

from hydra.utils import get_object
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from fakereal.config.keys import KEYS, NODES
from fakereal.config.unread import unread
from fakereal.runtime.errors import UserError, first_line

WORDS = {  # for what pydantic says of these
    "tuple_type": "a list",
    "list_type": "a list",
    "sequence_str": "a list, such as [NAME]",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} at most",
    "string_pattern_mismatch": "of the form {pattern}",
}
NAMED = ("callbacks", "logger")  # groups of which each file adds one or more
SPECIAL = {"_target_", "_partial_", "_convert_", "_recursive_", "_args_"}


def check(cfg: DictConfig) -> None:
    """UserError that lists every wrong key and value of the config, with what each may be."""
    found = list(dict.fromkeys(problems(cfg)))
    if found:
        raise UserError("\n".join(found))


def problems(node: DictConfig, path: str = "", skip: frozenset[str] = frozenset()) -> Iterator[str]:
    """A line for each wrong key or value below a node; of a whole config, also for what was added and nothing reads."""
    parameters, described = None, None
    if (name := node.get("_target_")) is not None:
        try:
            target = get_object(name)
        except Exception as error:
            yield f"`{path}_target_`: {name!r} cannot be imported ({error})."
            return
        parameters, described = annotations_of(target), getattr(target, "__name__", name)
    for key in node:
        full = f"{path}{key}"
        if key in SPECIAL or (not path and key in ("hydra", *skip)):
            continue
        if parameters is not None and key not in parameters:
            yield f"`{full}` is not a parameter of {described}, which has: {', '.join(sorted(parameters))}."
            continue
        try:
            value = node[key]
        except OmegaConfBaseException as error:
            if OmegaConf.is_missing(node, key):
                # Below a group without a target, ??? marks what a checkpoint says.
                if parameters is None and path:
                    continue
                yield f"`{full}` is not given: add {full}=VALUE."
            else:
                yield f"`{full}`: {first_line(error)}"
            continue
        if OmegaConf.is_interpolation(node, key) and not isinstance(value, DictConfig):
            continue  # checked where it stands
        annotation = KEYS.get(full, (parameters or {}).get(key, Any))
        if full in NAMED and isinstance(value, DictConfig) and "_target_" in value:
            yield f"`{full}._target_` needs a name above it, as there may be several: {full}.mine._target_."
            continue
        if full in NODES and value is not None and not isinstance(value, DictConfig):
            yield f"`{full}` is not a single value: set its keys with {full}.KEY=VALUE, got {value!r}."
            continue
        if isinstance(value, DictConfig) and full not in KEYS and ("_target_" in value or parameters is None):
            yield from problems(value, f"{full}.")
            continue
        objects = [item for item in value if isinstance(item, DictConfig)] if isinstance(value, ListConfig) else []
        for item in objects:
            yield from problems(item, f"{full}.")
        if not objects:
            yield from value_problem(full, resolved(value), annotation)
    if not path:
        yield from unread(node)


def refuse_wrong_values(cls: type, given: Mapping[str, Any]) -> None:
    """UserError for what a config must not give a constructor either; `given`: its `locals()`, at its beginning.

    (No decorator: between a class and its subclass it would hide the subclass's arguments from Lightning.)
    """
    known = annotations_of(cls.__init__)
    wrong = [line for name in known for line in value_problem(name, resolved(given[name]), known[name])]
    if wrong:
        raise UserError("\n".join(f"{cls.__name__}: {line}" for line in wrong))


@functools.cache
def annotations_of(target: Callable) -> dict[str, Any]:
    """Annotation of each parameter; `**kwargs` stands for the parameters of the parent class."""
    result: dict[str, Any] = {}
    functions = (
        [target] if not inspect.isclass(target) else [c.__init__ for c in target.__mro__ if "__init__" in vars(c)]
    )
    for function in functions:
        parameters = inspect.signature(function).parameters
        try:
            hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError, AttributeError):  # names that exist for type checkers alone
            hints = {}
        for name, parameter in parameters.items():
            if name != "self" and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                result.setdefault(name, hints.get(name, Any))
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return result


def value_problem(key: str, value: Any, annotation: Any) -> Iterator[str]:
    """A line that says what a key's value must be, unless it is."""
    adapter = _adapter(annotation)
    if adapter is None:
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield f"`{key}` must be a finite number, got {value}."
        return
    candidates = [value, tuple(value)] if isinstance(value, list) else [value]
    for candidate in candidates:
        try:
            adapter.validate_python(candidate, strict=True)
            return
        except ValidationError as error:
            failure = error
    # A list is said to be too short also where it has items that are wrong.
    failures = [problem for problem in failure.errors() if problem["type"] != "too_short"] or failure.errors()
    wanted = dict.fromkeys(_wanted(problem, key) for problem in failures)
    yield f"`{key}` must be {' or '.join(wanted)}, got {value!r}."


def _wanted(problem: dict[str, Any], key: str) -> str:
    """What pydantic says was expected, as the end of a sentence that starts with "must be"."""
    text = problem["msg"]
    for start in ("Input should be ", "Input should ", "Value error, "):
        text = text.removeprefix(start)
    text = WORDS.get(problem["type"], "{text}").format(text=text, **problem.get("ctx", {}))
    inside = [str(part) for part in problem["loc"] if isinstance(part, int) or str(part).isidentifier()]
    named = {
        "int",
        "float",
        "str",
        "bool",
        "none",
        "list",
        "dict",
        "tuple",
        "constrained",
        "literal",
        "function",
    }
    inside = [part for part in inside if part.split("-")[0].split("[")[0] not in named]
    if problem["type"] == "missing" and isinstance(problem["loc"][-1], int):
        return f"a list of {problem['loc'][-1] + 1} or more"
    if problem["type"] == "missing":
        return f"given with {'.'.join(inside)}"
    return f"{text} at {'.'.join(inside)}" if inside else text


@functools.cache
def _cached_adapter(annotation: Any) -> TypeAdapter | None:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception as error:
        if "config" not in str(error):
            return None
        return TypeAdapter(annotation)  # a TypedDict brings its own


def _adapter(annotation: Any) -> TypeAdapter | None:
    if annotation in (Any, inspect.Parameter.empty):
        return None
    try:
        return _cached_adapter(annotation)
    except (TypeError, PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None


def resolved(value: Any) -> Any:
    """A node's value as plain lists and dicts, its interpolations as they stand in the whole config."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
