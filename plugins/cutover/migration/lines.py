"""The text of ``migration.yaml`` as YAML: its values, and the line of each key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

Path = tuple[Any, ...]

# That of libyaml, wherever PyYAML has been built with it: ten times as quick, and every DAG file reads declarations.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Levels of a file; a declaration has six. libyaml's loader ends the process at some ten thousand.
_DEEPEST = 40
# What YAML cannot hold at all, not even in quotes.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What a constructor of PyYAML raises for a scalar that only looks like one of its types, such as the date 2000-13-45.
_UNREADABLE = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError)

# What PyYAML says of the commonest slips; why, in words; and what to do.
_COMMON = (
    ("cannot start any token", "a value that begins with {sign} is no YAML.", "put the value in quotes."),
    (
        "mapping values are not allowed",
        "a colon stands where none can: within a value, or after a line that is indented otherwise.",
        "put a value with a colon in quotes; keys side by side begin in the same column.",
    ),
    (
        "undefined alias",
        "it begins with *, which repeats an anchor (&) of that name, and there is none.",
        "put the value in quotes, if it is text.",
    ),
    (
        "could not determine a constructor",
        "a tag (!) means nothing here.",
        "put a value that begins with ! in quotes.",
    ),
    ("unhashable key", "a key is a list, or has keys itself.", "put the key in quotes."),
    ("another document", "a second document begins (---).", "take the line out."),
)


class TextError(Exception):
    """A text that is no YAML, or is ambiguous: ``line`` (from 1), why, and what to do."""

    def __init__(self, line: int, why: str, remedy: str) -> None:
        super().__init__(line, why, remedy)
        self.line = line
        self.why = why
        self.remedy = remedy


@dataclass(frozen=True)
class Text:
    """A text that could be read: ``values`` as Python has them, and where they stand."""

    values: Any
    _root: yaml.Node | None

    def line(self, path: Path) -> int:
        """The line, from 1, of a key; of the last one on the way that is there, where it is not."""
        node, line = self._root, 1 if self._root is None else self._root.start_mark.line + 1
        for part in path:
            step = _step(node, part)
            if step is None:
                break
            node, line = step
        return line


def read(text: str) -> Text:
    """Read ``text``. Raises ``TextError``."""
    try:
        _require_shallow(text)
        loader = LOADER(text)
        try:
            root = loader.get_single_node()
            _require_single_keys(root)
            try:
                values = None if root is None else loader.construct_document(root)
            except _UNREADABLE:
                raise _unreadable(loader, root) from None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise _in_words(text, error) from error
    return Text(values, root)


def _step(node: yaml.Node | None, part: Any) -> tuple[yaml.Node, int] | None:
    """What stands under a key or at a place of a list, and its line."""
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        # The last one counts: keys that are merged from an anchor come first. `on` and `1` are keys that are no text.
        for key, value in reversed(node.value):
            same = key.value == part if isinstance(part, str) else not key.tag.endswith(":str")
            if isinstance(key, yaml.ScalarNode) and same:
                return value, key.start_mark.line + 1
    return None


def _require_shallow(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > _DEEPEST:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise TextError(line, f"brackets or lists stand within each other, {depth} deep.", "close them.")


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node once. Raises ``TextError`` where one is within itself."""
    done: set[int] = set()

    def below(node: yaml.Node | None, above: frozenset[int]) -> Iterator[yaml.Node]:
        if node is None or id(node) in done:
            return
        yield node
        if not isinstance(node, yaml.ScalarNode):
            inner = [part for pair in node.value for part in pair] if isinstance(node, yaml.MappingNode) else node.value
            for one in inner:
                if id(one) in above | {id(node)}:
                    raise TextError(
                        one.start_mark.line + 1, "an alias (*) stands within what it repeats.", "write it out."
                    )
                yield from below(one, above | {id(node)})
        done.add(id(node))

    yield from below(root, frozenset())


def _require_single_keys(root: yaml.Node | None) -> None:
    for node in _nodes(root):
        if not isinstance(node, yaml.MappingNode):
            continue
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in lines:
                raise TextError(
                    line,
                    f"`{key.value}` stands in line {lines[key.value]} already, and only one of them would count.",
                    "keep one of them; what belongs to both goes under it.",
                )
            lines[key.value] = line


def _unreadable(loader: Any, root: yaml.Node | None) -> TextError:
    """Which of the scalars it was that only looks like a date or a number."""
    for node in _nodes(root):
        if isinstance(node, yaml.ScalarNode):
            try:
                loader.construct_object(node)
            # a loader does not try a second time, and says so
            except (*_UNREADABLE, yaml.YAMLError):
                kind = node.tag.rpartition(":")[2]
                kind = {"timestamp": "date", "int": "number", "float": "number"}.get(kind, kind)
                return TextError(
                    node.start_mark.line + 1,
                    f"{shown(node.value)} looks like a {kind}, and is none.",
                    "correct it; or put it in quotes, if it is text.",
                )
    return TextError(1, "a value cannot be read.", "put values in quotes.")  # of no scalar: not known to happen


def shown(value: Any) -> str:
    """A scalar in a message: as it is in Python, and not longer than a line bears."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…{text[-1]}"


def _in_words(text: str, error: yaml.YAMLError) -> TextError:
    """What PyYAML says, with the line, and for what people do most in words."""
    lines = text.splitlines() or [""]
    unprintable = _UNPRINTABLE.search(text.removeprefix("\ufeff"))
    if unprintable is not None:
        line = text[: unprintable.start()].count("\n") + 1
        return TextError(line, f"it holds the character U+{ord(unprintable[0]):04X}.", "take the character out.")
    # a quote that nothing closes is only missed at the end of the text
    first, then = (
        ("context_mark", "problem_mark") if "unexpected end" in str(error) else ("problem_mark", "context_mark")
    )
    mark = getattr(error, first, None) or getattr(error, then, None)
    if mark is None:
        return TextError(1, f"it is not YAML: {error}.", "correct the text.")
    line = min(mark.line + 1, len(lines))
    here = lines[line - 1]
    problem = str(getattr(error, "problem", None) or error)
    if "\t" in here[: len(here) - len(here.lstrip())]:
        return TextError(line, "it is indented by a tab.", "indent by spaces alone, two for each level.")
    for words, why, remedy in _COMMON:
        if words in problem:
            return TextError(line, why.format(sign=here[mark.column : mark.column + 1]), remedy)
    what = getattr(error, "context", None)
    return TextError(
        line,
        f"it is not YAML: {f'{what}, ' if what else ''}{problem}.",
        "look at this line and the one before: keys side by side begin in the same column, and every quote and bracket "
        "is closed.",
    )
