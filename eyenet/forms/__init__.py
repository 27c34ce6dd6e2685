"""The result of a visit in the forms that clinics read: a letter, FHIR, a DICOM report and JSON.

The station uses it. It imports the shared rooms below.
"""
