"""The PySide6 console: reads the store and the result folders, computes nothing heavy."""

from gui.qt_safety import keep_none_alive

keep_none_alive()
