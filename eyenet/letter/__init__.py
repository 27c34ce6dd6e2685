"""The words of the letter that is printed for a patient and the doctor, a JSON file for each language.

The offline page in app/ and the station's letter (`eyenet.forms.letter`) are written with them. A name in braces, such
as {rule}, stands for a value: `str.format` fills it in Python, `fill.ts` on the page. Imports nothing.
"""
