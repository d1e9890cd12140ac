"""The AsyncAPI document, judged by the official parser, and used by a program that knows nothing else."""
