"""What masks share: counts, measures, calibration, trees."""
