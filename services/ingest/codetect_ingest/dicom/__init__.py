"""DICOM as values: bytes in, facts, HU and clean files out. No database, no network, no settings in here."""
