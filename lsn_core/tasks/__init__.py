"""What a model is trained and scored on: one file a task."""
