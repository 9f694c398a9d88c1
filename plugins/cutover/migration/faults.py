"""What is wrong with a declaration, in words: the line, the key, what was probably meant, and a correct example."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from itertools import zip_longest
from pathlib import Path as File
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from cutover.errors import CutoverError, meant
from cutover.migration.lines import LOADER, Path, Text, TextError, shown

# A declaration with every key, for examples.
EXAMPLE = File(__file__).with_name("example.yaml")
# Stands for a name that a team chooses, in a path of the schema.
_ANY = "*"
# Stands below a key whose name itself is at fault.
_KEY = "[key]"
_WIDTH = 110

# By type of pydantic's error: what should stand there.
_SECTION = "a section: keys, each with its value"
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "tuple_type": "a list",
    "too_short": "a list of at least one",
    "string_too_short": "at least one character",
    "uuid_type": "a UUID",
    "uuid_parsing": "a UUID",
    "date_type": "a date",
    "date_parsing": "a date",
    "date_from_datetime_parsing": "a date",
    "date_from_datetime_inexact": "a date without a time",
}
# What is said first, of several faults: a key that is none is often what another misses.
_FIRST = frozenset(("extra_forbidden", "invalid_key"))
_NAME = "a name: small letters, digits and underscores, at most 48, a letter first"
# By pattern of a declaration's types: what it means.
_PATTERNS = {
    r"^[a-z][a-z0-9_]{0,47}$": _NAME,
    r"^[a-z][a-z0-9+.-]*://.": "an address such as s3://bucket/folder or file:///folder",
    r"^[^/]+(/[^/]+)*$": "names of folders and files, such as *.csv or */*.csv",
    r"^[^/]+$": "an ending of names, such as .done",
    r"^/": "a path that begins with /",
    r"^/[\w./-]*$": "a path that begins with /, of letters, digits, dots, dashes and underscores",
    r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$": "schema.table, in small letters",
    r"^[a-z][a-z0-9_ .]*(\(\d+(,\d+)?\))?( with(out)? time zone)?(\[\])?$": "a type as PostgreSQL itself writes it",
}


def of_text(name: str, fault: TextError) -> CutoverError:
    """The error for a text that is no YAML."""
    return CutoverError("migration.invalid", f"{_file(name)}, line {fault.line}", fault.why, fault.remedy)


def of_value(
    name: str,
    schema: type[BaseModel],
    text: Text,
    path: Path,
    why: str,
    *,
    like: Path | None = None,
    others: Iterable[Path] = (),
) -> CutoverError:
    """The error for what stands at ``path``. ``why`` is a sentence, ``like`` where an example is taken from if not from
    there; ``others`` are at fault, too."""
    line = text.line(path)
    lines = [str(one) for one in sorted({text.line(other) for other in others} - {line})]
    more = f" Line {lines[0]} is wrong, too." if lines else ""
    more = f" Lines {', '.join(lines)} are wrong, too." if lines[1:] else more
    key = f", {dotted(path)}" if path else ""
    return CutoverError(
        "migration.invalid",
        f"{_file(name)}, line {line}{key}",
        f"{why}{more}",
        f"correct it, as in this example:\n{example(schema, path if like is None else like, name, text.values)}",
    )


def of_schema(name: str, schema: type[BaseModel], text: Text, error: ValidationError) -> CutoverError:
    """The error for the first key, by line, that the schema refuses; the lines of the others are named."""
    faults: dict[Path, dict[str, Any]] = {}
    for one in error.errors(include_url=False):
        # of the members of a union the first one speaks for all
        faults.setdefault(_place(text.values, one), dict(one))
    path, *others = sorted(faults, key=lambda path: (faults[path]["type"] not in _FIRST, text.line(path)))
    if faults[path]["type"] == "extra_forbidden":
        why, like = _unknown(schema, path)
        # what is missing beside it is most often this one
        others = [one for one in others if one[:-1] != path[:-1] or faults[one]["type"] != "missing"]
        return of_value(name, schema, text, path, why, like=like, others=others)
    # of a key that is no text there is no example
    is_text = isinstance(path[-1], str) if path else True
    like = path[:-1] if faults[path]["loc"][-1:] == (_KEY,) and not is_text else path
    return of_value(name, schema, text, path, _why(schema, path, faults[path]), like=like, others=others)


def dotted(path: Path) -> str:
    """A path as messages name it."""
    return ".".join(map(str, path))


def example(schema: type[BaseModel], path: Path, name: str, values: Any) -> str:
    """YAML of what could stand at ``path``, under the team's own names; of the section, where nothing can.

    ``values`` are those of the team's file: of several examples the one that is most like them is taken.
    """
    whole = yaml.load(EXAMPLE.read_text(encoding="utf-8"), LOADER)
    whole["migration"] = name
    while (value := _lookup(whole, values, schema, path)) is None and path:
        path = path[:-1]
    if not path:
        value = {key: whole[key] for key in ("migration", "target")}
    elif len(path) == 1 and _is_named(_type_at(schema, path)):
        # the first of its names says enough
        value = dict(list(value.items())[:1])
    for part in reversed(path):
        value = [value] if isinstance(part, int) else {part: value}
    sections = [yaml.dump({key: below}, Dumper=_Blocks, sort_keys=False, width=_WIDTH) for key, below in value.items()]
    return "".join(f"    {line}\n" for section in sections for line in section.splitlines()).rstrip()


class _Blocks(yaml.SafeDumper):
    """One line for a list of plain values, and for a few keys with such; a block for all else."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node: yaml.MappingNode = super().represent_mapping(tag, mapping, flow_style)
        plain = all(isinstance(value, yaml.ScalarNode) for _, value in node.value)
        node.flow_style = plain and len(node.value) > 1
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        node: yaml.SequenceNode = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = all(isinstance(value, yaml.ScalarNode) for value in node.value)
        return node


