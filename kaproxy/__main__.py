"""`python -m kaproxy` is the same program as `kaproxy`."""

from kaproxy.cli import main

if __name__ == "__main__":
    main()
