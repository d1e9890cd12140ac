"""Races that made others lose work, one test each: named after what went wrong there, run against pavane.

Each docstring says which guard prevents it here, and how the test was seen to fail without it.
"""