def keys(schema: Any, above: Path = ()) -> Iterator[Path]:
    """Every key that a declaration may have, sections before what is in them; ``*`` for names, 0 for items."""
    for key, below in _below(schema).items():
        yield (*above, key)
        yield from keys(below, (*above, key))


# what is wrong


def _file(name: str) -> str:
    return f"include/sql/{name}/migration.yaml"


def _place(values: Any, error: Any) -> Path:
    """Where an error is: pydantic's own way there also names members of unions, which are no keys."""
    path: list[Any] = []
    *ways, last = error["loc"] or ("",)
    for part in (*ways, last):
        inside = (isinstance(values, dict) and part in values) or (
            isinstance(values, list) and isinstance(part, int) and part < len(values)
        )
        if not inside:
            if part is last and error["type"] == "missing":
                path.append(part)
            break
        path.append(part)
        values = values[part]
    return tuple(path)


def _why(schema: type[BaseModel], path: Path, error: Mapping[str, Any]) -> str:
    """The sentence about a value, or about one that is not there."""
    kind, value = error["type"], error["input"]
    if kind == "missing":
        return "it is missing."
    if error["loc"][-1:] == (_KEY,) and kind != "string_type":
        return f"{shown(path[-1])} should be {_expected(error)}."
    if error["loc"][-1:] == (_KEY,) or kind == "invalid_key":
        # on, yes, no and numbers
        return "YAML reads a key here as another thing than text: put the key in quotes."
    if kind == "value_error":
        said = "" if isinstance(value, (dict, list)) else f"it is {_read(value)}: "
        return f"{said}{_sentence(error['msg'].removeprefix('Value error, '))}"
    if kind == "literal_error":
        choices = _choices(_type_at(schema, path))
        return f"it is {_read(value)}, and should be {error['ctx']['expected']}.{meant(value, choices)}"
    plain = not isinstance(value, (dict, list, type(None)))
    quotes = " Put text that YAML reads otherwise in quotes." if kind == "string_type" and plain else ""
    return f"it is {_read(value)}, and should be {_expected(error)}.{quotes}"


