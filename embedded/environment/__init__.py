"""Steps of the set-up; standard library only."""
