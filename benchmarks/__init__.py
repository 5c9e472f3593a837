"""Speed and memory against the peers, in one run, as ratios."""
