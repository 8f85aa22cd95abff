"""Finding sub-networks: pruning criteria, the lottery loop, runs and resume."""
