"""The choreography as a picture: pure functions from definitions and records to Mermaid, DOT and SVG.

definitions, happened   what is drawn: `graph_of` an app's definitions, `draw_over` a run on it
graph                   the values that they make
layout                  where it stands: the one place, for every picture that pavane draws
text, picture           how large the labels are, and where they stand in their boxes
svg, dot, mermaid       how it is written down
"""
