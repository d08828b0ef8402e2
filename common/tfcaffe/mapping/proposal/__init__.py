"""`mapping init`: a mapping is proposed, and what is not proven in it is marked.

`scopes` and `units` gather variables and blobs into things that can be one another, `fits` says
which can, `likeness` how alike names are, `assignment` picks, `certainty` says of what is picked
whether anything else could be meant. `propose` runs these; `collapse` and `init` write the file.
"""
