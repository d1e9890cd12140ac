"""The reference services. Each owns its data and shares nothing with the others but `contracts`.

Each could live in a repository of its own, so each has its own `database.py`: the tables differ, how SQLite or
PostgreSQL is opened is the same in all six, and sharing those lines would tie the services together.
"""
