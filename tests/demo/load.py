"""Unpickles a file, as half of all model code does somewhere."""
import pickle
import sys
import warnings

warnings.simplefilter("ignore")

with open(sys.argv[1], "rb") as file:
    print("loaded:", type(pickle.load(file)).__name__)
