"""`python -m marginquake` is the command `marginquake`."""

from marginquake.sim.cli.main import main

if __name__ == "__main__":
    main()
