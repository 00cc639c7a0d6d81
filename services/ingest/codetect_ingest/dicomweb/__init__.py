"""DICOMweb (PS3.18): what PACS and their clients speak."""
