"""One module for each verb of the `lodestone` command: options in, exit code out."""
