"""``dask worker`` whose processes are forked, as those of the tests: each begins seconds sooner, also after a kill."""

from distributed.cli.dask_worker import main

from support.forked import processes

if __name__ == "__main__":
    processes()
    main()
