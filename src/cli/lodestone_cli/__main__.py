"""`python -m lodestone_cli` is the `lodestone` command."""

from lodestone_cli.main import app

if __name__ == "__main__":
    app(prog_name="lodestone")
