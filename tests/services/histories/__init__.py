"""What `pavane runs history` prints of one run per ending, kept as text: a stranger has to understand it.

scenes      how each run comes to its end
told        plays a scene by a fixed seed and clock, and prints the history
*.txt       what it printed when somebody last read it

python -m tests.services.histories --write      prints all of them anew; read the difference before you commit it
"""
