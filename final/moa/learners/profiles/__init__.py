"""Learners on treatments' profiles: softmax regression, nearest neighbours, and their blend, chosen and calibrated."""
