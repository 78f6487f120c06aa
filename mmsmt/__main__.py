"""`python -m mmsmt`, the same as the console script `mmsmt`."""

from mmsmt.cli import main

if __name__ == '__main__':
    main()
