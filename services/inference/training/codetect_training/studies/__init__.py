"""Evaluation on DICOM studies: which series are there, what a table says of them, what a bundle says to them."""
