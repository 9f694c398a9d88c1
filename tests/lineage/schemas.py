"""OpenLineage's own JSON schemas, and what in an event is not as they say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

_SPEC = Path(__file__).with_name("spec")
_CORE = "https://openlineage.io/spec/2-0-2/OpenLineage.json"


@cache
def _registry() -> Registry[Any]:
    read = [json.loads(path.read_text()) for path in sorted(_SPEC.rglob("*.json"))]
    return Registry().with_resources((schema["$id"], Resource.from_contents(schema)) for schema in read)


@cache
def _validator(address: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": address}, registry=_registry(), format_checker=FormatChecker())


def facets(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, facet) of an event's run, job and datasets."""
    yield from event["run"].get("facets", {}).items()
    yield from event["job"].get("facets", {}).items()
    for dataset in (*event["inputs"], *event["outputs"]):
        for kind in ("facets", "inputFacets", "outputFacets"):
            yield from (dataset.get(kind) or {}).items()


def faults(event: dict[str, Any]) -> list[str]:
    """What is wrong with an event, each facet by the schema that it names. One that is not kept here is an error."""
    said = [f"event: {error.message}" for error in _validator(f"{_CORE}#/$defs/RunEvent").iter_errors(event)]
    for name, facet in facets(event):
        address = facet["_schemaURL"]
        if re.fullmatch(r".*#/\$defs/(Run|Job)Facet", address):
            # of Airflow's provider alone: any further members
            assert address.startswith(_CORE), address
        said += [f"{name}: {error.message}" for error in _validator(address).iter_errors(facet)]
    return said
