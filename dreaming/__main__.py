"""``python -m dreaming`` is ``dreaming``."""

from dreaming.cli.dream import main

main()
