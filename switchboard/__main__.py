"""`python -m switchboard` is `hms-esr`."""

from switchboard.cli import main

if __name__ == "__main__":
    main()
