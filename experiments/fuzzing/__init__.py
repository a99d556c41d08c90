"""The parts of experiments/fuzz.py: well-formed files, ways to spoil them, hostile files, and a process that reads."""
