"""Read plates as laboratories have them (GCT, GCTX, profiles, AnnData) and write the data folder that commands take.

The files in the order of the steps, which ``import_plates`` takes one after the other:

1. Read: ``source`` opens a file, a module of ``formats`` or ``annotated`` reads it, ``orientation`` turns it,
   ``arrays`` puts arrays and tables together, ``combine`` does so for all files; ``text_tables`` and ``hdf5`` help.
2. Describe: ``describe`` gives each column a role, with ``columns`` and ``families`` (which are features), ``roles``,
   ``fields`` and ``headings`` (which column holds what, in which unit). The result is the ``mapping``, a value that all
   further steps take; ``fit_mapping`` completes a mapping of other plates instead.
3. Join and identify: ``well_tables`` makes profiles of tables, ``row_names`` and ``sites`` give each well its place and
   one row, ``join`` adds the laboratory's own tables; ``design`` finds out what was done to each well, with
   ``compounds``, ``well_types`` and ``vehicles`` (controls), ``references`` and ``quantities`` (doses and times).
4. Make comparable: ``missing``, ``levels`` (what kind of values a file holds), ``normalise``; ``merge_replicates`` is
   optional.
5. ``choose_conditions`` and ``mechanisms`` give models their conditions and targets.
6. ``folder`` writes the data folder; ``for_model`` makes rows of a trained model instead, from the values of step 4.

``options`` holds what the user chooses, ``notes`` what an import guessed and dropped.
"""