def _read(value: Any) -> str:
    """What a value is, in a sentence."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a section"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, date):
        return str(value)
    return str(value).lower() if isinstance(value, bool) else shown(value)


def _expected(error: Mapping[str, Any]) -> str:
    if error["type"] == "string_pattern_mismatch":
        pattern = error["ctx"]["pattern"]
        return _PATTERNS.get(pattern, f"text like {pattern}")
    message: str = error["msg"]
    return _EXPECTED.get(error["type"], message.removeprefix("Input should be ").removeprefix("a valid "))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def _unknown(schema: type[BaseModel], path: Path) -> tuple[str, Path]:
    """A key that there is not: like one that there is, at home elsewhere, or neither. Its value is not told.

    Returns the sentence, and where an example is taken from.
    """
    above, key = path[:-1], path[-1]
    siblings = [str(one) for one in _below(_type_at(schema, above))]
    if similar := meant(key, siblings):
        return f"there is no such key.{similar}", (*above, similar.split("`")[1])
    elsewhere = list(dict.fromkeys(one[:-1] for one in keys(schema) if one[-1] == key))
    if elsewhere:
        there = " or ".join(f"`{dotted(one)}`" if one else "the top level" for one in elsewhere)
        # where the key is, with this one's own name in it
        (home, *_) = elsewhere
        named = tuple(mine if part == _ANY else part for part, mine in zip_longest(home, path[: len(home)]))
        return f"there is no such key here: it belongs to {there}.", (*named, key)
    of = f"`{dotted(above)}`" if above else "A declaration"
    return f"there is no such key. {of} has {', '.join(siblings)}.", above


# the schema


def _below(kind: Any) -> dict[Any, Any]:
    """What a type has below it: keys of a model, ``*`` of names, 0 of a list; with the type of each."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields
        # both are given to what is filed under a name, and not written
        given = {"name", "migration"} if {"name", "migration"} <= fields.keys() else set()
        return {key: field.annotation for key, field in fields.items() if key not in given}
    if origin in (Union, types.UnionType):
        return {key: below for one in arguments for key, below in _below(one).items()}
    if origin is Annotated:
        return _below(arguments[0])
    if origin is dict:
        return {_ANY: arguments[1]}
    if origin is tuple:
        return {0: arguments[0]}
    return {}


def _is_named(kind: Any) -> bool:
    return _ANY in _below(kind)


def _type_at(schema: Any, path: Path) -> Any:
    """The type of what stands at ``path``; None if nothing can."""
    for part in path:
        below = _below(schema)
        schema = below.get(_ANY, below.get(0 if isinstance(part, int) else part))
    return schema


def _choices(kind: Any) -> list[str]:
    """The values that a type is a choice of."""
    if get_origin(kind) is Literal:
        return [str(value) for value in get_args(kind)]
    return [choice for one in get_args(kind) for choice in _choices(one)]


def _lookup(value: Any, mine: Any, schema: Any, path: Path) -> Any:
    """What stands at ``path`` in the example ``value``, whatever the names are there; ``mine`` is what the team has."""
    if not path:
        return value
    part, *rest = path
    below = _below(schema)
    own = mine.get(part) if isinstance(mine, dict) else None
    if isinstance(value, list):
        return _lookup(value[0], None, below.get(0), tuple(rest))
    if not isinstance(value, dict):
        return None
    if _ANY in below:
        named = sorted(value.values(), key=lambda one: _likeness(one, own), reverse=True)
        values = (_lookup(one, own, below[_ANY], tuple(rest)) for one in named)
        return next((one for one in values if one is not None), None)
    return _lookup(value[part], own, below.get(part), tuple(rest)) if part in value else None


def _likeness(one: Any, own: Any) -> tuple[bool, int]:
    """How much an example is like what a team has: paged in the same way, and how many keys both have."""
    if not isinstance(one, dict) or not isinstance(own, dict):
        return False, 0
    return _by(one) == _by(own), len(one.keys() & own.keys())


def _by(source: dict[str, Any]) -> Any:
    paging = source.get("paging")
    return paging.get("by", "cursor") if isinstance(paging, dict) else None
