"""``python -m dreaming`` is ``dreaming``."""

from dreaming.cli.dream import main

if __name__ == "__main__":
    main()
