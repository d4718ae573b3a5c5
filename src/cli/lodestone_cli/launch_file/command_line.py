"""Words of a command: launch's own splitting, where a substitution never falls apart into several words."""

from __future__ import annotations

import shlex

from .document import Attribute
from .scope import Scope
from .substitutions import Text, Value, parse


def split_words(attribute: Attribute, scope: Scope) -> list[str]:
    """The words of `attribute` with substitutions performed; raises InputError for an unclosed quotation."""
    try:
        words = _split(parse(attribute.value, attribute.place))
    except ValueError as error:
        remedy = "close the quotation; a quoted word cannot hold a substitution"
        raise attribute.place.error(f"'{attribute.value}'", expected="words", got=str(error), remedy=remedy) from None
    return [scope.perform(tuple(word), attribute.place) for word in words]


def _split(value: Value) -> list[Value]:
    words: list[Value] = []
    current: Value = ()
    for part in value:
        if not isinstance(part, Text):
            current = (*current, part)
            continue
        tokens = shlex.split(part.text)
        if part.text[:1].isspace() and current:
            words.append(current)
            current = ()
        for number, token in enumerate(tokens):
            if number:
                words.append(current)
                current = ()
            current = (*current, Text(token))
        if part.text[-1:].isspace() and current:
            words.append(current)
            current = ()
    return [*words, current] if current else words
