"""Train one model on a clip: ``python train.py model=unet clip=clips/dancer``."""

from dreaming.cli.train import main

if __name__ == "__main__":
    main()
