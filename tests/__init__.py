"""The tests of pavane: one folder per part; `python -m tests.run` runs them all."""
