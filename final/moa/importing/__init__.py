"""Read plates as laboratories have them (GCT, GCTX, profiles, AnnData) and write the data folder that commands take.

The files in the order of the steps, which ``import_plates`` takes one after the other:

1. ``source`` opens a file; a module of ``formats`` reads it into ``profiles``; ``combine`` makes several files one.
   ``text_tables`` and ``hdf5`` help formats; ``feature_columns`` and ``identities`` say what each feature is.
2. ``join`` adds the laboratory's own tables; ``design`` finds out what was done to each well, with ``fields`` (which
   column holds what), ``well_types`` (which wells are controls) and ``quantities`` (doses and times with units).
3. ``missing`` and ``normalise`` complete the values and make them comparable; ``merge_replicates`` is optional.
4. ``choose_conditions`` and ``mechanisms`` give models their conditions and targets.
5. ``folder`` writes the data folder; ``for_model`` makes rows of a trained model instead, from the values of step 3.

``options`` holds what the user chooses, ``notes`` what an import guessed and dropped.
"""
