"""Devices after Qt's QIODevice, which may still be closed: opened when they are used, as the original does, and left open.

They are known by their isOpen(), not by their class; so those of PySide, PyQt and qhttp.compat all do. Nothing is imported for
them.
"""
from __future__ import annotations

from qhttp.errors import DeviceError

TYPE_CHECKING = False       # as the typing module has it, without importing that
if TYPE_CHECKING:
    from typing import Any

_NUMBERS = {"ReadOnly": 1, "WriteOnly": 2}


def _mode_of(device: Any, name: str) -> Any:
    """The device's own word for that mode: a flag of its class, or of the enumeration there; else Qt's number."""
    for place in (device, getattr(device, "OpenModeFlag", None)):
        mode = getattr(place, name, None)
        if mode is not None and not callable(mode):
            return mode
    return _NUMBERS[name]


def open_device(device: Any, name: str) -> None:
    """Opens a device that is closed, in the mode of that name: ReadOnly or WriteOnly. Raises DeviceError where it cannot be.

    What the device itself raises goes through.
    """
    is_open = getattr(device, "isOpen", None)
    if not callable(is_open) or is_open() or not callable(getattr(device, "open", None)):
        return
    if device.open(_mode_of(device, name)) is False:
        reason = getattr(device, "errorString", None)
        text = str(reason()) if callable(reason) else ""
        raise DeviceError(f"the device cannot be opened ({name})" + (f": {text}" if text else ""))
