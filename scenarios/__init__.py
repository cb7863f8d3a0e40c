"""Scenarios as data: one YAML file each; logs that they replay are in `logs/`."""
