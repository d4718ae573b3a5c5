"""What an emulated tracker measures: a scripted world or a recording."""
