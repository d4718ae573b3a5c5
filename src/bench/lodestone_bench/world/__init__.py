"""The small scripted world: bodies that move on known paths, tools mounted on them, an optical reference."""
