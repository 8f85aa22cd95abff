"""What is measured by time: run by hand, never part of the tests."""
