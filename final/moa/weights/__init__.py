"""What is on disk of trained models: where it lies, its schemas, how it is written, checked, merged and opened."""
