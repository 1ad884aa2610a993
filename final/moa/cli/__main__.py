from moa.cli import main

main()
