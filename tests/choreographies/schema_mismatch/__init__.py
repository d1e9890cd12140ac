"""Two programs with an event class of their own under one name; it takes two files, for two processes."""
