"""`python -m marginquake` and `marginquake`: signals are heard before anything heavy is imported."""

from marginquake.sim.runs import interrupts


def main() -> None:
    """Entry point of the console script."""
    interrupts.listen()
    from marginquake.sim.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
