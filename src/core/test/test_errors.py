"""The one exception for bad input, also from another process."""

from __future__ import annotations

from multiprocessing.reduction import ForkingPickler

from lodestone_core.errors import InputError


def test_an_error_comes_back_from_another_process_as_it_was() -> None:
    error = InputError("speed", expected="a number", got=[1], remedy="give one")
    again = ForkingPickler.loads(ForkingPickler.dumps(error))
    assert isinstance(again, InputError) and str(again) == str(error) == "speed: expected a number, got [1]; give one"
    assert (again.what, again.expected, again.got, again.remedy) == ("speed", "a number", "[1]", "give one")
