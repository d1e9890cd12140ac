"""Apps that are wrong in one way each: a file per code of `pavane check`, named after it.

The line that the finding has to point to says so in a comment.
"""
