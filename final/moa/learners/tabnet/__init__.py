"""TabNet (Arik & Pfister 2019)."""
