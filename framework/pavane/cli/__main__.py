"""`python -m pavane.cli`."""

from pavane.cli.program import main

main()
