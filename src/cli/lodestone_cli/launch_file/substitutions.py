"""The `$(name argument ...)` grammar of ROS 2 Jazzy (launch's grammar.lark), and what the substitutions give.

A value is text with substitutions in it. Arguments are separated by one space; an argument with spaces stands in single
or double quotes; a backslash takes the meaning from the character behind it. Inside a quoted argument no further quotes of
a nested substitution are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .place import Place

# The terminals of grammar.lark: text outside of $(), and an argument's text, for each kind of quotation.
_TEXT = {
    "": re.compile(r"(?:[^$]|\$(?!\()|(?<=\\)\$)+", re.DOTALL),
    "'": re.compile(r"(?:[^'\\$]|\$(?!\()|(?<=\\)\$|\\'|\\)+", re.DOTALL),
    '"': re.compile(r'(?:[^"\\$]|\$(?!\()|(?<=\\)\$|\\"|\\)+', re.DOTALL),
}
_ARGUMENT = {
    "": re.compile(r"""(?:[^ '\\"$()]|(?<=\\)\(|(?<=\\)\)|\$(?!\()|(?<=\\)\$|\\"|\\'|\\)+"""),
    "'": re.compile(r"(?:[^ '\\$()]|(?<=\\)\(|(?<=\\)\)|\$(?!\()|(?<=\\)\$|\\'|\\)+"),
    '"': re.compile(r'(?:[^ "\\$()]|(?<=\\)\(|(?<=\\)\)|\$(?!\()|(?<=\\)\$|\\"|\\)+'),
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Text:
    """Literal text, escapes resolved."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """One `$(name argument ...)`."""

    name: str
    arguments: tuple[Value, ...]


Value = tuple[Text | Call, ...]


def parse(text: str, place: Place) -> Value:
    """The parts of `text`; raises InputError with file and line when the grammar does not hold."""
    return _Parser(text, place).whole()


def is_plain(value: Value) -> bool:
    """Whether no substitution stands in it (launch then leaves the value as it is instead of reading it as YAML)."""
    return all(isinstance(part, Text) for part in value)


def unescape(text: str) -> str:
    """`text` with each backslash removed that stands before a character."""
    return _ESCAPED.sub(r"\1", text)


class _Parser:
    """Recursive descent over one string."""

    def __init__(self, text: str, place: Place) -> None:
        self._text = text
        self._place = place
        self._at = 0

    def whole(self) -> Value:
        parts = self._template("")
        if self._at != len(self._text):
            raise self._error("the end of the text")
        return parts

    def _template(self, quote: str) -> Value:
        parts: list[Text | Call] = []
        while self._at < len(self._text):
            if self._starts_call():
                parts.append(self._call(quote))
                continue
            match = _TEXT[quote].match(self._text, self._at)
            if match is None:
                break
            parts.append(Text(unescape(match.group())))
            self._at = match.end()
        return tuple(parts)

    def _starts_call(self) -> bool:
        escaped = self._at > 0 and self._text[self._at - 1] == "\\"
        return self._text.startswith("$(", self._at) and not escaped

    def _call(self, quote: str) -> Call:
        self._at += 2
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._error("the name of a substitution behind '$('")
        self._at = match.end()
        arguments: list[Value] = []
        while self._text.startswith(" ", self._at):
            self._at += 1
            arguments.append(self._argument(quote))
        if not self._text.startswith(")", self._at):
            raise self._error("')' or one space and an argument")
        self._at += 1
        return Call(match.group(), tuple(arguments))

    def _argument(self, quote: str) -> Value:
        opening = self._text[self._at : self._at + 1]
        if not quote and opening in ("'", '"') and opening:
            self._at += 1
            value = self._template(opening)
            if not self._text.startswith(opening, self._at):
                raise self._error(f"a closing {opening}")
            self._at += 1
            return value
        parts: list[Text | Call] = []
        while self._at < len(self._text):
            if self._starts_call():
                parts.append(self._call(quote))
                continue
            match = _ARGUMENT[quote].match(self._text, self._at)
            if match is None:
                break
            parts.append(Text(unescape(match.group())))
            self._at = match.end()
        if not parts:
            raise self._error("an argument (quote an empty one or one with spaces)")
        return tuple(parts)

    def _error(self, expected: str) -> Exception:
        got = f"'{self._text[self._at : self._at + 12]}'" if self._at < len(self._text) else "the end of the text"
        remedy = "mend the substitution"
        return self._place.error(f"'{self._text}' at character {self._at + 1}", expected=expected, got=got, remedy=remedy)
