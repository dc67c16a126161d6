"""``python -m tests.bench``: how fast it is, each figure beside a floor or a peer measured in the same run.

Machines differ and are busy with other things, so times are shown and ratios are judged. Nothing here fails a build.
"""
