"""Event and workflow contracts of the reference services: all that one service may know of another."""
