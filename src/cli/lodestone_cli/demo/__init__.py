"""`lodestone demo`: a real recording goes through the whole bench, process by process, and a report says how good it was."""
