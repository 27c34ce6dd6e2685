"""The result of a visit in the forms that clinics read: a letter, FHIR, a DICOM report and JSON.

Used by the station. Imports the shared rooms below.
"""
