"""DICOM: one frame of a file as pixels, and what its header says that is not an identifier.

The rule by which stored numbers become pixels is in `dicom.greys`; whom a file belongs to is in `dicom.facts`.
"""
