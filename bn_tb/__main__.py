"""`python -m bn_tb LOGDIR` is `bn_tb.analyze LOGDIR`."""

from bn_tb.analyze import console_main

if __name__ == "__main__":
    console_main()
