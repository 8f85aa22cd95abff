"""Loading a model, what is prunable in it, and how its matrices map to layer and component."""
