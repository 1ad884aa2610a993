"""Read plates as laboratories have them (GCT, GCTX, profiles, AnnData) and write the data folder that commands take."""
