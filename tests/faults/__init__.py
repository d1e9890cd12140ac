"""What goes wrong in production, what pavane does then, and the test that does it: docs/faults.md is made from here.

A test that shows a row carries its mark, wherever it lives: `@pytest.mark.fault("W2")`. The page lists the rows
(`rows`) with the tests that are marked (`marks`). A row without a test, and without a reason, fails.
"""
