"""Self-contained HTML pages: the report on models and their blends, and the page about new plates."""
