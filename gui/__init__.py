"""The PySide6 console: reads the store, sends commands, computes nothing heavy."""
