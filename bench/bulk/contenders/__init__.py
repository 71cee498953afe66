"""Who downloads: programs by their commands (`programs.py`), libraries each in a module of its own."""
