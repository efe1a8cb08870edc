"""What the reader of a score should know of its image; counted in every report."""

SOFT = "truth has grey values; foreground is where it is > 128"
RESIZED = "map resized to the truth's size (bilinear, 8 bit)"
ZERO_ONE = "all maps of the set hold 0 and 1 only; read as background and foreground"
