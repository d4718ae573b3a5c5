"""Parameters of the driver: entries that cannot mean anything are refused with the form they should have."""

import pytest

from em_registration.drivers.config import AuroraConfig
from lodestone_core.config import load_config, options
from lodestone_core.errors import InputError


def test_defaults_hold():
    config = load_config(AuroraConfig, {})
    assert (config.baud, config.reply, config.frame_id) == (230400, "bx", "em_field_generator")
    assert config.names() == config.roms() == config.freedoms() == {}


def test_lists_become_mappings():
    config = AuroraConfig(tool_names=("3d4f2800:1=tail",), rom_files=("1=a=b.rom", "2:1=~/c.rom"), degrees_of_freedom=("3D4F2800=5",))
    assert config.names() == {"3D4F2800:1": "tail"}
    assert config.roms() == {"1": "a=b.rom", "2:1": "~/c.rom"}
    assert config.freedoms() == {"3D4F2800": 5}


@pytest.mark.parametrize(
    "bad",
    [
        {"tool_names": ("tip",)},
        {"tool_names": ("3D4F=tip",)},
        {"tool_names": ("3D4F2800=tip of tool",)},
        {"tool_names": ("3D4F2800=tip", "3D4F2801=tip")},
        {"tool_names": ("3D4F2800=a", "3D4F2800=b")},
        {"degrees_of_freedom": ("3D4F2800=7",)},
        {"degrees_of_freedom": ("3D4F2800=five",)},
        {"rom_files": ("port1=a.rom",)},
        {"rom_files": ("1=",)},
        {"baud": 12345},
        {"poll_interval_s": -1.0},
    ],
)
def test_entry_that_means_nothing_is_refused(bad):
    with pytest.raises(InputError):
        load_config(AuroraConfig, {key: list(value) if isinstance(value, tuple) else value for key, value in bad.items()})


def test_every_parameter_says_what_it_means():
    assert all(option.doc for option in options(AuroraConfig))
